//! What a checksum costs: MiB a second of each algorithm over bytes that are warm in the cache, as frames are.
//!
//! The CRCs are to cost less than 0.05 seconds a GiB, which is 20 GiB/s. No network: the cost of verifying a
//! download is the difference between `--checksum off` and `auto`.

use crc_fast::CrcAlgorithm;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A frame at the head of the line has about so many bytes.
const FRAME: usize = 256 << 10;

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = checksums
}
criterion_main!(benches);

fn checksums(criterion: &mut Criterion) {
    let frame: Vec<u8> = (0..=250).cycle().take(FRAME).collect();
    let mut group = criterion.benchmark_group("checksum");
    group.throughput(Throughput::Bytes(FRAME as u64));
    for (name, algorithm) in [
        ("crc64nvme", CrcAlgorithm::Crc64Nvme),
        ("crc32c", CrcAlgorithm::Crc32Iscsi),
        ("crc32", CrcAlgorithm::Crc32IsoHdlc),
    ] {
        let mut digest = crc_fast::Digest::new(algorithm);
        group.bench_function(name, |bencher| bencher.iter(|| digest.update(&frame)));
    }
    let (mut sha256, mut sha1, mut md5) = (Sha256::new(), Sha1::new(), Md5::new());
    group.bench_function("sha256", |bencher| bencher.iter(|| hash(&mut sha256, &frame)));
    group.bench_function("sha1", |bencher| bencher.iter(|| hash(&mut sha1, &frame)));
    group.bench_function("md5", |bencher| bencher.iter(|| hash(&mut md5, &frame)));
    group.finish();
}

fn hash(digest: &mut impl Digest, frame: &[u8]) {
    digest.update(frame);
}
