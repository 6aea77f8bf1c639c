//! `rclone serve s3`: rclone's gofakes3 over a local folder. Addressing by path, addressing by host, and serving TLS
//! below a path are each a setting of a whole process, so there are three.

use std::fs;
use std::path::Path;

use super::process::{Process, command, installed};
use super::{Client, Keys, Lacks, REGION, Server};
use crate::support::files::folder;
use crate::support::run::{ACCESS_KEY, SECRET_KEY};

const LACKS: &[Lacks] = &[
    ("key with two slashes", "unsupported characters"),
    ("key with a slash first", "unsupported characters"),
    ("key with two dots", "unsupported characters"),
    ("key with a dot", "unsupported characters"),
    ("key with control characters", "500 Internal Server Error"),
    ("versions", "NotImplemented"),
    ("a version that continues under its id", "NotImplemented"),
];

pub(super) fn start(version: &str) -> Option<Server> {
    let program = installed("rclone", version, |program| command(program, &["version"]))?;
    let folder = folder();
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    let keys = format!("{ACCESS_KEY},{SECRET_KEY}");
    let signed = ["--auth-key", &keys];
    let serve = |more: &[&str]| serve(&program, &data, more);
    let (by_path, path) = serve(&signed);
    let (by_host, host) = serve(&[&signed[..], &["--force-path-style=false"]].concat());
    // It takes the path away before it checks a signature, which then fits nobody's: here it checks none.
    let (below, prefixed) = serve(&["--baseurl", "/store/s3"]);
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(&certificate, made.cert.pem()).expect("a file");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    let pair = ["--cert", text(&certificate), "--key", text(&key)];
    let (over_tls, tls) = serve(&[&signed[..], &pair].concat());
    let keys = Keys { id: ACCESS_KEY.to_owned(), secret: SECRET_KEY.to_owned() };
    let port = |authority: &str| authority.rsplit_once(':').expect("a port").1.to_owned();
    let client = Client { authority: path, keys, region: REGION };
    Some(Server {
        virtual_host: Some(format!("http://s3.localhost:{}", port(&host))),
        prefixed: Some(format!("http://{prefixed}/store/s3")),
        tls: Some((format!("https://localhost:{}", port(&tls)), certificate)),
        ..Server::new("rclone", version, client, LACKS, (by_path, by_host, below, over_tls, folder))
    })
}

/// A process over `data`, and its host and port.
fn serve(program: &Path, data: &Path, more: &[&str]) -> (Process, String) {
    // Files written through one process are to be seen by the others immediately.
    let args = ["serve", "s3", "--addr", "127.0.0.1:0", "--dir-cache-time", "0s"];
    let mut process = Process::start(program, args.iter().chain(more).chain(&[text(data)]), &[]);
    let url = process.address("Starting s3 server on [", &[']']);
    let (_, address) = url.split_once("://").expect("a URL");
    (process, address.split('/').next().unwrap_or_default().to_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
