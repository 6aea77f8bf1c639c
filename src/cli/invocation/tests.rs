//! Command lines: every flag in its field, other spellings, and flags that do not go together.

use clap::Parser as _;

use std::num::NonZeroU64;

use super::*;
use crate::download::options::Hedge;
use crate::s3::address::addressing::AddressingStyle;

const URI: &str = "s3://b/k";
const URL: &str = "https://h/p?q";

fn args(line: &[&str]) -> std::result::Result<Args, clap::Error> {
    Args::try_parse_from(std::iter::once(&"s3fcp").chain(line))
}

fn invocation(line: &[&str]) -> Invocation {
    args(line).unwrap_or_else(|e| panic!("{line:?}: {e}")).try_into().unwrap()
}

#[test]
fn the_uri_alone_gives_the_defaults() {
    assert_eq!(
        invocation(&[URI]),
        Invocation {
            sources: vec![URI.parse().unwrap()],
            list: None,
            download: Options { threads: ThreadCount::Adaptive, ..Options::default() },
            target: Destination::default(),
            quiet: false,
            progress: ProgressMode::Auto,
            max_time: None,
            remote_time: false,
            info: None,
            stats: None,
            verbosity: 0,
            settings: Settings::default(),
        }
    );
}

#[test]
fn every_flag_reaches_its_field() {
    assert_eq!(invocation(&["--info=json", URI]).info, Some(Format::Json));
    let line = "--version-id v1 --range -5 --if-match e -c 3 --chunk-size 1MB --max-memory 64MiB \
                --max-attempts 7 --first-byte-timeout 5 --stall-timeout 500ms --hedge off --checksum require \
                --addressing-style path --stats=json --progress json --quiet -vv --endpoint http://h:9 \
                --region eu-west-1 --profile p \
                --no-sign-request --ca-bundle ca.pem --client-cert c.pem --client-key k.pem \
                --fips --dualstack=false --accelerate=true --request-payer requester --sse-c-key key \
                --max-time 1h --unsafe-ranges --max-redirs 3 --remote-time --continue --force --threads 4 \
                --limit-rate 50MiB/s s3://b/k";
    let mut line: Vec<&str> = line.split_whitespace().collect();
    line.extend(["-o", "a b/"]);
    let download = Options {
        version_id: Some("v1".into()),
        range: NonZeroU64::new(5).map(RangeSpec::Last),
        if_match: Some("\"e\"".parse().unwrap()),
        concurrency: NonZeroUsize::new(3),
        chunk_size: NonZeroU64::new(1_000_000),
        max_memory: NonZeroU64::new(64 << 20),
        max_attempts: NonZeroU32::new(7),
        first_byte_timeout: Some(Duration::from_secs(5)),
        stall_timeout: Some(Duration::from_millis(500)),
        hedge: Hedge::Off,
        checksum: ChecksumMode::Require,
        unsafe_ranges: true,
        max_redirects: Some(3),
        limit_rate: NonZeroU64::new(50 << 20),
        threads: ThreadCount::Exactly(NonZeroUsize::new(4).unwrap()),
    };
    assert_eq!(
        invocation(&line),
        Invocation {
            sources: vec![URI.parse().unwrap()],
            list: None,
            download,
            target: Destination::File { path: "a b/".into(), existing: IfExists::Replace { resume: true } },
            quiet: true,
            progress: ProgressMode::Json,
            max_time: Some(Duration::from_hours(1)),
            remote_time: true,
            info: None,
            stats: Some(Format::Json),
            verbosity: 2,
            settings: Settings {
                endpoint: Some("http://h:9".into()),
                region: Some("eu-west-1".into()),
                profile: Some("p".into()),
                no_sign_request: true,
                ca_bundle: Some("ca.pem".into()),
                client_certificate: Some(ClientCertificate::new("c.pem", Some("k.pem".into()))),
                addressing_style: Some(AddressingStyle::Path),
                fips: Some(true),
                dualstack: Some(false),
                accelerate: Some(true),
                request_payer: true,
                sse_c_key: Some(String::from("key").into()),
            },
        }
    );
}

#[test]
fn other_spellings_mean_the_same() {
    for (one, other) in [
        (&["--concurrency", "4", URI][..], &["-c4", URI][..]),
        (&["--chunk-size=4KiB", URI], &[URI, "--part-size", "4096"]),
        (&["--endpoint", "http://h", URI], &["--endpoint-url=http://h", URI]),
        (&["--info", URI], &["--info=text", URI]),
        (&["--stats", URI], &["--stats=text", URI]),
        (&["--quiet", URI], &[URI, "-q"]),
        (&["--verbose", "--verbose", URI], &["-vv", URI]),
        (&["--range=-7", URI], &[URI, "--range", "-7"]),
        (&["--if-match", "\"e\"", URI], &["--if-match=e", URI]),
        (&["--stall-timeout", "1.5", URI], &["--stall-timeout=1500ms", URI]),
        (&["--dualstack", URI], &["--dual-stack=true", URI]),
        (&["-c", "2", "-c", "9", URI], &["-c", "9", URI]),
        (&["-r", "bytes=0-99", URI], &["--range", "0-99", URI]),
        (&["--from", "l", "-0"], &["--null", "--from=l"]),
        (&["-O", "--resume", "--overwrite", URI], &["-o", "./", "--continue", "--force", URI]),
    ] {
        assert_eq!(invocation(one), invocation(other), "{one:?} {other:?}");
    }
}

