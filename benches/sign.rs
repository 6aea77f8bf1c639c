//! What a request costs before it is sent: the signature of one ranged GET, in nanoseconds.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::Request;
use http::header::{ACCEPT_ENCODING, HOST, IF_MATCH, RANGE, USER_AGENT};
use s3fcp::config::{Identity, Region};

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    targets = ranged_get
}
criterion_main!(benches);

fn ranged_get(criterion: &mut Criterion) {
    let region = Region::default();
    let mut group = criterion.benchmark_group("sign");
    for (name, token) in [("keys", None), ("session token", Some("t".repeat(1000)))] {
        let identity: Identity = Credentials::new("AKIDEXAMPLE", "secret", token, None, "bench").into();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                request,
                |mut request| {
                    s3fcp::sign(&mut request, &identity, &region, "s3", black_box(SystemTime::UNIX_EPOCH))
                        .unwrap();
                    request
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// A request as a download sends it for each of its chunks.
fn request() -> Request<()> {
    Request::get("/bucket/backups/2026/database.tar.zst")
        .header(HOST, "s3.eu-central-1.amazonaws.com")
        .header(USER_AGENT, "s3fcp/0.1.0")
        .header(ACCEPT_ENCODING, "identity")
        .header(RANGE, "bytes=8388608-16777215")
        .header(IF_MATCH, "\"9b2cf535f27731c974343645a3985328-128\"")
        .body(())
        .unwrap()
}
