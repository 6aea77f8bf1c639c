//! s3s-fs, in this process: the s3s crate's protocol and signature check over files in a folder.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::host::SingleDomain;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;

use super::{Client, Keys, Lacks, NO_SUCH_ENDPOINT, REGION, Server};
use crate::support::files::folder;
use crate::support::run::{ACCESS_KEY, SECRET_KEY};

const LACKS: &[Lacks] = &[
    ("key with a slash first", "500 Internal Server Error"),
    ("key with a slash last", "UnexpectedContent"),
    ("the longest key", "500 Internal Server Error"),
    ("versions", "NotImplemented"),
    ("a version that continues under its id", "NotImplemented"),
    ("endpoint with a path", NO_SUCH_ENDPOINT),
    ("TLS", NO_SUCH_ENDPOINT),
];

pub(super) fn start() -> Server {
    let folder = folder();
    let by_path = serve(folder.path(), false);
    let by_host = serve(folder.path(), true);
    let keys = Keys { id: ACCESS_KEY.to_owned(), secret: SECRET_KEY.to_owned() };
    let client = Client { authority: by_path.to_string(), keys, region: REGION };
    Server {
        virtual_host: Some(format!("http://s3.localhost:{}", by_host.port())),
        ..Server::new("s3s-fs", &version(), client, LACKS, folder)
    }
}

/// The version that this test binary is linked with.
pub(super) fn version() -> String {
    let lock = include_str!("../../../Cargo.lock");
    let (_, package) = lock.split_once("name = \"s3s-fs\"\nversion = \"").expect("s3s-fs in Cargo.lock");
    package.split_once('"').expect("its version").0.to_owned()
}

/// Serves the folders below `root` as buckets, on a thread that ends with the test process.
fn serve(root: &Path, by_host: bool) -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    listener.set_nonblocking(true).expect("a listener that can be polled");
    let address = listener.local_addr().expect("a bound listener's address");
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).expect("a file system"));
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    if by_host {
        let domain = format!("s3.localhost:{}", address.port());
        service.set_host(SingleDomain::new(&domain).expect("a domain"));
    }
    let service = service.build();
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
