//! Garage: a distributed object store, here as a cluster of one node with its data in a folder of its own.

use std::fs;
use std::path::Path;

use super::process::{Process, command, free_port, installed};
use super::{Client, Keys, Lacks, NO_SUCH_ENDPOINT, Server};
use crate::support::files::folder;

const LACKS: &[Lacks] = &[
    ("versions", "NotImplemented"),
    ("a version that continues under its id", "NotImplemented"),
    ("endpoint with a path", NO_SUCH_ENDPOINT),
    ("TLS", NO_SUCH_ENDPOINT),
];

/// Not the one that s3fcp takes by itself: Garage refuses every other.
const REGION: &str = "garage";
/// Garage takes keys of its own form only.
const ID: &str = "GK0123456789abcdef01234567";
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(super) fn start(version: &str) -> Option<Server> {
    let program = installed("garage", version, |program| command(program, &["--version"]))?;
    let folder = folder();
    // Another process may take a port between its choice and its use.
    let (process, port) = (0..5).find_map(|_| serve(&program, folder.path()))?;
    let keys = Keys { id: ID.to_owned(), secret: SECRET.to_owned() };
    let client = Client { authority: format!("127.0.0.1:{port}"), keys, region: REGION };
    Some(Server { checks_region: true, ..Server::new("Garage", version, client, LACKS, (process, folder)) })
}

/// A node and the port of its S3 API; `None` if it did not come up.
fn serve(program: &Path, folder: &Path) -> Option<(Process, u16)> {
    let (rpc, s3) = (free_port(), free_port());
    let config = folder.join("garage.toml");
    let text = format!(
        r#"metadata_dir = "{folder}/meta"
data_dir = "{folder}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{SECRET}"

[s3_api]
api_bind_addr = "127.0.0.1:{s3}"
s3_region = "{REGION}"
root_domain = ".s3.localhost"
"#,
        folder = folder.display()
    );
    fs::write(&config, text).expect("a file");
    let environment = [
        ("GARAGE_CONFIG_FILE", config.to_str().expect("a path in UTF-8")),
        ("GARAGE_DEFAULT_ACCESS_KEY", ID),
        ("GARAGE_DEFAULT_SECRET_KEY", SECRET),
    ];
    let args = ["server", "--single-node", "--default-access-key"];
    let mut process = Process::start(program, args, &environment);
    process.says(&format!("S3 API server listening on http://127.0.0.1:{s3}")).then_some((process, s3))
}