#[test]
fn options_that_exclude_each_other_are_a_usage_error() {
    for (line, says) in [
        (&[URI, URI, "--range", "5-"][..], "apply to a single object"),
        (&[URI, URI, "--if-match", "e", "--shard", "0/4"], "apply to a single object"),
        (&["--from", "-", "--range", "5-"], "apply to a single object"),
        (&["--from", "-", "--version-id", "v"], "apply to a single object"),
        (&[URI, "--shard", "0/4"], "--if-match or --version-id"),
        (&[URI, "-o", "-", "--continue"], "need a file"),
        (&[URI, "-o", "-", "--force"], "need a file"),
        (&[URI, "--force"], "--force needs a file"),
        (&[URI, "--continue"], "--continue needs a file"),
        (&[URI, "--remote-time"], "--remote-time needs a file"),
        (&[URL, "--shard", "0/4"], "a URL needs --if-match"),
        (&[URL, "--shard", "0/4", "--version-id", "v"], "no effect on http(s) URLs"),
        (&[URL, URL, "--region", "r"], "no effect on http(s) URLs"),
        (&[URI, URL, "--checksum", "require"], "no effect on http(s) URLs"),
    ] {
        let error = Invocation::try_from(args(line).unwrap()).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line:?}");
        assert!(error.to_string().contains(says), "{line:?}: {error}");
    }
    // They apply to the first one.
    assert_eq!(invocation(&[URI, URL, "--region", "r", "--fips"]).sources.len(), 2);
}

/// A part of a run is one that the parser accepts, whatever the options of the whole run are.
#[test]
fn a_part_of_a_run_has_the_options_that_its_sources_can_use() {
    for option in [
        &["--endpoint", "http://h:9"][..],
        &["--region", "r"],
        &["--addressing-style", "path"],
        &["--accelerate"],
        &["--dualstack"],
        &["--fips"],
        &["--request-payer", "requester"],
        &["--sse-c-key", "file"],
    ] {
        let whole = invocation(&[&[URI, URL, "-c", "3", "--profile", "p"], option].concat());
        let [object, url] = [URI, URL].map(|source| source.parse::<Source>().unwrap());
        for sources in [vec![object.clone(), url.clone()], vec![object]] {
            let part = whole.of_sources(sources);
            assert_eq!(part.settings, whole.settings, "{option:?}");
            part.fits_its_sources().unwrap();
        }
        let part = whole.of_sources(vec![url.clone(), url]);
        part.fits_its_sources().unwrap_or_else(|e| panic!("{option:?}: {e}"));
        assert_eq!(part, invocation(&[URL, URL, "-c", "3", "--profile", "p"]), "{option:?}");
    }
}

#[test]
fn the_destination_follows_from_the_output_flags() {
    let file = |existing| Destination::File { path: "f".into(), existing };
    for (line, target) in [
        (&[URI][..], Destination::Stdout { even_binary: false }),
        (&[URI, "-o", "-"], Destination::Stdout { even_binary: true }),
        (&[URI, "-o", "f"], file(IfExists::Fail { resume: false })),
        (&[URI, "-of", "--continue"], file(IfExists::Fail { resume: true })),
        (&[URI, "--output=f", "--force"], file(IfExists::Replace { resume: false })),
        (&[URI, "-O"], Destination::File { path: "./".into(), existing: IfExists::Fail { resume: false } }),
        (&[URI, "-of", "--shard=1/4", "--in-place", "--if-match=e"], file(IfExists::InPlace)),
    ] {
        assert_eq!(invocation(line).target, target, "{line:?}");
    }
}

#[test]
fn shards_are_whole_chunks() {
    for (line, unit) in [(&[][..], 8 << 20), (&["--chunk-size", "5MB"], 5_000_000), (&["-c", "3"], 8 << 20)] {
        let line = [&[URI, "--shard=1/4", "--version-id=v"], line].concat();
        let shard = "1/4".parse::<Shard>().unwrap().in_units_of(NonZeroU64::new(unit).unwrap());
        assert_eq!(invocation(&line).download.range, Some(RangeSpec::Shard(shard)), "{line:?}");
    }
}

#[test]
fn a_bad_uri_is_a_usage_error() {
    let error = Invocation::try_from(args(&["bucket/key"]).unwrap()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("s3://bucket/key"), "{error}");
}
