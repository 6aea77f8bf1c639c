//! The text of `--help` around the options, which clap describes.
//!
//! Lines stay within 78 columns: clap would break longer ones in the middle of a table.

/// The text above the options.
pub(super) const LONG_ABOUT: &str = "\
Download S3 objects to stdout or a file, by parallel range requests, in order.

stdout receives the object's bytes, in order, each once, and nothing else. A
failure ends in a nonzero exit code; what was written until then is the
beginning of the object. In a pipe, use set -o pipefail so that the shell
notices. With -o FILE, FILE appears only when it is complete.";

/// The text below the options.
pub(super) const AFTER_LONG_HELP: &str = "\
Examples:
  s3fcp s3://bucket/backup.tar.zst | zstd -d | tar x
  s3fcp --endpoint http://localhost:9000 s3://bucket/key > file
  s3fcp --no-sign-request --region us-west-2 s3://bucket/key | sha256sum
  s3fcp -c 8 --chunk-size 4MiB s3://bucket/key | reader
  s3fcp --info=json s3://bucket/key
  s3fcp \"$(aws s3 presign s3://bucket/key)\" | reader
  s3fcp -o disk.img s3://bucket/disk.img
  s3fcp -o disk.img --continue s3://bucket/disk.img
  s3fcp s3://bucket/log.1.gz s3://bucket/log.2.gz | gunzip
  s3fcp --shard 3/16 --if-match ETAG --in-place -o /shared/key s3://bucket/key
  s3fcp --range 0-1023 s3://bucket/key | file -

Continue:
  A download that ends in its middle, by exit code 5, by expired credentials
  or by an interrupt, prints the command that downloads the rest:
  s3fcp s3://bucket/key --range 123456- --if-match '\"etag\"' >> file
  With -o FILE that is the same command with --continue.

Memory:
  At most concurrency x chunk-size bytes of the object are held at a time,
  whatever its size; by default 56 MiB, more only on links of many Gbit/s.
  See --max-memory.

Environment:
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE and
  the other usual sources of credentials; AWS_REGION; AWS_ENDPOINT_URL_S3 and
  AWS_ENDPOINT_URL; AWS_CA_BUNDLE; and the other settings of the AWS CLI,
  including the profile's s3 block: see docs/credentials.md. Flags take
  precedence.
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in upper or lower case.
  RUST_LOG, which adds to -v: s3fcp=warn logs what went wrong.

Files:
  ~/.aws/config and ~/.aws/credentials, or AWS_CONFIG_FILE and
  AWS_SHARED_CREDENTIALS_FILE.
  FILE.part and a note beside it, until FILE is complete.

Exit codes:
  0  every byte was delivered
  1  any other failure, such as a bug in this program
  2  usage or configuration; also --checksum require without a checksum
  3  no such bucket, key or version
  4  access or credentials; also an archived object
  5  network or server, after all attempts; an untrusted certificate; the time
     limit of --max-time
  6  the object changed during the download
  7  the delivered bytes do not match the object's checksum
  8  the output could not be written
  A closed pipe or an interrupt ends the process by its signal: a shell shows
  141 or 130.";

/// The output of `--version`: everything that a bug report needs. `-V` prints the first line without the commit.
pub(super) const LONG_VERSION: &str =
    concat!(env!("S3FCP_VERSION"), "\ntarget: ", env!("S3FCP_TARGET"), "\nTLS: rustls over ring");
