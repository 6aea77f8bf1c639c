//! The library's ordered stream over loopback, in MiB a second, with 1, 4 and 16 concurrent ranges, and with as many as
//! it finds best.
//!
//! The server is fixtures/s3server, in this process: what is measured is both ends on one machine, so only the change
//! from one run to the next says something. `benches/compare` measures what a download costs beside other clients.

use std::num::NonZeroUsize;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use futures_util::StreamExt;
use s3fcp::{Config, Download, Options, S3Uri};
use s3server::Server;
use tokio::runtime::{Builder, Runtime};

/// The object's size in bytes.
const SIZE: u64 = 256 << 20;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = stream
}
criterion_main!(benches);

fn stream(criterion: &mut Criterion) {
    let server = Server::builder().anonymous().start();
    server.put("bucket", "key", vec![7; 256 << 20]);
    let mut config = Config::default();
    config.endpoint = Some(server.endpoint().parse().unwrap());
    let uri: S3Uri = "s3://bucket/key".parse().unwrap();
    // As the program has it.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();

    let mut group = criterion.benchmark_group("stream");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(SIZE));
    for concurrency in [NonZeroUsize::new(1), NonZeroUsize::new(4), NonZeroUsize::new(16), None] {
        let mut options = Options::default();
        options.concurrency = concurrency;
        let name = concurrency.map_or_else(|| "its own level".to_owned(), |n| n.to_string());
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(download(&runtime, &config, &uri, &options), SIZE));
        });
    }
    group.finish();
}

/// Downloads the object and returns how many bytes came.
fn download(runtime: &Runtime, config: &Config, uri: &S3Uri, options: &Options) -> u64 {
    runtime.block_on(async {
        let mut download = Download::start(config, uri, options).await.unwrap();
        let mut bytes = 0;
        while let Some(frame) = download.next().await {
            bytes += frame.unwrap().len() as u64;
        }
        bytes
    })
}
