//! Runs a case: the binary against a server with the fault, first one range at a time, then several.
//!
//! It asserts the contract (the object, or a prefix of it and the right exit code), the requests that the server saw
//! and the bytes that it sent. One range at a time, all counts are exact. With several, a download that ends early may
//! already have requested any of the later ranges.

use std::net::{Ipv4Addr, SocketAddr};

use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::case::{ATTEMPTS, Case, Ends, Fault, Phase, Place, Times};
use crate::support::certificate::self_signed;
use crate::support::fault_server::{FaultServer, Greeting, Options, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{Outcome, S3fcp, SESSION_TOKEN, URI};

/// Requests of one range that are sent again, on new connections or on kept ones, without being an attempt.
const MOVES_MAX: usize = 6;

pub(super) fn check(case: &Case) {
    check_with(case, 1);
    // Which range a connection is for is only known when they come one by one.
    if !matches!(case.fault, Fault::Met(_) | Fault::Refused) {
        check_with(case, 4);
    }
}

fn check_with(case: &Case, concurrency: u64) {
    let Some(server) = Served::start(case) else {
        return check_outcome(case, &refused(case));
    };
    let mut run = server.run().window(concurrency, CHUNK).env("AWS_SESSION_TOKEN", SESSION_TOKEN);
    if case.times == Times::Always {
        run = run.args(["--max-attempts", &ATTEMPTS.to_string()]);
    }
    if case.impatient {
        run = run.args(["--first-byte-timeout", "1s", "--stall-timeout", "1s"]);
    }
    // Messages about it, or their absence, do not change how it ends.
    let is_logged = concurrency > 1 || matches!(case.fault, Fault::Met(_));
    let outcome = if is_logged { run.logged() } else { run }.download(URI);
    assert_eq!(outcome.log.is_empty(), !is_logged, "{}", outcome.log);
    check_outcome(case, &outcome);
    check_traffic(case, concurrency, &server.server);
    check_secrets(&outcome, &server.server);
}

fn check_outcome(case: &Case, outcome: &Outcome) {
    match case.ends {
        Ends::Whole => {
            outcome.assert_object(&object(SIZE));
            let shown: Vec<_> = outcome.stderr.lines().filter(|line| !is_of_integrity(case, line)).collect();
            assert!(shown.is_empty(), "a fault that was survived is not mentioned: {shown:?}");
        }
        Ends::Exit(code) => {
            outcome.assert_failed(code, &object(SIZE));
            assert_eq!(code == 6, outcome.stderr.contains("changed"), "{}", outcome.stderr);
        }
    }
    assert_eq!(outcome.stdout.len() as u64, case.delivered);
}

/// Returns whether `line` says how far the bytes of this case are proven.
fn is_of_integrity(case: &Case, line: &str) -> bool {
    let is_of_head = matches!(case.fault, Fault::Head(_));
    let is_weak = case.name.ends_with("ETag");
    (is_weak && line.contains("--unsafe-ranges"))
        || ((is_weak || is_of_head) && line.contains("not compared with the store's checksum"))
}

fn check_traffic(case: &Case, concurrency: u64, server: &FaultServer) {
    let gets = server.gets();
    let sent = server.object_bytes();
    if concurrency == 1 || case.ends == Ends::Whole {
        // Where others work, a new connection that ends before its response may be one too many: the request is then
        // sent on another one, a few times, which costs no attempt.
        let is_cut = case.at.phase == Phase::Head && case.times == Times::Always;
        let more = if is_cut { MOVES_MAX } else { 0 };
        assert!((case.requests..=case.requests + more).contains(&gets.len()), "{gets:?}");
        assert!(case.sent.contains(&sent), "{sent} bytes sent, not {:?}", case.sent);
    } else {
        let tries = gets.iter().filter(|get| get.chunk(CHUNK) == Some(case.at.place.chunk())).count();
        // Fewer where it is on a new connection that the range is asked for: see `rows/connections.rs`.
        let tries_max = case.tries + MOVES_MAX;
        assert!(tries <= tries_max && gets.len() < CHUNKS + tries_max, "{gets:?}");
        let wasted = case.sent.end() - case.sent.start();
        assert!((case.delivered..=SIZE + wasted).contains(&sent), "{sent} bytes sent");
    }
}

/// Secrets are looked for in every run; here the server also knows the signatures.
fn check_secrets(outcome: &Outcome, server: &FaultServer) {
    for request in server.requests() {
        assert_eq!(request.header("x-amz-security-token"), Some(SESSION_TOKEN));
        let authorization = request.header("authorization").expect("a signed request");
        let (_, signature) = authorization.rsplit_once("Signature=").expect("a signature");
        for text in [&outcome.stderr, &outcome.log] {
            assert!(!text.contains(signature), "a signature is on stderr: {text}");
        }
    }
}

/// A server with the case's fault, and the certificates that its client trusts.
struct Served {
    server: FaultServer,
    trusted: Option<TempDir>,
}

impl Served {
    /// `None` where nobody is to listen.
    fn start(case: &Case) -> Option<Self> {
        let mut options = Options::default();
        let mut trusted = None;
        if case.tls {
            let name = if let Fault::For(other) = case.fault { other } else { "127.0.0.1" };
            let (config, mut pem) = self_signed(name);
            options = options.tls(config);
            if let Fault::Untrusted = case.fault {
                pem = self_signed(name).1;
            }
            let folder = folder();
            std::fs::write(folder.path().join("ca.pem"), pem).expect("a file");
            trusted = Some(folder);
        }
        match case.fault {
            Fault::Refused => return None,
            Fault::Met(greeting) => options = options.greet(greet(case.at.place, greeting, case.times)),
            _ => {}
        }
        let case = case.clone();
        let server = options.start(object(SIZE), move |request| answer(&case, request));
        Some(Self { server, trusted })
    }

    fn run(&self) -> S3fcp {
        let run = S3fcp::at(&self.server.endpoint());
        match &self.trusted {
            Some(folder) => run.env("AWS_CA_BUNDLE", folder.path().join("ca.pem")),
            None => run,
        }
    }
}

/// Each request has a connection of its own then (see [`answer`]): the first two are those of HEAD and of the
/// first range, whichever is first, and the others follow in order.
fn greet(place: Place, greeting: Greeting, times: Times) -> impl Fn(usize) -> Greeting + Send + Sync {
    move |number| {
        let chunk = (number as u64).saturating_sub(1);
        let strikes = if times == Times::Once { chunk == place.chunk() } else { chunk >= place.chunk() };
        if strikes { greeting } else { Greeting::Serve }
    }
}

fn answer(case: &Case, request: &Request) -> Reply {
    let is_there = request.chunk(CHUNK) == Some(case.at.place.chunk());
    let is_turn = case.times == Times::Always || request.attempt == 0;
    match &case.fault {
        Fault::Met(_) => Reply::ok().header("connection", "close"),
        Fault::Answered(reply) if is_there && is_turn => reply.clone(),
        Fault::Rest(_) if is_there && request.attempt == 0 => Reply::ok().cut_after(case.cut()),
        Fault::Rest(reply) if is_there && request.attempt == 1 => reply.clone(),
        Fault::All(reply) if request.is_get() => reply.clone(),
        Fault::Begun(reply, _) if request.is_get() && request.serial == 0 => reply.clone(),
        Fault::Begun(_, reply) if request.is_get() => reply.clone(),
        Fault::Head(reply) if !request.is_get() => reply.clone(),
        _ => Reply::ok(),
    }
}

/// A port that stays ours and listens to nobody.
fn refused(case: &Case) -> Outcome {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
    let address = socket.local_addr().expect("its address");
    let scheme = if case.tls { "https" } else { "http" };
    S3fcp::at(&format!("{scheme}://{address}")).args(["--max-attempts", "2"]).download(URI)
}
