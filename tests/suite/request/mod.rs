//! What goes over the wire: the address, the headers and the signature of a request, and the way it takes through TLS,
//! proxies, redirects and regions.

mod client_certificates;
mod clock;
mod express;
mod express_faults;
mod headers;
mod keys;
mod multi_region;
mod proxies;
mod proxy_responses;
mod real_proxies;
mod redirects;
mod regions;
mod response_heads;
mod socks_proxies;
mod tls;
mod tls_certificates;
mod tls_failures;
mod urls;
