#!/bin/sh
# One object by N jobs of AWS Batch, each its own piece, into one file on a file system that all of them share:
#   aws-batch.sh s3://bucket/key /shared/key N QUEUE IMAGE EFS-ID
#
# For a queue of EC2 instances, whose role may read the object. It needs aws and s3fcp here. IMAGE is that of the Dockerfile:
# its entry point is s3fcp, and Batch puts the parameters in, so that no shell is needed there. The top folder of a new EFS
# belongs to root: make one for user 65532 in it, and name a file there, as in /shared/folder/key.
set -eu
uri=$1 out=$2 n=$3 queue=$4 image=$5 efs=$6

etag=$(s3fcp --info "$uri" | awk '$1 == "etag:" { print $2 }' | tr -d '"')

# Only exit code 5, network or server, is worth another try: see docs/failures.md. An instance that was taken away shows no
# exit code, but this reason.
aws batch register-job-definition --job-definition-name s3fcp --type container \
    --retry-strategy '{
      "attempts": 3,
      "evaluateOnExit": [
        {"onExitCode": "5", "action": "RETRY"},
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"}
      ]
    }' \
    --container-properties "$(cat <<JSON
{
  "image": "$image",
  "user": "65532:65532",
  "readonlyRootFilesystem": true,
  "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}],
  "volumes": [{"name": "shared", "efsVolumeConfiguration": {"fileSystemId": "$efs", "transitEncryption": "ENABLED"}}],
  "mountPoints": [{"sourceVolume": "shared", "containerPath": "/shared"}],
  "command": ["Ref::uri", "--shard", "Ref::shard", "--if-match", "Ref::etag", "--in-place", "-o", "Ref::pieces"]
}
JSON
)" >/dev/null

i=0
while [ "$i" -lt "$n" ]; do
    aws batch submit-job --job-name "s3fcp-$i" --job-definition s3fcp --job-queue "$queue" --query jobId --output text \
        --parameters "{\"uri\": \"$uri\", \"shard\": \"$i/$n\", \"etag\": \"$etag\", \"pieces\": \"$out.pieces\"}"
    i=$((i + 1))
done
# When all N have SUCCEEDED the file is complete: mv OUT.pieces OUT.
