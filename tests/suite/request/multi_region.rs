//! Multi-region access points: their host, Signature Version 4A by AWS's published key, and what they cannot be
//! combined with.

use s3server::Server;

use crate::support::aws::AwsHost;
use crate::support::files::file;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{S3fcp, SESSION_TOKEN};
use crate::support::table;

/// The keys of AWS's test suite for Signature Version 4A, and the public key that belongs to them there.
const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const PUBLIC_KEY: [u8; 65] = [
    0x04, 0xb6, 0x61, 0x8f, 0x6a, 0x65, 0x74, 0x0a, 0x99, 0xe6, 0x50, 0xb3, 0x3b, 0x6b, 0x4b, 0x5b, 0xd0,
    0xd4, 0x3b, 0x17, 0x6d, 0x72, 0x1a, 0x3e, 0xdf, 0xea, 0x7e, 0x7d, 0x2d, 0x56, 0xd9, 0x36, 0xb1, 0x86,
    0x5e, 0xd2, 0x2a, 0x7e, 0xad, 0xc9, 0xc5, 0xcb, 0x9d, 0x2c, 0xba, 0xca, 0x1b, 0x36, 0x99, 0x13, 0x9f,
    0xed, 0xc5, 0x04, 0x3d, 0xc6, 0x66, 0x18, 0x64, 0x21, 0x83, 0x30, 0xc8, 0xe5, 0x18,
];
const URI: &str = "s3://arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap/a b";
const HOST: &str = "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com";

fn server(token: Option<&str>) -> Server {
    let server =
        Server::builder().multi_region("bucket", &PUBLIC_KEY, ACCESS_KEY, token).log_requests().start();
    server.put("bucket", "a b", object(SIZE));
    server
}

fn keyed(run: S3fcp) -> S3fcp {
    run.env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .window(4, CHUNK)
        .logged()
}

#[test]
fn an_object_comes_from_the_global_host_by_a_signature_for_all_regions() {
    let table = [
        ("a slash", (URI, "us-east-1", None)),
        ("a colon", ("s3://arn:aws:s3::123456789012:accesspoint:mfzwi23gnjvgw.mrap/a b", "eu-west-1", None)),
        ("temporary credentials", (URI, "ap-south-1", Some(SESSION_TOKEN))),
        (
            "China",
            ("s3://arn:aws-cn:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap/a b", "cn-north-1", None),
        ),
        (
            "China's other region",
            ("s3://arn:aws-cn:s3::1:accesspoint:mfzwi23gnjvgw.mrap/a b", "cn-northwest-1", None),
        ),
    ];
    table::each(&table, |&(uri, region, token)| {
        let server = server(token);
        let host = if region.starts_with("cn-") { format!("{HOST}.cn") } else { HOST.to_owned() };
        let aws = AwsHost::new(&host, server.address());
        let mut run = keyed(aws.run()).args(["--region", region]).env("AWS_S3_USE_ARN_REGION", "false");
        if let Some(token) = token {
            run = run.env("AWS_SESSION_TOKEN", token);
        }
        let outcome = run.download(uri);
        outcome.assert_object(&object(SIZE));
        aws.assert_reached();
        outcome.assert_hides(&[SECRET_KEY, "AWS4-ECDSA"]);
        let requests = server.requests();
        assert_eq!(requests.len(), CHUNKS + 1);
        for request in requests {
            assert_eq!(
                (&*request.target, &request.headers["x-amz-region-set"]),
                ("/a%20b", &"*".parse().unwrap())
            );
            let authorization = request.headers["authorization"].to_str().unwrap();
            assert!(authorization.starts_with("AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/"));
            assert!(!authorization.contains(region), "{authorization}");
        }
    });
}

#[test]
fn wrong_keys_are_exit_4() {
    let server = server(None);
    let aws = AwsHost::new(HOST, server.address());
    let outcome = keyed(aws.run()).env("AWS_SECRET_ACCESS_KEY", "wrong").download(URI);
    outcome.assert_failed(4, &[]);
    assert!(outcome.stderr.contains("SignatureDoesNotMatch"), "{}", outcome.stderr);
}

#[test]
fn what_they_cannot_be_combined_with_is_refused_before_any_request() {
    let table = [
        ("FIPS", (URI, &["--fips"][..], "FIPS")),
        ("dual-stack", (URI, &["--dualstack"], "dual-stack")),
        ("acceleration", (URI, &["--accelerate"], "Acceleration")),
        ("path style", (URI, &["--addressing-style", "path"], "path-style")),
        ("an endpoint", (URI, &["--endpoint", "https://store.invalid"], "custom endpoint")),
        ("another partition", (URI, &["--region", "cn-north-1"], "partition")),
        ("China's from elsewhere", ("s3://arn:aws-cn:s3::1:accesspoint/m.mrap/k", &[], "partition")),
        ("no alias", ("s3://arn:aws:s3::123456789012:accesspoint/mine/k", &[], ".mrap")),
        ("another service", ("s3://arn:aws:s3-object-lambda::1:accesspoint/m.mrap/k", &[], "region")),
    ];
    table::each(&table, |(uri, args, says)| {
        let server = server(None);
        let aws = AwsHost::new(HOST, server.address());
        let outcome = keyed(aws.run()).args(*args).download(uri);
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
        assert!(server.requests().is_empty());
    });
}

#[test]
fn they_can_be_disabled_in_the_environment_and_in_the_profile() {
    let profile = |text: &str| file(&format!("[default]\n{text}\n"));
    let key = "s3_disable_multiregion_access_points";
    let table = [
        ("environment", (None, Some("true"), true)),
        ("profile", (Some(profile(&format!("{key} = true"))), None, true)),
        ("block", (Some(profile(&format!("s3 =\n  {key} = true"))), None, true)),
        (
            "block, without the prefix",
            (Some(profile("s3 =\n  disable_multiregion_access_points = true")), None, true),
        ),
        ("the environment first", (Some(profile(&format!("{key} = true"))), Some("false"), false)),
    ];
    table::each(&table, |(config, variable, is_disabled)| {
        let server = server(None);
        let aws = AwsHost::new(HOST, server.address());
        let mut run = keyed(aws.run());
        if let Some(config) = config {
            run = run.env("AWS_CONFIG_FILE", config.path());
        }
        if let Some(value) = variable {
            run = run.env("AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS", value);
        }
        let outcome = run.download(URI);
        if *is_disabled {
            outcome.assert_failed(2, &[]);
            assert!(outcome.stderr.contains("disabled"), "{}", outcome.stderr);
        } else {
            outcome.assert_object(&object(SIZE));
        }
    });
}
