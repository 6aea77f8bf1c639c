//! Lines that the parser refuses.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

const URI: &str = "s3://b/k";

fn args(line: &[&str]) -> std::result::Result<Args, clap::Error> {
    Args::try_parse_from(std::iter::once(&"s3fcp").chain(line))
}

#[test]
fn clap_finds_the_definition_consistent() {
    Args::command().debug_assert();
}

#[test]
fn each_flag_refuses_values_outside_its_limits() {
    for (line, kind, says) in [
        (&[][..], ErrorKind::MissingRequiredArgument, "s3://BUCKET/KEY"),
        (&[URI, "--limit-rate", "0"], ErrorKind::ValueValidation, "at least 1 byte"),
        (&[URI, "--output", ""], ErrorKind::InvalidValue, "--output"),
        (&[URI, "--in-place", "-o", "f"], ErrorKind::MissingRequiredArgument, "--shard"),
        (&[URI, "--shard", "4/4"], ErrorKind::ValueValidation, "from 0 to N-1"),
        (&[URI, "--shard", "0/4", "--range", "5-"], ErrorKind::ArgumentConflict, "--range"),
        (&[URI, "--in-place", "--shard=0/4", "-of", "--force"], ErrorKind::ArgumentConflict, "--force"),
        (&[URI, "--info", "-o", "f"], ErrorKind::ArgumentConflict, "--output"),
        (&[URI, "--chunksize", "1"], ErrorKind::UnknownArgument, "'--chunk-size'"),
        (&["-c", "0", URI], ErrorKind::ValueValidation, "0 is not in 1..=1000"),
        (&["-c", "1001", URI], ErrorKind::ValueValidation, "1001 is not in 1..=1000"),
        (&["-c", "x", URI], ErrorKind::ValueValidation, "invalid digit"),
        (&["--max-attempts", "0", URI], ErrorKind::ValueValidation, "0 is not in 1.."),
        (&["--chunk-size", "0", URI], ErrorKind::ValueValidation, "at least 1 byte"),
        (&["--max-memory", "33MiB", URI], ErrorKind::ValueValidation, "at least 34.0 MiB"),
        (&["--chunk-size", "0.9B", URI], ErrorKind::ValueValidation, "at least 1 byte"),
        (&["--part-size", "50", URI], ErrorKind::ValueValidation, "that is 50 bytes: write 50MiB"),
        (&["--chunk-size", "2GiB", URI], ErrorKind::ValueValidation, "at most 1.0 GiB"),
        (&["--chunk-size", "99999999999EiB", URI], ErrorKind::ValueValidation, "at most 1.0 GiB"),
        (&["--chunk-size", "8Mib/s", URI], ErrorKind::ValueValidation, "8MiB or 8MB"),
        (&["--chunk-size", "", URI], ErrorKind::ValueValidation, "8MiB or 8MB"),
        (&["--addressing-style", "dns", URI], ErrorKind::InvalidValue, "auto, path, virtual"),
        (&["--checksum", "on", URI], ErrorKind::InvalidValue, "auto, require, off"),
        (&["--info=xml", URI], ErrorKind::InvalidValue, "text, json"),
        (&["--request-payer", "owner", URI], ErrorKind::InvalidValue, "requester"),
        (&["--fips=maybe", URI], ErrorKind::InvalidValue, "true, false"),
        (&["--ca-bundle", "", URI], ErrorKind::InvalidValue, "--ca-bundle"),
        (&["--version-id", "", URI], ErrorKind::InvalidValue, "--version-id"),
        (&["--range", "5", URI], ErrorKind::ValueValidation, "A-B, A- or -N"),
        (&["--range", "--quiet", URI], ErrorKind::ValueValidation, "A-B, A- or -N"),
        (&["--range", "9-5", URI], ErrorKind::ValueValidation, "ends before it begins"),
        (&["--if-match", "W/\"e\"", URI], ErrorKind::ValueValidation, "never matches"),
        (&["--info", "--range", "0-5", URI], ErrorKind::ArgumentConflict, "--range"),
        (&["--if-match", "e", "--info", URI], ErrorKind::ArgumentConflict, "--info"),
        (&["--stall-timeout", "0", URI], ErrorKind::ValueValidation, "more than 0"),
        (&["--stall-timeout", "1e19", URI], ErrorKind::ValueValidation, "at most 365 days"),
        (&["--max-time", "1000000h", URI], ErrorKind::ValueValidation, "at most 365 days"),
        (&["--first-byte-timeout", "soon", URI], ErrorKind::ValueValidation, "500ms or 2m"),
        (&["--endpoint", "", URI], ErrorKind::InvalidValue, "--endpoint"),
    ] {
        let error = args(line).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line:?}: {error}");
        assert!(error.to_string().contains(says), "{line:?}: {error}");
    }
}

#[test]
fn help_and_version_exit_with_0() {
    for (flag, says) in
        [("-h", "--chunk-size"), ("--help", "Exit codes:"), ("-V", "s3fcp 0."), ("--version", "0.")]
    {
        let answer = args(&[flag]).unwrap_err();
        assert_eq!(answer.exit_code(), 0, "{flag}");
        assert!(answer.to_string().contains(says), "{flag}: {answer}");
    }
}
