//! A warning, once a run, about a session token that anybody on the network path can read.

use std::io::Write as _;

use aws_credential_types::Credentials;

use crate::config::settings::Config;
use crate::s3::address::endpoint::is_loopback_authority;

/// Warns if requests carry a session token over plain HTTP to a host that is not this machine.
pub(crate) async fn warn(config: &Config) {
    let Some(authority) = config.endpoint.as_ref().filter(|e| e.scheme_str() == Some("http")) else { return };
    let authority = authority.authority().map_or("", |authority| authority.as_str());
    // A failure to load credentials is reported by the first request.
    let Ok(Some(identity)) = config.credentials.current().await else { return };
    let has_token = identity.data::<Credentials>().is_some_and(|keys| keys.session_token().is_some());
    if has_token && !is_loopback_authority(authority) {
        let warning = format!(
            "s3fcp: warning: the session token travels unencrypted to {authority}: the endpoint is plain HTTP\n"
        );
        // A stderr that is gone does not make a download fail.
        let _ = std::io::stderr().write_all(warning.as_bytes());
    }
}
