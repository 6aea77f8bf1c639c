//! Corrections that an error response asks for: another region, another clock, fresh credentials.
//!
//! Pure: the clock is a parameter, and nothing is sent.

use crate::error::Error;
use crate::s3::address::partition::same_partition;
use crate::s3::address::region::Region;
use crate::s3::address::signing_scope::{AuthScheme, SigningScope};

/// A change after which the same request can succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Correction {
    /// Sign for this region, and send to its host.
    Region(Region),
    /// Sign with the server's clock, in seconds since the epoch: the first of these that can be believed.
    Clock([Option<u64>; 2]),
    /// Ask the source of the credentials for new ones.
    Credentials,
    /// Ask for a new session of the directory bucket.
    Session,
}

/// Returns the correction that `error` calls for if the request was signed with a session. The response to HEAD has no
/// document that says why, so a refusal of one may be for a session that has ended.
pub(crate) fn session_correction(error: &Error, is_head: bool) -> Option<Correction> {
    let service = error.service()?;
    let has_ended = match (service.status, service.code()) {
        (_, "ExpiredToken" | "TokenRefreshRequired") => true,
        (400 | 403, "") => is_head && service.region.is_none(),
        _ => false,
    };
    has_ended.then_some(Correction::Session)
}

/// Returns the correction that `error`, the response to a request signed for `scope`, calls for, if any. Each kind
/// of correction is worth one immediate attempt. At a custom endpoint the server may name any region that can be
/// configured for it.
pub(crate) fn correction(
    error: &Error,
    scope: &SigningScope,
    endpoint_is_custom: bool,
) -> Option<Correction> {
    let service = error.service()?;
    match (service.status, service.code()) {
        (_, "RequestTimeTooSkewed") => {
            let clocks = [service.server_time, service.date];
            clocks.iter().any(Option::is_some).then_some(Correction::Clock(clocks))
        }
        (_, "ExpiredToken" | "TokenRefreshRequired") => Some(Correction::Credentials),
        // HEAD has no body: a redirect or a 400 that names a region stands for the code.
        // One host serves all regions of a multi-region access point.
        (301 | 307 | 400, _) if scope.scheme != AuthScheme::SigV4a => {
            let region = &scope.region;
            let named = Region::parse_for(service.region.as_deref()?, endpoint_is_custom).ok()?;
            // Credentials of one partition are never sent to another.
            (named != *region && same_partition(&named, region)).then_some(Correction::Region(named))
        }
        _ => None,
    }
}

/// The largest difference between two clocks that is corrected.
const SKEW_SECONDS_MAX: i64 = 24 * 3600;

