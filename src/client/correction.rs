//! Corrections that an error response asks for: another region, another clock, fresh credentials.
//!
//! Pure: the clock is a parameter, and nothing is sent.

use crate::error::Error;
use crate::s3::address::partition::same_partition;
use crate::s3::address::region::Region;

/// A change after which the same request can succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Correction {
    /// Sign for this region, and send to its host.
    Region(Region),
    /// Sign with the server's clock, in seconds since the epoch.
    Clock(u64),
    /// Ask the source of the credentials for new ones.
    Credentials,
}

/// Returns the correction that `error`, the response to a request signed for `region`, calls for, if any. Each kind
/// of correction is worth one immediate attempt.
pub(crate) fn correction(error: &Error, region: &Region) -> Option<Correction> {
    let service = error.service()?;
    match (service.status, service.code()) {
        (_, "RequestTimeTooSkewed") => service.date.map(Correction::Clock),
        (_, "ExpiredToken" | "TokenRefreshRequired") => Some(Correction::Credentials),
        // HEAD has no body: a redirect or a 400 that names a region stands for the code.
        (301 | 307 | 400, _) => {
            let named = service.region.as_deref().and_then(|r| Region::parse(r).ok())?;
            // Credentials of one partition are never sent to another.
            (named != *region && same_partition(&named, region)).then_some(Correction::Region(named))
        }
        _ => None,
    }
}

/// The largest difference between two clocks that is corrected.
const SKEW_SECONDS_MAX: i64 = 24 * 3600;

/// Returns what to add to this machine's clock `here` to sign with the server's, both in seconds since the epoch; `None` if
/// the difference is too large to be believed.
pub(crate) fn clock_skew(server: u64, here: u64) -> Option<i64> {
    let skew = i64::try_from(server).ok()?.checked_sub(i64::try_from(here).ok()?)?;
    (skew.abs() <= SKEW_SECONDS_MAX).then_some(skew)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, ServiceError};

    fn of(status: u16, code: &str) -> ServiceError {
        let code = (!code.is_empty()).then(|| code.to_owned());
        ServiceError { status, code, ..ServiceError::default() }
    }

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
        let here = Region::parse("us-east-1").unwrap();
        let named = |region: &str| Some(region.to_owned());
        let moved = Some(Correction::Region(Region::parse("eu-west-1").unwrap()));
        let skewed = ServiceError { date: Some(7), ..of(403, "RequestTimeTooSkewed") };
        for (service, want) in [
            (skewed, Some(Correction::Clock(7))),
            (of(400, "ExpiredToken"), Some(Correction::Credentials)),
            (of(400, "TokenRefreshRequired"), Some(Correction::Credentials)),
            (ServiceError { region: named("eu-west-1"), ..of(301, "PermanentRedirect") }, moved.clone()),
            (ServiceError { region: named("eu-west-1"), ..of(307, "TemporaryRedirect") }, moved.clone()),
            (ServiceError { region: named("eu-west-1"), ..of(301, "") }, moved.clone()),
            (ServiceError { region: named("eu-west-1"), ..of(400, "") }, moved.clone()),
            (ServiceError { region: named("eu-west-1"), ..of(400, "AuthorizationHeaderMalformed") }, moved),
            (of(301, "PermanentRedirect"), None),
            (ServiceError { region: named("us-east-1"), ..of(400, "") }, None),
            (ServiceError { region: named("cn-north-1"), ..of(301, "PermanentRedirect") }, None),
            (ServiceError { region: named("us-gov-west-1"), ..of(301, "PermanentRedirect") }, None),
            (ServiceError { region: named("evil.example/"), ..of(301, "") }, None),
            (ServiceError { region: named("eu-west-1"), ..of(403, "AccessDenied") }, None),
            (ServiceError { region: named("eu-west-1"), ..of(404, "NoSuchKey") }, None),
        ] {
            let error = Error::new(ErrorKind::Server, "failed").with_service(service.clone());
            assert_eq!(correction(&error, &here), want, "{service:?}");
        }
    }
}
