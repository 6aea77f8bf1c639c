//! The cases of the error snapshots: one for each way in which a user meets an error, by the exit code it ends in.

use crate::support::fault_server::{FaultServer, Reply, Request, always, cut_then};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};

type Script = Box<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A command, and what the server answers that it meets.
pub(super) struct Case {
    pub(super) what: &'static str,
    /// As they are typed; the options that lead to the server follow them.
    pub(super) args: Vec<&'static str>,
    env: Vec<(&'static str, &'static str)>,
    script: Option<fn() -> Script>,
    /// Where stdout goes, for a shell.
    redirection: &'static str,
}

impl Case {
    pub(super) fn server(&self) -> Option<FaultServer> {
        let script = self.script?();
        Some(FaultServer::start(object(SIZE), move |request| script(request)))
    }

    pub(super) fn run(&self, server: Option<&FaultServer>) -> Outcome {
        let mut run =
            if self.redirection.is_empty() { S3fcp::new() } else { S3fcp::redirected(self.redirection) };
        for (name, value) in &self.env {
            run = if value.is_empty() { run.without_env(name) } else { run.env(name, value) };
        }
        run = match server {
            Some(server) => run.env("AWS_ENDPOINT_URL", server.endpoint()).window(1, CHUNK),
            None if self.args.contains(&"--endpoint") => run,
            // Should anybody be asked against all expectation, then nobody beyond this machine.
            None => run.env("ALL_PROXY", "http://127.0.0.1:1"),
        };
        if server.is_some() {
            run = run.args(["--max-attempts", "2", "--hedge", "off"]);
        }
        // The server's URL is known only now.
        let url = server.map(|server| format!("{}/path?X-Amz-Credential=key", server.endpoint()));
        run.args(self.args.iter().map(|arg| match (*arg, &url) {
            ("URL", Some(url)) => url.as_str(),
            _ => arg,
        }))
        .start()
        .wait()
    }

    /// With this variable; without it where it is empty.
    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// With stdout going there.
    fn to(mut self, redirection: &'static str) -> Self {
        self.redirection = redirection;
        self
    }
}

/// Nobody is asked.
fn typed(what: &'static str, args: &'static str) -> Case {
    let args = args.split_whitespace().collect();
    Case { what, args, env: Vec::new(), script: None, redirection: "" }
}

/// The object is asked for, and this comes.
fn asked(what: &'static str, args: &'static str, script: fn() -> Script) -> Case {
    let mut case = Case { script: Some(script), ..typed(what, args) };
    if !case.args.iter().any(|arg| *arg == "URL" || arg.starts_with("s3://")) {
        case.args.push(URI);
    }
    case
}

/// One answer to everything.
macro_rules! all {
    ($reply:expr) => {
        || Box::new(|_: &Request| $reply)
    };
}

/// The name of each snapshot, and the exit code of its cases.
pub(super) fn tables() -> Vec<(&'static str, i32, Vec<Case>)> {
    vec![
        ("exit-2-arguments", 2, arguments()),
        ("exit-2-configuration", 2, configuration()),
        ("exit-3", 3, not_found()),
        ("exit-4", 4, access()),
        ("exit-5", 5, network_or_server()),
        ("exit-6", 6, changed()),
        ("exit-7", 7, integrity()),
        ("exit-8", 8, output()),
        #[cfg(target_os = "linux")]
        ("exit-8-linux", 8, full()),
    ]
}

