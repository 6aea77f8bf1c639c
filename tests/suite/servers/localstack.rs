//! `LocalStack` in host mode, which is without Docker, with nothing but its S3.

use std::path::Path;
use std::process::Command;

use super::cases::Named;
use super::process::{Process, command, free_port, installed};
use super::some_servers::{CUSTOMER_KEY, MANY_HEADERS};
use super::{Client, Keys, Lacks, NO_SIGNATURES, NO_SUCH_ENDPOINT, REGION, Server};
use crate::support::run::{ACCESS_KEY, SECRET_KEY};

const LACKS: &[Lacks] = &[
    ("refusal: wrong secret", NO_SIGNATURES),
    ("refusal: unknown access key", NO_SIGNATURES),
    ("refusal: unsigned", NO_SIGNATURES),
    ("refusal: info with a wrong secret", NO_SIGNATURES),
    ("endpoint with a path", NO_SUCH_ENDPOINT),
    ("TLS", NO_SUCH_ENDPOINT),
];

const ALSO: &[Named] = &[CUSTOMER_KEY, MANY_HEADERS];

pub(super) fn start(version: &str) -> Option<Server> {
    let program = installed("localstack/bin/python3", version, version_of)?;
    // Another process may take a port between its choice and its use.
    let (process, port) = (0..5).find_map(|_| serve(&program))?;
    let client = Client {
        authority: format!("127.0.0.1:{port}"),
        keys: Keys { id: ACCESS_KEY.to_owned(), secret: SECRET_KEY.to_owned() },
        region: REGION,
    };
    Some(Server {
        checks_signature: false,
        also: ALSO,
        ..Server::new("LocalStack", version, client, LACKS, process)
    })
}

/// `LocalStack` and its port; `None` if it did not come up.
fn serve(program: &Path) -> Option<(Process, u16)> {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let environment = [
        ("GATEWAY_LISTEN", listen.as_str()),
        ("SERVICES", "s3"),
        ("DNS_ADDRESS", "0"),
        ("DISABLE_EVENTS", "1"),
        ("SKIP_SSL_CERT_DOWNLOAD", "1"),
    ];
    let mut process = Process::start(program, ["-m", "localstack.runtime.main"], &environment);
    process.says("Ready.").then_some((process, port))
}

fn version_of(python: &Path) -> Command {
    command(python, &["-c", "import importlib.metadata as m; print(m.version('localstack-core'))"])
}
