//! The secrets that one request sends, so that a response that echoes them can be blanked out.

use aws_credential_types::Credentials;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::client::site::Site;
use crate::config::Identity;
use crate::s3::address::source::Source;
use crate::s3::secrets::Secrets;

/// Collects the secrets of a request for `source` to `site`, with `headers`, signed by `identity`. Most of them are among
/// the `earlier` ones, those of another request.
pub(super) fn secrets_of(
    source: &Source,
    site: &Site,
    identity: Option<&Identity>,
    headers: &HeaderMap,
    earlier: &Secrets,
) -> Secrets {
    let mut secrets = Secrets::default();
    let mut add = |secret: &str| secrets.add_as_in(secret, earlier);
    if let Some(keys) = identity.and_then(|identity| identity.data::<Credentials>()) {
        add(keys.secret_access_key());
        keys.session_token().into_iter().for_each(&mut add);
    }
    let values = || headers.iter().filter_map(|(name, value)| Some((name, value, value.to_str().ok()?)));
    for (name, value, text) in values() {
        if name == AUTHORIZATION {
            // The rest of the header is not secret, and may be part of a useful message.
            text.rsplit_once("Signature=").into_iter().for_each(|(_, signature)| add(signature));
        } else if value.is_sensitive() {
            add(text);
        }
    }
    for url in source.url().into_iter().chain(site.url.as_ref()) {
        url.secrets().iter().for_each(|value| add(value));
    }
    if let Some(proxy) = site.pool.proxy() {
        proxy.secrets().iter().for_each(|secret| add(secret));
    }
    secrets
}
