#!/bin/sh
# One object by the N children of an array job of AWS Batch, each its own piece, into one file on a file system that all
# of them share:  aws-batch.sh s3://bucket/key /shared/key N QUEUE IMAGE EFS-ID
#
# For a queue of EC2 instances, whose role may read the object. It needs aws and jq here, and s3fcp here and in the image.
set -eu
uri=$1 out=$2 n=$3 queue=$4 image=$5 efs=$6

etag=$(s3fcp --info "$uri" | awk '$1 == "etag:" { print $2 }')

aws batch register-job-definition --job-definition-name s3fcp --type container \
    --retry-strategy attempts=3 --container-properties "$(cat <<JSON
{
  "image": "$image",
  "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}],
  "volumes": [{"name": "shared", "efsVolumeConfiguration": {"fileSystemId": "$efs"}}],
  "mountPoints": [{"sourceVolume": "shared", "containerPath": "/shared"}],
  "command": ["sh", "-c", "exec s3fcp \"\$URI\" --shard \"\$AWS_BATCH_JOB_ARRAY_INDEX/\$AWS_BATCH_JOB_ARRAY_SIZE\" --if-match \"\$ETAG\" --in-place -o \"\$OUT\""]
}
JSON
)" >/dev/null

overrides=$(jq -n --arg uri "$uri" --arg etag "$etag" --arg out "$out" \
    '{environment: [{name: "URI", value: $uri}, {name: "ETAG", value: $etag}, {name: "OUT", value: $out}]}')
aws batch submit-job --job-name s3fcp --job-definition s3fcp --job-queue "$queue" \
    --array-properties "size=$n" --container-overrides "$overrides"
# FILE is whole when the array job has SUCCEEDED.
