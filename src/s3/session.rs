//! Sessions of directory buckets: the response to `CreateSession`, and the words for one that was refused.
//!
//! The response is read leniently as to order, white space and unknown elements, and strictly as to what requests are
//! signed with: a key or token that is missing, empty or cannot be part of a header makes it unusable. No error quotes
//! it.
//!
//! Source: Amazon S3 API Reference, `CreateSession`.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use http::response::Parts;
use serde::Deserialize;

use crate::error::{Error, ErrorKind};
use crate::s3::date::parse_date;
use crate::s3::error_response::error_from_response;
use crate::s3::secrets::Secrets;

/// How long a session lasts, for a server whose times make no sense.
const LIFETIME: Duration = Duration::from_mins(5);
/// A session that would last longer has an end that cannot be believed.
const LIFETIME_MAX: Duration = Duration::from_hours(24);

/// The response to `CreateSession`: temporary keys for one bucket, and when they end, by the server's clock.
pub(crate) struct NewSession {
    pub(crate) keys: Credentials,
    expiration: SystemTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateSessionResult {
    credentials: SessionCredentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

impl NewSession {
    /// Reads the body of a 200; `None` if requests cannot be signed with what it holds.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}');
        let CreateSessionResult { credentials } = quick_xml::de::from_str(text).ok()?;
        let expiration = parse_date(&credentials.expiration)?;
        let keys = Credentials::new(
            usable(&credentials.access_key_id).filter(|id| !id.contains(['/', ',']))?,
            usable(&credentials.secret_access_key)?,
            Some(usable(&credentials.session_token)?.to_owned()),
            None,
            "CreateSession",
        );
        Some(Self { keys, expiration })
    }

    /// Returns how long the session lasts at `now` by the corrected clock, or at `date`, that of the response, if that
    /// clock cannot be right.
    pub(crate) fn lifetime(&self, now: SystemTime, date: Option<SystemTime>) -> Duration {
        let left = |now: SystemTime| self.expiration.duration_since(now).ok();
        let is_believable = |left: &Duration| !left.is_zero() && *left <= LIFETIME_MAX;
        left(now)
            .filter(is_believable)
            .or_else(|| date.and_then(left).filter(is_believable))
            .unwrap_or(LIFETIME)
    }
}

/// Returns `text` without the space around it, if it can be part of a header.
fn usable(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()))
}

/// Returns how long before its end a session with this lifetime is renewed: a fifth, at most 20 s.
pub(crate) fn renewal_margin(lifetime: Duration) -> Duration {
    const MARGIN_MAX: Duration = Duration::from_secs(20);
    (lifetime / 5).min(MARGIN_MAX)
}

/// Returns the texts of the elements that hold keys, in a document of any shape.
fn keys_in(document: &str) -> impl Iterator<Item = &str> {
    const ELEMENTS: [&str; 3] = ["<SecretAccessKey", "<SessionToken", "<Token-0"];
    ELEMENTS.into_iter().flat_map(move |element| {
        document.match_indices(element).filter_map(move |(at, _)| {
            let (_, after) = document[at..].split_once('>')?;
            let text = after.strip_prefix("<![CDATA[").unwrap_or(after);
            Some(text.split(['<', ']']).next().unwrap_or(text).trim())
        })
    })
}

const SWITCH_HINT: &str = "for a server without sessions set AWS_S3_DISABLE_EXPRESS_SESSION_AUTH=true";

/// Creates the error for a 200 with `head` and `body` that no session can be read from. The keys that it holds all the
/// same, which no request has sent, are hidden as those are.
pub(crate) fn unusable_session(head: &Parts, body: &[u8], mut secrets: Secrets) -> Error {
    keys_in(&String::from_utf8_lossy(body)).for_each(|key| secrets.add(key));
    let error = error_from_response(head, body, &secrets);
    if error.service().is_some_and(|service| service.code.is_some()) {
        return create_session_error(error);
    }
    Error::new(ErrorKind::Server, "CreateSession: the response contains no valid session")
        .with_hint(SWITCH_HINT)
}

const DENIED_HINT: &str = "check that these credentials allow s3express:CreateSession on the bucket";

/// Returns `error`, of a request to a directory bucket, with the action that permits it: there is no `s3:GetObject` for one.
pub(crate) fn in_directory_bucket(error: Error) -> Error {
    let is_denied =
        error.service().is_some_and(|s| s.status == 403 && matches!(s.code(), "AccessDenied" | ""));
    if is_denied { error.with_better_hint(DENIED_HINT) } else { error }
}

