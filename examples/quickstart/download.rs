//! One download by the binary, hashed as it comes out of its stdout.
//!
//! Prints size, rate and hashes, as a user would want to know them. The object's own hash is taken before it is stored.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use bytesize::ByteSize;
use rand::Rng;
use s3server::EXAMPLE_BUCKET;
use sha2::{Digest, Sha256};

use crate::place::Place;
use crate::{Result, program};

const KEY: &str = "random.bin";

/// The bytes read from the pipe, and how fast they came.
struct Received {
    bytes: u64,
    /// In hexadecimal digits, as `sha256sum` prints it.
    sha256: String,
    first_byte: Duration,
    all: Duration,
}

pub(crate) fn run(place: &Place, binary: &Path, size: ByteSize) -> Result<()> {
    let mut object = vec![0; usize::try_from(size.as_u64())?];
    rand::rng().fill_bytes(&mut object);
    let expected = hex(&Sha256::digest(&object));
    place.server.put(EXAMPLE_BUCKET, KEY, object);
    println!("Serving    {size} of random bytes at {}", place.server.endpoint());

    let uri = format!("s3://{EXAMPLE_BUCKET}/{KEY}");
    println!("Running    {} {uri} | sha256sum", program::shown(binary));
    println!("           with its keys and the endpoint in the environment");
    let received = download(place, binary, &uri)?;
    let seconds = received.all.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate of three digits")]
    let rate = received.bytes as f64 / seconds / f64::from(1 << 20);
    let stats = place.server.stats();
    println!("Received   {} bytes in {seconds:.2} s, {rate:.0} MiB/s", received.bytes);
    println!("First byte {:.0} ms after the start of the program", received.first_byte.as_secs_f64() * 1e3);
    println!(
        "Requests   {} HEAD and {} GET, over {} connections",
        stats.heads, stats.gets, stats.connections
    );
    println!("SHA-256    {}", received.sha256);
    if received.sha256 != expected {
        return Err(format!("the object's SHA-256 is {expected}").into());
    }
    println!("           is the object's own: every byte arrived, in order.");
    println!("\nNext, files of your own:  cargo run --release --example quickstart -- --serve src");
    Ok(())
}

fn download(place: &Place, binary: &Path, uri: &str) -> Result<Received> {
    let start = Instant::now();
    let mut child = program::command(binary, &place.variables).arg(uri).stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().ok_or("the program has no stdout")?;
    let mut received =
        Received { bytes: 0, sha256: String::new(), first_byte: Duration::ZERO, all: Duration::ZERO };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let length = stdout.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        if received.bytes == 0 {
            received.first_byte = start.elapsed();
        }
        hash.update(&buffer[..length]);
        received.bytes += length as u64;
    }
    let status = child.wait()?;
    received.all = start.elapsed();
    received.sha256 = hex(&hash.finalize());
    if status.success() { Ok(received) } else { Err(format!("the program ended with {status}").into()) }
}

fn hex(digest: &[u8]) -> String {
    format!("{:x}", Bytes::copy_from_slice(digest))
}
