//! A whole download from a peer that answers with any bytes.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use aws_credential_types::Credentials as Keys;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::config::credentials::Credentials;
use crate::config::settings::Config;
use crate::download::client::Client;
use crate::download::options::{ChecksumMode, Options};
use crate::error::Result;
use crate::fuzzing::checks::assert_harmless;
use crate::s3::address::s3_uri::S3Uri;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";

/// Separates the responses in the input.
const SEPARATOR: u8 = 1;

/// Far longer than a download takes from a peer that never waits.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Downloads from a peer that answers each request with the next piece of `data` and closes the connection. Success
/// means that as many bytes came as the verdict says, and an error harms no terminal.
pub fn exchange(data: &[u8]) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let pieces: Vec<Vec<u8>> = data.split(|byte| *byte == SEPARATOR).map(<[u8]>::to_vec).collect();
        let peer = tokio::spawn(async move {
            let mut next = 0;
            while let Ok((socket, _)) = listener.accept().await {
                let piece = pieces[next % pieces.len()].clone();
                next += 1;
                tokio::spawn(answer(socket, piece));
            }
        });
        let ended =
            timeout(TIME_LIMIT, download(&format!("http://{address}"), data.len().is_multiple_of(16))).await;
        peer.abort();
        if let Err(error) = ended.expect("a download that ends") {
            assert_harmless(&error);
            assert!(!format!("{error} {error:?}").contains(SECRET), "a secret is shown");
            assert!((1..=7).contains(&error.exit_code()));
        }
    });
}

/// Reads the head of one request, answers it and closes.
async fn answer(mut socket: TcpStream, bytes: Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(socket.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    }
    // The client may have gone.
    let _ = socket.write_all(&bytes).await;
    let _ = socket.shutdown().await;
}

async fn download(endpoint: &str, waits: bool) -> Result<()> {
    let config = Config {
        endpoint: endpoint.parse().ok(),
        credentials: Credentials::from_source(Keys::new("AKID", SECRET, None, None, "fuzz")),
        ..Config::default()
    };
    let options = Options {
        chunk_size: NonZeroU64::new(5),
        concurrency: NonZeroUsize::new(2),
        max_attempts: NonZeroU32::new(1),
        first_byte_timeout: Some(Duration::from_secs(2)),
        stall_timeout: Some(Duration::from_secs(2)),
        // With a checksum the end would wait for HEAD.
        checksum: if waits { ChecksumMode::Auto } else { ChecksumMode::Off },
        ..Options::default()
    };
    let uri: S3Uri = "s3://bucket/key".parse()?;
    let mut download = Client::new(config).download(&uri, &options).await?;
    let mut bytes = 0;
    while let Some(frame) = download.next_frame().await {
        bytes += frame?.len() as u64;
    }
    let range = download.range();
    let verdict = download.verdict().expect("a verdict after success");
    assert!(bytes == range.end - range.start && (verdict.responses > 0 || bytes == 0), "{verdict:?}");
    Ok(())
}
