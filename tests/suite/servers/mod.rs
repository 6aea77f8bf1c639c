//! Other people's servers, and what s3fcp does with each of them: one table of cases for all.
//!
//! Each server has a file that starts it (s3s-fs in this process, the others as programs, if tests/servers.sh has
//! installed them) and lists what it lacks. `cases` is the table, and `client` uploads the objects. Every run prints a
//! line on stderr for each server: what was tested, or why it was skipped.

mod cases;
mod ceph;
mod client;
mod garage;
mod localstack;
mod moto;
pub(crate) mod process;
mod rclone;
mod s3s_fs;
mod some_servers;
mod swift;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use client::{Client, Refused};

use crate::support::notes::tell;
use crate::support::run::{Outcome, S3fcp};

/// The region of the servers that take any.
const REGION: &str = "us-east-1";

/// A case that a server has nothing for, and a part of what it, or the case, says then. Such a case is tried
/// as all others are, and it is a failure when it passes: then the line has to go.
type Lacks = (&'static str, &'static str);

/// The text of a case that needs an endpoint which the server lacks.
const NO_SUCH_ENDPOINT: &str = "no such endpoint";
/// The text of a case that needs a server which checks signatures.
const NO_SIGNATURES: &str = "no signature is checked";

/// An access key.
#[derive(Clone)]
struct Keys {
    id: String,
    secret: String,
}

/// A running server.
struct Server {
    name: &'static str,
    version: String,
    /// Speaks to it, with buckets addressed by path.
    client: Client,
    /// Set if a signature for another region is refused.
    checks_region: bool,
    /// Set if a request needs a signature at all, and the right one.
    checks_signature: bool,
    /// The endpoint whose hosts begin with the bucket.
    virtual_host: Option<String>,
    /// The endpoint that has a path.
    prefixed: Option<String>,
    /// The endpoint over TLS, and the certificate to trust.
    tls: Option<(String, PathBuf)>,
    lacks: &'static [Lacks],
    /// Cases beside the table, of features that few servers have.
    also: &'static [cases::Named],
    /// Things that have to live as long as the server.
    #[expect(dead_code, reason = "kept for its end")]
    running: Box<dyn Any>,
}

impl Server {
    /// A server as most are: it checks signatures and no region, has buckets in its hosts, and no endpoint with a path or
    /// over TLS.
    fn new(
        name: &'static str,
        version: &str,
        client: Client,
        lacks: &'static [Lacks],
        running: impl Any,
    ) -> Self {
        let (_, port) = client.authority.rsplit_once(':').expect("a port");
        Self {
            name,
            version: version.to_owned(),
            checks_region: false,
            checks_signature: true,
            virtual_host: Some(format!("http://s3.localhost:{port}")),
            prefixed: None,
            tls: None,
            lacks,
            also: &[],
            running: Box::new(running),
            client,
        }
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.client.authority)
    }

    /// s3fcp on this server, with the right keys and region.
    fn run(&self) -> S3fcp {
        self.run_at(&self.endpoint())
    }

    /// The same at another of its endpoints.
    fn run_at(&self, endpoint: &str) -> S3fcp {
        let Keys { id, secret } = &self.client.keys;
        let run = S3fcp::at(endpoint).env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
        run.env("AWS_REGION", self.client.region)
    }

    /// A new bucket: stores that are folders have keys that exclude each other.
    fn bucket(&self) -> Result<String, Refused> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let bucket = format!("bucket-{}", NEXT.fetch_add(1, Relaxed));
        self.client.make_bucket(&bucket).map(|()| bucket)
    }

    /// No message may have the secret in it, whichever server's it is.
    #[track_caller]
    fn assert_secret_kept(&self, outcome: &Outcome) {
        assert!(!outcome.stderr.contains(&self.client.keys.secret), "the secret is on stderr");
    }
}

#[test]
fn s3s_fs() {
    every_case(&s3s_fs::start());
}

#[test]
fn moto() {
    if_installed("moto", moto::start);
}

#[test]
fn rclone() {
    if_installed("rclone", rclone::start);
}

#[test]
fn garage() {
    if_installed("Garage", garage::start);
}

#[test]
fn ceph() {
    if_installed("Ceph", ceph::start);
}

#[test]
fn swift() {
    if_installed("Swift", swift::start);
}

#[test]
fn localstack() {
    if_installed("LocalStack", localstack::start);
}

#[test]
fn the_docs_name_the_versions_that_are_tested() {
    let docs = include_str!("../../../docs/compatibility.md");
    let others = ["moto", "rclone", "Garage", "Ceph", "Swift", "LocalStack"]
        .map(|name| (name, pinned(name).to_owned()));
    for (name, version) in others.into_iter().chain([("s3s-fs", s3s_fs::version())]) {
        assert!(
            docs.contains(&format!("| {name} {version} |")),
            "{name} {version} is not in docs/compatibility.md"
        );
    }
}

/// The version that tests/servers.sh installs.
pub(crate) fn pinned(name: &str) -> &'static str {
    let script = include_str!("../../servers.sh");
    let line = format!("\n{}=", name.to_ascii_lowercase());
    let (_, rest) = script.split_once(&line).expect("a version in tests/servers.sh");
    rest.lines().next().unwrap_or_default()
}

fn if_installed(name: &str, start: impl Fn(&str) -> Option<Server>) {
    let version = pinned(name);
    match start(version) {
        Some(server) => every_case(&server),
        None => {
            // What others ship may not run everywhere: that is no failure of s3fcp.
            tell(&format!(
                "SKIPPED real server {name} {version}: not installed (tests/servers.sh does it), or it did not start"
            ));
        }
    }
}

/// Tries every case, one after the other.
fn every_case(server: &Server) {
    let (mut passed, mut lacking, mut failed) = (0, Vec::new(), Vec::new());
    let also = server.also.iter().map(|(name, case)| ((*name).to_owned(), Box::new(case) as cases::Case));
    for (name, case) in cases::table().into_iter().chain(also) {
        let says = server.lacks.iter().find(|(lacking, _)| *lacking == name).map(|(_, says)| *says);
        match (catch_unwind(AssertUnwindSafe(|| case(server))), says) {
            (Ok(Ok(())), None) => passed += 1,
            (Ok(Err(Refused(said))), Some(says)) if said.contains(says) => lacking.push(name),
            (Ok(Err(Refused(said))), _) => failed.push(format!("{name}: refused: {said}")),
            (Ok(Ok(())), Some(_)) => failed.push(format!("{name}: is listed as lacking, and passed")),
            (Err(_), _) => failed.push(format!("{name}: see above")),
        }
    }
    let Server { name, version, .. } = server;
    for (case, _) in server.lacks {
        assert!(
            cases::table().iter().any(|(name, _)| name == case),
            "{name} lacks {case:?}, which is no case"
        );
    }
    assert!(failed.is_empty(), "{name} {version}: {} cases failed:\n{}", failed.len(), failed.join("\n"));
    let lacking = if lacking.is_empty() { "nothing".to_owned() } else { lacking.join(", ") };
    tell(&format!("TESTED real server {name} {version}: {passed} cases; it has no: {lacking}"));
}