fn arguments() -> Vec<Case> {
    vec![
        typed("no argument", ""),
        typed("no scheme", "bucket/key"),
        typed("another scheme", "ftp://bucket/key"),
        typed("no key", "s3://bucket"),
        typed("a folder", "s3://bucket/"),
        typed("no bucket", "s3:///key"),
        typed("a URL without a host", "https:///path"),
        typed("a URL with a password", "https://user:hunter2@host/path"),
        typed("a misspelt option", "--chunksize 1MiB s3://bucket/key"),
        typed("an object as a file", "--output s3://bucket/key"),
        typed("an object as a range", "--range s3://bucket/key"),
        typed("a letter of another program", "-c -o file s3://bucket/key"),
        typed("a subcommand", "help"),
        typed("a bucket's ARN", "s3://arn:aws:s3:::bucket/key"),
        typed("a number that is too large", "-c 5000 s3://bucket/key"),
        typed("a size in another program's unit", "--part-size 50 s3://bucket/key"),
        typed("a size of an unknown unit", "--chunk-size 8parsecs s3://bucket/key"),
        typed("too little memory", "--max-memory 1MiB s3://bucket/key"),
        typed("a range that is none", "--range 5 s3://bucket/key"),
        typed("a range that ends before it begins", "--range 9-5 s3://bucket/key"),
        typed("a weak ETag", "--if-match W/\"e\" s3://bucket/key"),
        typed("a word that is none of the choices", "--checksum on s3://bucket/key"),
        typed("a time that is none", "--stall-timeout soon s3://bucket/key"),
        typed("options that exclude each other", "--info --range 0-5 s3://bucket/key"),
        typed("a range of several objects", "--range 0-5 s3://bucket/a s3://bucket/b"),
        typed("an option that needs another", "--force s3://bucket/key"),
        typed("a piece of any version", "--shard 0/4 s3://bucket/key"),
        typed("a piece that there is not", "--shard 4/4 --if-match e s3://bucket/key"),
        typed("an option for S3 with a URL", "--region eu-west-1 https://host/path"),
    ]
}

fn configuration() -> Vec<Case> {
    vec![
        typed("an endpoint without a scheme", "--endpoint localhost:9000 s3://bucket/key"),
        typed("an endpoint with a password", "--endpoint http://user:hunter2@localhost s3://bucket/key"),
        typed("an endpoint from the environment", URI).env("AWS_ENDPOINT_URL_S3", "localhost"),
        typed("a region that is none", "--region nowhere/# s3://bucket/key"),
        typed("a profile that is not there", "--profile none s3://bucket/key")
            .env("AWS_CONFIG_FILE", "none.config")
            .env("AWS_SHARED_CREDENTIALS_FILE", "none.credentials"),
        typed("a number of tries that is none", URI).env("AWS_MAX_ATTEMPTS", "many"),
        typed("a proxy that is none", "--endpoint http://store.invalid s3://bucket/key")
            .env("HTTP_PROXY", "socks4://hunter2@proxy"),
        typed(
            "certificates that are not there",
            "--endpoint https://store.invalid --ca-bundle none.pem s3://bucket/key",
        ),
        typed("a customer's key that is none", "--sse-c-key none.key s3://bucket/key"),
        typed(
            "a customer's key in plain sight",
            "--endpoint http://store.invalid --sse-c-key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= s3://bucket/key",
        ),
        typed("an endpoint and AWS's other hosts", "--endpoint http://store.invalid --fips s3://bucket/key"),
        typed("a directory bucket without a zone", "s3://bucket--x-s3/key"),
        typed("a level that there is not", URI).env("RUST_LOG", "s3fcp=verbose"),
        asked("a range beyond the end", "--range 400000-", all!(Reply::ok())),
        asked("no checksum to compare with", "--checksum require", all!(Reply::ok().etag("\"none\""))),
        asked(
            "a bucket in a region of which nobody says the name",
            "",
            all!(Reply::status(301).code("PermanentRedirect")),
        ),
    ]
}

fn not_found() -> Vec<Case> {
    vec![
        asked("no such key", "", all!(Reply::status(404).code("NoSuchKey"))),
        asked("no such key, and a pattern", "s3://bucket/logs/*", all!(Reply::status(404).code("NoSuchKey"))),
        asked("no such bucket", "", all!(Reply::status(404).code("NoSuchBucket"))),
        asked("no such version", "--version-id v1", all!(Reply::status(404).code("NoSuchVersion"))),
        asked(
            "a delete marker",
            "--version-id v1",
            all!(Reply::status(405).code("MethodNotAllowed").header("x-amz-delete-marker", "true")),
        ),
        asked("nothing at a URL", "URL", all!(Reply::status(404))),
    ]
}

