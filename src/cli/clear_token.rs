//! A warning, once a run, about a session token that anybody on the network path can read.

use std::io::Write as _;

use aws_credential_types::Credentials;

use crate::client::site::stays_on_this_machine;
use crate::config::settings::Config;

/// Warns if requests carry a session token over plain HTTP to a host, or through a proxy, that is not this machine.
pub(crate) async fn warn(config: &Config) {
    let Some(endpoint) = config.endpoint.as_ref().filter(|e| e.scheme_str() == Some("http")) else { return };
    let authority = endpoint.authority().map_or("", |authority| authority.as_str());
    // A failure to load credentials is reported by the first request, and so is a proxy that cannot be used.
    let Ok(Some(identity)) = config.credentials.current().await else { return };
    let Ok(proxy) = config.proxies.of(endpoint) else { return };
    let has_token = identity.data::<Credentials>().is_some_and(|keys| keys.session_token().is_some());
    if has_token && !stays_on_this_machine(authority, proxy.as_ref()) {
        let through = proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        let warning = format!(
            "s3fcp: warning: the session token travels unencrypted to {authority}{through}: the endpoint is plain HTTP\n"
        );
        // A stderr that is gone does not make a download fail.
        let _ = std::io::stderr().write_all(warning.as_bytes());
    }
}
