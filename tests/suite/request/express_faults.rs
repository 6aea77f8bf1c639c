//! What can go wrong with the session of a directory bucket: refused, late, unusable, expired early.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use crate::support::directory_bucket::{URI, assert_session_hidden, is_session_request};
use crate::support::fault_server::{FaultServer, Gate, Reply, Request};
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::S3fcp;
use crate::support::table;

fn is_session(request: &Request) -> bool {
    is_session_request(&request.target)
}

/// Returns the document of session number `number`.
fn session(number: usize) -> Reply {
    session_until(number, "2999-01-01T00:00:00Z")
}

fn session_until(number: usize, expiration: &str) -> Reply {
    Reply::status(200).body(format!(
        "<CreateSessionResult><Credentials>\n<Expiration>{expiration}</Expiration>\n\
         <AccessKeyId>ASIASESSION</AccessKeyId><SecretAccessKey>SESSIONSECRET{number}</SecretAccessKey>\
         <SessionToken>TOKEN-{number}</SessionToken></Credentials></CreateSessionResult>"
    ))
}

fn token(request: &Request) -> &str {
    request.header("x-amz-s3session-token").unwrap_or_default()
}

/// Starts a server of numbered sessions; `script` answers all other requests.
fn server(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> FaultServer {
    let count = AtomicUsize::new(0);
    FaultServer::start(object(SIZE), move |request| {
        if is_session(request) { session(count.fetch_add(1, Ordering::Relaxed) + 1) } else { script(request) }
    })
}

/// Starts a server that answers `CreateSession` by the reply for its number, from 1, and all else well.
fn refusing(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> FaultServer {
    let count = AtomicUsize::new(0);
    FaultServer::start(object(SIZE), move |request| {
        if is_session(request) { reply(count.fetch_add(1, Ordering::Relaxed) + 1) } else { Reply::ok() }
    })
}

fn run(server: &FaultServer) -> S3fcp {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).logged()
}

fn sessions(server: &FaultServer) -> usize {
    server.requests().iter().filter(|request| is_session(request)).count()
}

/// Returns the GETs of the object.
fn gets(server: &FaultServer) -> Vec<Request> {
    server.gets().into_iter().filter(|request| !is_session(request)).collect()
}

/// The document of a refusal has the token that it refuses.
fn expired(request: &Request, status: u16) -> Reply {
    let token = token(request);
    Reply::status(status).body(format!(
        "<Error><Code>ExpiredToken</Code><Message>The provided token {token} has expired.</Message>\
         <Token-0>{token}</Token-0></Error>"
    ))
}

#[test]
fn a_session_that_expired_early_is_replaced_once_and_no_attempt_is_counted() {
    let table =
        [("400, from the start", (400, 0)), ("403, from the start", (403, 0)), ("400, later", (400, 3))];
    table::each(&table, |&(status, from)| {
        let server = server(move |request| {
            let is_late = request.chunk(CHUNK).is_none_or(|chunk| chunk >= from);
            let is_refused = is_late && token(request) == "TOKEN-1";
            match request.is_get() {
                true if is_refused => expired(request, status),
                // A HEAD has no document.
                false if is_refused && from == 0 => Reply::status(status),
                _ => Reply::ok(),
            }
        });
        let outcome = run(&server).args(["--max-attempts", "1"]).download(URI);
        outcome.assert_object(&object(SIZE));
        assert_session_hidden(&outcome);
        assert_eq!(sessions(&server), 2, "all that were refused together share the next session");
        assert_eq!(server.object_bytes(), SIZE, "no byte twice");
        assert!(gets(&server).len() <= CHUNKS + 4);
    });
}

/// A session is renewed when four fifths of its time are over. The second one is withheld until the last range has been
/// requested: whoever waited for it would wait until the first one ends.
#[test]
fn nobody_waits_while_a_session_is_renewed() {
    const LIFETIME: Duration = Duration::from_secs(20);
    const LAST: u64 = CHUNKS as u64 - 1;
    let (is_due, is_asked, withheld) = (Gate::closed(), Gate::closed(), Gate::closed());
    let begun = SystemTime::now();
    let ends = begun + LIFETIME;
    let expiration = humantime::format_rfc3339_seconds(ends).to_string();
    let alarm = {
        let (is_due, withheld) = (is_due.clone(), withheld.clone());
        std::thread::spawn(move || {
            let sleep_until = |time: SystemTime| {
                std::thread::sleep(time.duration_since(SystemTime::now()).unwrap_or_default());
            };
            sleep_until(begun + LIFETIME * 4 / 5 + Duration::from_millis(500));
            is_due.open();
            sleep_until(begun + LIFETIME);
            withheld.open();
        })
    };
    let count = AtomicUsize::new(0);
    let server = FaultServer::start(object(SIZE), move |request| {
        if is_session(request) {
            return match count.fetch_add(1, Ordering::Relaxed) + 1 {
                1 => session_until(1, &expiration),
                number => {
                    is_asked.open();
                    session(number).delay_until(&withheld)
                }
            };
        }
        match request.chunk(CHUNK) {
            Some(1) => Reply::ok().delay_until(&is_due),
            Some(3) => Reply::ok().delay_until(&is_asked),
            Some(LAST) => {
                withheld.open();
                Reply::ok()
            }
            _ => Reply::ok(),
        }
    });
    let outcome = S3fcp::at(&server.endpoint()).window(1, CHUNK).logged().download(URI);
    outcome.assert_object(&object(SIZE));
    assert_session_hidden(&outcome);
    assert_eq!(sessions(&server), 2);
    let requests = server.requests();
    let second = requests.iter().rposition(is_session).expect("a second session");
    let later: Vec<_> = requests[second..].iter().filter(|request| request.chunk(CHUNK).is_some()).collect();
    assert!(later.len() >= 2, "the second session is asked for in the middle: {second}");
    assert!(gets(&server).iter().all(|get| token(get) == "TOKEN-1"), "nobody waited for the second one");
    alarm.join().expect("an alarm");
}

#[test]
fn a_second_session_that_has_expired_too_ends_it() {
    let table = [("from the start", 0), ("later", 3)];
    table::each(&table, |&from| {
        let server = server(move |request| match request.chunk(CHUNK) {
            Some(chunk) if chunk >= from => expired(request, 400),
            _ => Reply::ok(),
        });
        let outcome = run(&server).download(URI);
        outcome.assert_failed(4, &object(SIZE));
        assert_session_hidden(&outcome);
        assert!(outcome.stderr.contains("session has expired"), "{}", outcome.stderr);
        assert!(sessions(&server) <= 6, "{}", sessions(&server));
        let tried = gets(&server).iter().filter(|get| get.chunk(CHUNK) == Some(from)).count();
        assert_eq!(tried, 2);
    });
}

#[test]
fn a_head_without_a_reason_is_sent_again_with_a_new_session() {
    for status in [400, 403] {
        let server = server(move |request| match token(request) {
            "TOKEN-1" if !request.is_get() => Reply::status(status),
            _ => Reply::ok(),
        });
        let outcome = run(&server).args(["--info"]).download(URI);
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert_eq!((sessions(&server), gets(&server).len(), server.requests().len()), (2, 0, 4));
    }
}

#[test]
fn an_object_that_is_denied_is_denied_and_not_asked_for_again_and_again() {
    let server =
        server(
            |request| {
                if request.is_get() { Reply::status(403).code("AccessDenied") } else { Reply::status(403) }
            },
        );
    for args in [&[][..], &["--info"]] {
        let before = server.requests().len();
        let outcome = run(&server).args(args).download(URI);
        outcome.assert_failed(4, &[]);
        assert!(outcome.stderr.contains("AccessDenied"), "{}", outcome.stderr);
        let requests = server.requests().len() - before;
        assert!(requests <= 8, "{requests}");
    }
    assert!(sessions(&server) <= 4, "{}", sessions(&server));
}

#[test]
fn a_session_that_is_not_given_is_asked_for_again_and_then_named() {
    let gate = Gate::closed();
    let silent = gate.clone();
    let table: [(&str, Box<dyn Fn() -> Reply + Send + Sync>); 10] = [
        ("a document that stalls", Box::new(|| session(1).stall_after(40))),
        ("500", Box::new(|| Reply::status(500).code("InternalError"))),
        ("503", Box::new(|| Reply::status(503).code("SlowDown"))),
        ("503 without a document", Box::new(|| Reply::status(503))),
        ("a closed connection", Box::new(|| Reply::raw(""))),
        ("a reset", Box::new(|| session(1).reset_after(0))),
        ("a reset in the middle", Box::new(|| session(1).reset_after(100))),
        ("silence", Box::new(move || session(1).delay_until(&silent))),
        ("a document that is cut", Box::new(|| session(1).cut_after(40))),
        ("an error with the status 200", Box::new(|| Reply::status(200).code("InternalError"))),
    ];
    table::each(&table, |reply| {
        // Once, and for ever.
        let (first, later) = (reply(), reply());
        let server = refusing(move |number| if number == 1 { first.clone() } else { session(number) });
        let limits = ["--max-attempts", "3", "--first-byte-timeout", "500ms", "--stall-timeout", "500ms"];
        let outcome = run(&server).args(limits).download(URI);
        outcome.assert_object(&object(SIZE));
        assert!((2..=3).contains(&sessions(&server)), "{}", sessions(&server));

        let server = refusing(move |_| later.clone());
        let outcome = run(&server).args(limits).download(URI);
        outcome.assert_failed(5, &[]);
        assert_session_hidden(&outcome);
        assert!(outcome.stderr.contains("CreateSession"), "{}", outcome.stderr);
        assert!((3..=16).contains(&sessions(&server)), "{}", sessions(&server));
        assert!(gets(&server).is_empty(), "nothing is asked for without a session");
    });
    drop(gate);
}

/// There is no `s3:GetObject` for a directory bucket.
#[test]
fn an_object_that_is_refused_names_the_action_of_directory_buckets() {
    let server = server(|_| Reply::status(403).code("AccessDenied"));
    let outcome = run(&server).download(URI);
    outcome.assert_failed(4, &[]);
    assert!(outcome.stderr.contains("s3express:CreateSession"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("ListBucket"), "{}", outcome.stderr);
}

#[test]
fn a_session_that_is_refused_says_what_is_missing() {
    let table = [
        ("a permission", (403, "AccessDenied", 4, "s3express:CreateSession")),
        ("a bucket", (404, "NoSuchBucket", 3, "NoSuchBucket")),
        ("keys", (403, "InvalidAccessKeyId", 4, "InvalidAccessKeyId")),
        ("a right signature", (403, "SignatureDoesNotMatch", 4, "SignatureDoesNotMatch")),
        ("the operation", (501, "NotImplemented", 5, "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH")),
        ("keys that last", (400, "ExpiredToken", 4, "ExpiredToken")),
    ];
    table::each(&table, |&(status, code, exit, says)| {
        let document = format!(
            "<Error><Code>{code}</Code><Message>m</Message><Token-0>TOKEN-0123456789</Token-0></Error>"
        );
        let server = refusing(move |_| Reply::status(status).body(document.clone()));
        let outcome = run(&server).download(URI);
        outcome.assert_failed(exit, &[]);
        assert_session_hidden(&outcome);
        let says_all = outcome.stderr.contains("CreateSession: ") && outcome.stderr.contains(says);
        assert!(says_all, "{}", outcome.stderr);
        assert!((1..=4).contains(&sessions(&server)), "{}", sessions(&server));
        assert!(gets(&server).is_empty());
    });
}

#[test]
fn a_response_without_a_usable_session_is_an_error_and_no_request_is_signed_with_it() {
    let whole = "<CreateSessionResult><Credentials><SessionToken>TOKEN-1</SessionToken><SecretAccessKey>SESSIONSECRET\
                 </SecretAccessKey><AccessKeyId>A</AccessKeyId><Expiration>2999-01-01T00:00:00Z</Expiration>\
                 </Credentials></CreateSessionResult>";
    let table = [
        ("empty", String::new()),
        ("no XML", "TOKEN-1".to_owned()),
        ("another document", "<ListBucketResult><Name>b</Name></ListBucketResult>".to_owned()),
        ("an empty token", whole.replace("TOKEN-1", "")),
        ("no token", whole.replace("SessionToken", "Other")),
        ("a token that no header can hold", whole.replace("TOKEN-1", "TOKEN-1&#10;x")),
        ("no end", whole.replace("2999-01-01T00:00:00Z", "")),
        ("not closed", whole.replace("</Credentials>", "")),
    ];
    table::each(&table, |body| {
        let body = body.clone();
        let server = refusing(move |_| Reply::status(200).body(body.clone()));
        let outcome = run(&server).download(URI);
        outcome.assert_failed(5, &[]);
        assert_session_hidden(&outcome);
        assert!(
            outcome.stderr.contains("CreateSession: the response contains no valid session"),
            "{}",
            outcome.stderr
        );
        assert!(gets(&server).is_empty());
        assert!(sessions(&server) <= 3, "{}", sessions(&server));
    });
}

/// The clock is corrected as for any request, and the session's end is compared with the corrected one.
#[test]
fn a_clock_that_is_wrong_is_corrected_for_the_session_too() {
    for hours in [-3, 3] {
        let now = SystemTime::now();
        let by = Duration::from_hours(3);
        let there = if hours < 0 { now - by } else { now + by };
        let end = humantime::format_rfc3339_seconds(there + Duration::from_mins(5)).to_string();
        let hour = |time| {
            humantime::format_rfc3339_seconds(time).to_string().replace(['-', ':'], "")[..11].to_owned()
        };
        let hours_there = [hour(there), hour(there + Duration::from_mins(2))];
        let there = humantime::format_rfc3339_seconds(there).to_string();
        let document =
            format!("<Error><Code>RequestTimeTooSkewed</Code><ServerTime>{there}</ServerTime></Error>");
        let granted = format!(
            "<CreateSessionResult><Credentials><SessionToken>TOKEN-1</SessionToken><SecretAccessKey>SESSIONSECRET\
             </SecretAccessKey><AccessKeyId>A</AccessKeyId><Expiration>{end}</Expiration></Credentials>\
             </CreateSessionResult>"
        );
        let server = refusing(move |number| match number {
            1 => Reply::status(403).body(document.clone()),
            _ => Reply::status(200).body(granted.clone()),
        });
        run(&server).download(URI).assert_object(&object(SIZE));
        assert_eq!(sessions(&server), 2);
        let signed = gets(&server)[0].header("x-amz-date").unwrap_or_default()[..11].to_owned();
        assert!(hours_there.contains(&signed), "signed at {signed}, and it is {hours_there:?} there");
    }
}