fn access() -> Vec<Case> {
    let without_keys = |what| typed(what, URI).env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
    vec![
        without_keys("no credentials"),
        typed("half of the credentials", URI).env("AWS_SECRET_ACCESS_KEY", ""),
        asked("denied", "", all!(Reply::status(403).code("AccessDenied"))),
        asked("an unknown key", "", all!(Reply::status(403).code("InvalidAccessKeyId"))),
        asked("a wrong secret", "", all!(Reply::status(403).code("SignatureDoesNotMatch"))),
        asked("expired", "", all!(Reply::status(400).code("ExpiredToken"))),
        asked("a wrong clock", "", all!(Reply::status(403).code("RequestTimeTooSkewed"))),
        asked("archived", "", all!(Reply::status(403).code("InvalidObjectState"))),
        asked("a 403 without a word", "", all!(Reply::status(403))),
        asked("a presigned URL that has expired", "URL", all!(Reply::status(403).code("AccessDenied"))),
        asked("a proxy that wants a password", "", all!(Reply::status(407))),
    ]
}

fn network_or_server() -> Vec<Case> {
    vec![
        // Nobody may listen at port 1 but the system's own, and a label of a name has up to 63 letters: no resolver is
        // asked for more.
        typed("nobody listens", "--endpoint http://127.0.0.1:1 --max-attempts 2 s3://bucket/key"),
        typed(
            "no such host",
            "--endpoint http://xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx --max-attempts 2 s3://bucket/key",
        ),
        asked("no answer", "", all!(Reply::raw(""))),
        asked("no HTTP", "", all!(Reply::raw("220 smtp.example ESMTP\r\n"))),
        asked(
            "silence",
            "--first-byte-timeout 0.2",
            all!(Reply::ok().stall_after(0).delay_until(&crate::support::fault_server::Gate::closed())),
        ),
        asked("a body that stalls", "--stall-timeout 0.2", || {
            Box::new(always(2, Reply::ok().stall_after(1000)))
        }),
        asked("a body that is cut", "", || Box::new(always(2, Reply::ok().cut_after(1000)))),
        asked("the service fails", "", all!(Reply::status(500).code("InternalError"))),
        asked("the service is busy", "", all!(Reply::status(503).code("SlowDown"))),
        asked("not implemented", "", all!(Reply::status(501).code("NotImplemented"))),
        asked("another range", "", || Box::new(always(2, Reply::part(0..10)))),
        asked(
            "a redirect of a URL to elsewhere",
            "URL",
            all!(Reply::status(302).header("location", "ftp://h/")),
        ),
    ]
}

fn changed() -> Vec<Case> {
    vec![
        asked("another version than was named", "--if-match other", all!(Reply::ok())),
        asked("replaced in the middle", "", || Box::new(cut_then(2, 1000, Reply::ok().etag("\"another\"")))),
        asked("refused in the middle", "", || {
            Box::new(always(2, Reply::status(412).code("PreconditionFailed")))
        }),
        asked("shorter in the middle", "", || {
            Box::new(always(2, Reply::status(416).code("InvalidRange").content_range("bytes */100")))
        }),
    ]
}

fn integrity() -> Vec<Case> {
    vec![asked("another checksum", "", || {
        Box::new(|request: &Request| {
            let full = Reply::ok().header("x-amz-checksum-type", "FULL_OBJECT");
            if request.is_get() { Reply::ok() } else { full.header("x-amz-checksum-crc32", "AAAAAA==") }
        })
    })]
}

fn output() -> Vec<Case> {
    vec![
        asked("a folder that is not there", "-o none/", all!(Reply::ok())),
        asked("a file in a folder that is not there", "-o none/file", all!(Reply::ok())),
        asked("a file that is there", "-o there", all!(Reply::ok())).to(">there"),
    ]
}

/// Other systems have no such device.
#[cfg(target_os = "linux")]
fn full() -> Vec<Case> {
    vec![asked("a full disk", "", all!(Reply::ok())).to(">/dev/full")]
}
