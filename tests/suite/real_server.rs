//! One download from a server with nothing of ours in it: s3s-fs, over files in a folder.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;

use crate::object::{CHUNK, SIZE, object};
use crate::run::{ACCESS_KEY, S3fcp, SECRET_KEY};

#[test]
fn s3s_fs_serves_a_download() {
    let root = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    std::fs::create_dir_all(root.path().join("bucket/a folder")).expect("a bucket");
    for (name, size) in [("empty", 0), ("a folder/ké+y", SIZE)] {
        std::fs::write(root.path().join("bucket").join(name), object(size)).expect("an object");
    }
    let endpoint = format!("http://{}", serve(root.path()));
    let run = || S3fcp::at(&endpoint).window(4, CHUNK);
    run().download("s3://bucket/a folder/ké+y").assert_object(&object(SIZE));
    run().download("s3://bucket/empty").assert_object(&[]);
    run().download("s3://bucket/other").assert_failed(3, &[]);
    run().env("AWS_SECRET_ACCESS_KEY", "wrong").download("s3://bucket/empty").assert_failed(4, &[]);
}

/// Serves the folders below `root` as buckets, on a thread that ends with the test process.
fn serve(root: &Path) -> SocketAddr {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).expect("a file system"));
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = service.build();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    listener.set_nonblocking(true).expect("a listener that can be polled");
    let address = listener.local_addr().expect("a bound listener's address");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(accept(listener, service));
    });
    address
}

async fn accept(listener: std::net::TcpListener, service: S3Service) {
    let listener = TcpListener::from_std(listener).expect("a listener on this runtime");
    while let Ok((socket, _)) = listener.accept().await {
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone());
        // How a connection ends is the client's business.
        tokio::spawn(async { drop(connection.await) });
    }
}