/// Returns what to add to this machine's clock `here` to sign with the server's, both in seconds since the epoch;
/// `None` if the difference is too large to be believed.
pub(crate) fn clock_skew(server: u64, here: u64) -> Option<i64> {
    let skew = i64::try_from(server).ok()?.checked_sub(i64::try_from(here).ok()?)?;
    (skew.abs() <= SKEW_SECONDS_MAX).then_some(skew)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, ServiceError};

    #[test]
    fn a_skew_of_more_than_a_day_is_not_believed() {
        const NOW: u64 = 1_800_000_000;
        for (server, skew) in [
            (NOW, Some(0)),
            (NOW + 86_400, Some(86_400)),
            (NOW - 86_400, Some(-86_400)),
            (NOW + 86_401, None),
            (NOW - 86_401, None),
            (0, None),
            (253_402_300_799, None),
            (u64::MAX, None),
        ] {
            assert_eq!(clock_skew(server, NOW), skew, "{server}");
        }
    }

    #[test]
    fn errors_map_to_the_correction_that_they_call_for() {
        let region = Region::parse("us-east-1").unwrap();
        let here = SigningScope { region, service: "s3", scheme: AuthScheme::SigV4 };
        let named = |region: &str| Some(region.to_owned());
        let moved = Some(Correction::Region(Region::parse("eu-west-1").unwrap()));
        let skewed = ServiceError { date: Some(7), ..ServiceError::of(403, "RequestTimeTooSkewed") };
        let by_both = ServiceError { server_time: Some(8), ..skewed.clone() };
        for (service, want) in [
            (skewed, Some(Correction::Clock([None, Some(7)]))),
            (by_both, Some(Correction::Clock([Some(8), Some(7)]))),
            (ServiceError::of(403, "RequestTimeTooSkewed"), None),
            (ServiceError::of(400, "ExpiredToken"), Some(Correction::Credentials)),
            (ServiceError::of(400, "TokenRefreshRequired"), Some(Correction::Credentials)),
            (
                ServiceError { region: named("eu-west-1"), ..ServiceError::of(301, "PermanentRedirect") },
                moved.clone(),
            ),
            (
                ServiceError { region: named("eu-west-1"), ..ServiceError::of(307, "TemporaryRedirect") },
                moved.clone(),
            ),
            (ServiceError { region: named("eu-west-1"), ..ServiceError::of(301, "") }, moved.clone()),
            (ServiceError { region: named("eu-west-1"), ..ServiceError::of(400, "") }, moved.clone()),
            (
                ServiceError {
                    region: named("eu-west-1"),
                    ..ServiceError::of(400, "AuthorizationHeaderMalformed")
                },
                moved,
            ),
            (ServiceError::of(301, "PermanentRedirect"), None),
            (ServiceError { region: named("us-east-1"), ..ServiceError::of(400, "") }, None),
            (
                ServiceError { region: named("cn-north-1"), ..ServiceError::of(301, "PermanentRedirect") },
                None,
            ),
            (
                ServiceError { region: named("us-gov-west-1"), ..ServiceError::of(301, "PermanentRedirect") },
                None,
            ),
            (ServiceError { region: named("evil.example/"), ..ServiceError::of(301, "") }, None),
            (ServiceError { region: named("eu-west-1"), ..ServiceError::of(403, "AccessDenied") }, None),
            (ServiceError { region: named("eu-west-1"), ..ServiceError::of(404, "NoSuchKey") }, None),
        ] {
            let error = Error::new(ErrorKind::Server, "failed").with_service(service.clone());
            assert_eq!(correction(&error, &here, false), want, "{service:?}");
            assert_eq!(correction(&error, &here, true), want, "{service:?}");
        }
    }

    #[test]
    fn a_region_means_nothing_where_the_signature_is_for_all() {
        let region = Some("eu-west-1".to_owned());
        let moved = ServiceError { region, ..ServiceError::of(301, "PermanentRedirect") };
        let error = Error::new(ErrorKind::Server, "failed").with_service(moved);
        let scope = SigningScope { region: Region::default(), service: "s3", scheme: AuthScheme::SigV4a };
        assert_eq!(correction(&error, &scope, false), None);
    }

    #[test]
    fn a_server_may_name_the_regions_that_its_endpoint_may_be_configured_with() {
        let scope = SigningScope { region: Region::default(), service: "s3", scheme: AuthScheme::SigV4 };
        for (name, at_custom, at_aws) in [
            ("garage", true, true),
            ("RegionOne", true, true),
            ("zg_publicru", true, false),
            ("eu.west", true, false),
            ("region:1", true, false),
            ("a/b", false, false),
            ("a,b", false, false),
            ("a b", false, false),
            ("a\n", false, false),
            ("", false, false),
            (&"r".repeat(64), false, false),
        ] {
            for (status, code) in [(400, "AuthorizationHeaderMalformed"), (400, ""), (301, "")] {
                let region = Some(name.to_owned());
                let error = Error::new(ErrorKind::Server, "failed")
                    .with_service(ServiceError { region, ..ServiceError::of(status, code) });
                for (endpoint_is_custom, works) in [(true, at_custom), (false, at_aws)] {
                    let want = Region::opaque(name).ok().filter(|_| works).map(Correction::Region);
                    assert_eq!(correction(&error, &scope, endpoint_is_custom), want, "{name:?} {status}");
                }
            }
        }
    }

    #[test]
    fn only_what_can_be_an_expired_session_is_answered_by_a_new_one() {
        let region = Some("eu-west-1".to_owned());
        for (service, is_head, replaces) in [
            (ServiceError::of(400, "ExpiredToken"), false, true),
            (ServiceError::of(403, "ExpiredToken"), true, true),
            (ServiceError::of(403, "TokenRefreshRequired"), false, true),
            (ServiceError::of(403, ""), true, true),
            (ServiceError::of(400, ""), true, true),
            (ServiceError::of(403, ""), false, false),
            (ServiceError::of(404, ""), true, false),
            (ServiceError::of(403, "AccessDenied"), true, false),
            (ServiceError::of(403, "AccessDenied"), false, false),
            (ServiceError::of(503, ""), true, false),
            (ServiceError { region, ..ServiceError::of(400, "") }, true, false),
        ] {
            let error = Error::new(ErrorKind::Server, "failed").with_service(service.clone());
            let want = replaces.then_some(Correction::Session);
            assert_eq!(session_correction(&error, is_head), want, "{service:?} {is_head}");
        }
    }
}
