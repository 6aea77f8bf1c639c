//! The prose of `--help`, around the options that clap describes.
//!
//! Constants only, the commit and the target out of build.rs among them. Lines stay within 78 columns: clap would break longer ones in the middle of a table.

/// Above the options.
pub(super) const LONG_ABOUT: &str = "\
Download an S3 object to stdout or a file, by parallel range requests, in order.

stdout receives the object's bytes, in order, each once, and nothing else. A
failure ends in an exit code that is not 0; what was written until then is the
beginning of the object. In a pipe, let the shell see it: set -o pipefail.
With -o FILE there is a FILE only once it is whole.";

/// Below them.
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
  A download that ends in its middle, by exit code 5, by credentials that
  expire or by an interrupt, tells the command that brings the rest:
  s3fcp s3://bucket/key --range 123456- --if-match '\"etag\"' >> file
  With -o FILE that is the same command with --continue.

Memory:
  At most concurrency x chunk-size bytes of the object are held at a time,
  whatever its size; by default 56 MiB. See --max-memory.

Environment:
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE and
  the other usual sources of credentials; AWS_REGION; AWS_ENDPOINT_URL_S3 and
  AWS_ENDPOINT_URL; AWS_CA_BUNDLE; and what else the AWS CLI reads, the
  profile's block of s3 included: see the README. What a flag says wins.
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as in curl.
  RUST_LOG, which adds to -v: s3fcp=warn tells what went wrong.

Exit codes:
  0  every byte was delivered
  1  something else failed
  2  usage or configuration; also nothing to verify by with --checksum require
  3  no such bucket, key or version
  4  access or credentials; also an archived object
  5  network or server, after all attempts
  6  the object changed during the download
  7  the delivered bytes do not match the object's checksum
  8  the output could not be written
  A closed pipe or an interrupt ends the process by its signal: a shell shows
  141 or 130.";

/// What a report of a fault needs to know of the program; `-V` is its first line without the commit.
pub(super) const LONG_VERSION: &str =
    concat!(env!("S3FCP_VERSION"), "\ntarget: ", env!("S3FCP_TARGET"), "\nTLS: rustls over ring");