/// Returns `error`, of a `CreateSession` that was refused or got no response, in its own words.
pub(crate) fn create_session_error(error: Error) -> Error {
    let Some(service) = error.service() else { return error.in_operation("CreateSession") };
    let words = match (service.status, service.code()) {
        (_, "NoSuchBucket") => None,
        (403, "AccessDenied" | "") => Some((ErrorKind::Access, "access denied", DENIED_HINT)),
        (404 | 410, _) if error.kind() == ErrorKind::NotFound => {
            Some((ErrorKind::NotFound, "no such bucket", "check the bucket's name, its zone and the region"))
        }
        (405 | 501, _) => Some((ErrorKind::Server, "the server does not support sessions", SWITCH_HINT)),
        _ => None,
    };
    match words {
        Some((kind, what, hint)) => error.reworded(kind, what).with_better_hint(hint),
        None => error,
    }
    .in_operation("CreateSession")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ServiceError;
    use std::time::UNIX_EPOCH;

    /// 2026-11-26T01:00:00Z
    const END: u64 = 1_795_654_800;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn document(elements: &[(&str, &str)]) -> String {
        let inner: Vec<_> = elements.iter().map(|(name, text)| format!("<{name}>{text}</{name}>")).collect();
        let inner = inner.concat();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CreateSessionResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Credentials>{inner}</Credentials></CreateSessionResult>"
        )
    }

    const ALL: [(&str, &str); 4] = [
        ("SessionToken", "TOKEN/+="),
        ("SecretAccessKey", "SECRET/+="),
        ("AccessKeyId", "ASIAEXAMPLE"),
        ("Expiration", "2026-11-26T01:00:00Z"),
    ];

    #[track_caller]
    fn assert_read(body: &str) {
        let session = NewSession::read(body.as_bytes()).unwrap_or_else(|| panic!("{body}"));
        assert_eq!(session.keys.access_key_id(), "ASIAEXAMPLE");
        assert_eq!(session.keys.secret_access_key(), "SECRET/+=");
        assert_eq!(session.keys.session_token(), Some("TOKEN/+="));
        assert_eq!(session.expiration, at(END), "{body}");
    }

    #[test]
    fn a_session_is_read_in_any_order_and_with_any_space() {
        let mut order = ALL;
        for _ in 0..4 {
            order.rotate_left(1);
            assert_read(&document(&order));
            assert_read(&document(&order).replace("><", ">\n\t <").replace("TOKEN", "\n TOKEN"));
        }
        order.reverse();
        assert_read(&document(&order));
        assert_read(
            &document(&ALL)
                .split_once("?>")
                .unwrap()
                .1
                .replace(" xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"", ""),
        );
        assert_read(&format!("\u{feff}{}", document(&ALL)));
        assert_read(&document(&ALL).replace("<Credentials>", "<Unknown>1</Unknown><Credentials><Other/>"));
        for end in [
            "2026-11-26T01:00:00.000Z",
            "2026-11-26T02:00:00+0100",
            "2026-11-26 01:00:00 UTC",
            " 2026-11-26T01:00:00z\n",
        ] {
            assert_read(&document(&ALL).replace("2026-11-26T01:00:00Z", end));
        }
        assert_read(&document(&ALL).replace("TOKEN/+=", "<![CDATA[TOKEN/+=]]>"));
        assert_read(&document(&ALL).replace("SECRET/+=", "SECRET&#47;+="));
    }

    #[test]
    fn a_document_that_is_incomplete_or_cannot_be_sent_is_no_session() {
        for missing in 0..4 {
            let mut rest = ALL.to_vec();
            let (name, text) = rest.remove(missing);
            assert!(NewSession::read(document(&rest).as_bytes()).is_none(), "without {name}");
            for value in ["", " ", "a\u{e9}", "a b", "a\u{7f}", "&#10;"] {
                rest.insert(missing, (name, value));
                assert!(NewSession::read(document(&rest).as_bytes()).is_none(), "{name} {value:?}");
                rest.remove(missing);
            }
            let twice = document(&ALL).replace(&format!("<{name}>"), &format!("<{name}>x</{name}><{name}>"));
            assert!(NewSession::read(twice.as_bytes()).is_none(), "two of {name}: {text}");
        }
        let cut = document(&ALL);
        for end in 0..cut.len() - 1 {
            assert!(NewSession::read(&cut.as_bytes()[..end]).is_none(), "{}", &cut[..end]);
        }
        for body in [
            "",
            "{\"Credentials\": {}}",
            "<html>",
            "<CreateSessionResult/>",
            "<CreateSessionResult><Credentials/></CreateSessionResult>",
            "<ListBucketResult><Name>b</Name></ListBucketResult>",
            "<Error><Code>AccessDenied</Code></Error>",
            "\0",
        ] {
            assert!(NewSession::read(body.as_bytes()).is_none(), "{body}");
        }
        assert!(NewSession::read(b"\xff\xfe").is_none());
        assert!(
            NewSession::read(document(&ALL).replace("2026-11-26T01:00:00Z", "tomorrow").as_bytes()).is_none()
        );
    }

    #[test]
    fn the_lifetime_is_that_of_the_corrected_clock_where_it_can_be_believed() {
        let session = NewSession::read(document(&ALL).as_bytes()).unwrap();
        let seconds = |now: u64, date: Option<u64>| session.lifetime(at(now), date.map(at)).as_secs();
        assert_eq!(seconds(END - 300, None), 300);
        assert_eq!(seconds(END - 300, Some(END - 30)), 300);
        assert_eq!(seconds(END + 600, Some(END - 250)), 250, "this clock is ten minutes ahead");
        assert_eq!(seconds(END - 90_000, Some(END - 250)), 250, "this clock is a day behind");
        assert_eq!(seconds(END + 1, None), 300);
        assert_eq!(seconds(END, Some(END)), 300);
    }

    #[test]
    fn sessions_are_renewed_a_fifth_of_their_life_ahead_and_at_most_twenty_seconds() {
        for (lifetime, margin) in [(300, 20.0), (100, 20.0), (99, 19.8), (10, 2.0), (1, 0.2), (0, 0.0)] {
            let found = renewal_margin(Duration::from_secs(lifetime)).as_secs_f64();
            assert!((found - margin).abs() < 1e-9, "{lifetime}: {found}");
        }
    }

    #[test]
    fn a_refused_session_names_the_operation_and_what_it_needs() {
        use ErrorKind::{Access, NotFound, Server};
        for (kind, status, code, exit, says) in [
            (Access, 403, "AccessDenied", 4, "s3express:CreateSession"),
            (Access, 403, "", 4, "s3express:CreateSession"),
            (Access, 403, "InvalidAccessKeyId", 4, "InvalidAccessKeyId"),
            (NotFound, 404, "NoSuchBucket", 3, "NoSuchBucket"),
            (NotFound, 404, "NoSuchKey", 3, "no such bucket"),
            (NotFound, 404, "", 3, "no such bucket"),
            (Server, 404, "", 5, "CreateSession"),
            (NotFound, 405, "MethodNotAllowed", 5, "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH"),
            (Server, 501, "NotImplemented", 5, "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH"),
            (Server, 503, "SlowDown", 5, "CreateSession"),
        ] {
            let code = (!code.is_empty()).then(|| code.to_owned());
            let service = ServiceError { status, code, ..ServiceError::default() };
            let error = create_session_error(Error::new(kind, "it failed").with_service(service));
            let said = error.to_string();
            assert_eq!(error.exit_code(), exit, "{said}");
            assert!(said.starts_with("CreateSession: ") && said.contains(says), "{said}");
        }
        let network = create_session_error(Error::network("the request got no response"));
        assert_eq!(network.to_string(), "CreateSession: the request got no response");
        assert!(network.is_retryable());
        let (head, ()) = http::Response::new(()).into_parts();
        let unusable = unusable_session(&head, b"", Secrets::default());
        assert!(unusable.to_string().starts_with("CreateSession: "));
    }

    /// The error of a 200 quotes the document where that has a code.
    #[test]
    fn keys_of_an_unusable_session_are_hidden() {
        let (head, ()) = http::Response::new(()).into_parts();
        for key in ["SessionToken", "SecretAccessKey", "Token-0"] {
            for element in [
                format!("<{key}>TOPSECRET0123</{key}>"),
                format!("<{key} a='b'> TOPSECRET0123\n</{key}>"),
                format!("<{key}><![CDATA[TOPSECRET0123]]></{key}>"),
                format!("<{key}>TOPSECRET0123"),
            ] {
                let body = format!(
                    "<Error><Code>Odd</Code><Message>it was TOPSECRET0123.</Message>\
                     <RequestId>TOPSECRET0123</RequestId>{element}</Error>"
                );
                let error = unusable_session(&head, body.as_bytes(), Secrets::default());
                let shown = format!("{error} {error:?}");
                assert!(shown.contains("Odd") && !shown.contains("TOPSECRET"), "{element}: {shown}");
            }
        }
    }
}
