//! Responses of a proxy in place of the host's. One that forwards requests, to an `http://` host, answers by itself when
//! it refuses a request or does not reach the host; what S3 means by such a status would mislead.

use http::HeaderMap;
use http::header::{CONTENT_TYPE, PROXY_AUTHENTICATE};

use crate::error::Error;
use crate::transport::proxy::Proxy;

/// Returns `error`, read from a response with these headers that came through the forwarding `proxy`, or in its place
/// that of the proxy if the response is the proxy's own. `Via` is no sign of that: a proxy adds it to each response.
pub(super) fn of_proxy(error: Error, headers: &HeaderMap, proxy: &Proxy, is_s3: bool) -> Error {
    let Some(service) = error.service() else { return error };
    let is_marked =
        [PROXY_AUTHENTICATE.as_str(), "x-squid-error"].iter().any(|name| headers.contains_key(*name));
    let has_answered = service.code.is_some() || service.request_id.is_some() || service.region.is_some();
    let is_page = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/html"));
    let service = service.clone();
    match service.status {
        407 => {}
        401 | 403 | 500 | 502..=504 if is_marked => {}
        // Of a URL's server this is the usual form of a refusal. A portal redirects, or says 511 (RFC 6585, section 6).
        302 | 403 | 500 | 502..=504 | 511 if is_s3 && is_page && !has_answered => {
            return proxy.perhaps_refused(service.status).with_service(service);
        }
        _ => return error,
    }
    proxy.refusal(service.status, "").with_service(service)
}
