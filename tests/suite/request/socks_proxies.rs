//! SOCKS5 proxies: both schemes, names resolved here or there, a password that never shows, and refusals.

use std::net::{Ipv4Addr, SocketAddr};

use crate::request::proxies::{SECRETS, at, store};
use crate::support::fault_server::FaultServer;
use crate::support::files::file;
use crate::support::object::{SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::socks::Socks;

#[test]
fn socks5_carries_https_and_http_and_resolves_names_where_its_scheme_says() {
    for tls in [false, true] {
        let store = store(tls);
        let bundle = file(store.ca_pem());
        let user = Some(("us@er", "hunter2"));
        for (user, userinfo) in [(None, ""), (user, "us%40er:hunter2@"), (None, "us%40er:hunter2@")] {
            let proxy = Socks::start(store.address(), user, 0);
            let port = store.address().port();
            let scheme = if tls { "https" } else { "http" };
            for (kind, host, asked) in [
                ("socks5h", "127.0.0.1", "127.0.0.1"),
                ("socks5h", "localhost", "localhost"),
                ("socks5", "127.0.0.1", "127.0.0.1"),
            ] {
                let before = proxy.hosts().len();
                let outcome = at(&format!("{scheme}://{host}:{port}"))
                    .env("ALL_PROXY", format!("{kind}://{userinfo}{}", proxy.address()))
                    .env("AWS_CA_BUNDLE", bundle.path())
                    .download(URI);
                if tls && host == "localhost" {
                    // The store's certificate is for its address only, or for both: the proxy was asked by name.
                    assert!(outcome.code().is_some_and(|code| code == 0 || code == 5), "{}", outcome.stderr);
                } else {
                    outcome.assert_object(&object(SIZE));
                }
                outcome.assert_hides(&SECRETS);
                let hosts = proxy.hosts().split_off(before);
                assert!(
                    !hosts.is_empty() && hosts.iter().all(|h| *h == format!("{asked}:{port}")),
                    "{hosts:?}"
                );
            }
        }
    }
}

#[test]
fn a_socks5_proxy_that_refuses_is_named_with_its_reason_and_without_its_password() {
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let web = FaultServer::healthy();
    let user = Some(("user", "hunter2"));
    for (address, userinfo, code, says) in [
        (Socks::start(upstream, user, 0).address(), "", 4, "requires authentication"),
        (Socks::start(upstream, user, 0).address(), "user:hunter3@", 4, "rejected these credentials"),
        (Socks::start(upstream, None, 2).address(), "", 4, "forbids the host"),
        (Socks::start(upstream, None, 4).address(), "", 5, "host unreachable"),
        (web.address(), "", 5, "SOCKS5"),
    ] {
        let outcome = S3fcp::at("http://store.invalid")
            .env("ALL_PROXY", format!("socks5h://{userinfo}{address}"))
            .args(["--max-attempts", "2"])
            .download(URI);
        outcome.assert_failed(code, &[]);
        assert!(outcome.stderr.contains(says) && outcome.stderr.contains("ALL_PROXY"), "{}", outcome.stderr);
        outcome.assert_hides(&SECRETS);
    }
}
