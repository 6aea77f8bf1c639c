//! moto in server mode: AWS's services in memory, with the signature check and the policies of its IAM switched on.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use http::Request;

use super::client::element;
use super::process::{Process, command, installed};
use super::{Client, Keys, Lacks, NO_SUCH_ENDPOINT, REGION, Server};
use crate::support::run::{ACCESS_KEY, SECRET_KEY};

const LACKS: &[Lacks] = &[
    ("key with control characters", "404 Not Found"),
    ("endpoint with a path", NO_SUCH_ENDPOINT),
    ("TLS", NO_SUCH_ENDPOINT),
];

/// A user who may do everything, made by IAM's calls before anything is checked.
const CALLS: [&str; 3] = [
    "Action=CreateUser&UserName=tests",
    "Action=PutUserPolicy&UserName=tests&PolicyName=all&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D",
    "Action=CreateAccessKey&UserName=tests",
];

pub(super) fn start(version: &str) -> Option<Server> {
    let program = installed("moto_server", version, version_of)?;
    let unchecked = CALLS.len().to_string();
    let environment = [("INITIAL_NO_AUTH_ACTION_COUNT", unchecked.as_str()), ("PYTHONUNBUFFERED", "1")];
    let mut process = Process::start(&program, ["-H", "127.0.0.1", "-p", "0"], &environment);
    let authority = process.address("Running on http://", &['\n', '/']);
    let nobody = Keys { id: ACCESS_KEY.to_owned(), secret: SECRET_KEY.to_owned() };
    let mut client = Client { authority, keys: nobody, region: REGION };
    let answers = CALLS.map(|call| {
        let request = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Bytes::from(call)).expect("a request");
        client.send(request, "iam").expect("a user of moto's")
    });
    let made = answers[2].body();
    client.keys = Keys { id: element(made, "AccessKeyId"), secret: element(made, "SecretAccessKey") };
    Some(Server::new("moto", version, client, LACKS, process))
}

/// The program does not print its version, the Python beside it does. A link to it, as pipx makes them, leads there.
fn version_of(program: &Path) -> Command {
    let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let ask = "import importlib.metadata as m; print(m.version('moto'))";
    command(&program.with_file_name("python3"), &["-c", ask])
}
