//! Which proxy a URL goes through, and what is read and shown of a proxy's own URL.

use super::*;

fn proxies(env: &[(&str, &str)]) -> Proxies {
    let lookup =
        |name: &str| env.iter().find(|(n, v)| *n == name && !v.is_empty()).map(|(_, v)| (*v).to_owned());
    Proxies::new(lookup)
}

fn shown(env: &[(&str, &str)], host: &str) -> Option<String> {
    proxies(env).of(&host.parse().unwrap()).unwrap().map(|proxy| proxy.to_string())
}

#[test]
fn the_first_variable_of_the_scheme_counts() {
    const HTTPS: &str = "https://s3.eu-west-1.amazonaws.com";
    const HTTP: &str = "http://minio.lan:9000";
    let all = [
        ("http_proxy", "http://a:1"),
        ("HTTP_PROXY", "http://b:1"),
        ("https_proxy", "http://c:1"),
        ("HTTPS_PROXY", "https://d:1"),
        ("all_proxy", "http://e:1"),
        ("ALL_PROXY", "f:1"),
    ];
    for (env, host, want) in [
        (&[][..], HTTPS, None),
        (&all, HTTP, Some("http://a:1")),
        (&all[1..], HTTP, Some("http://b:1")),
        (&all[2..], HTTP, Some("http://e:1")),
        (&all[5..], HTTP, Some("http://f:1")),
        (&all, HTTPS, Some("http://c:1")),
        (&all[3..], HTTPS, Some("https://d:1")),
        (&all[4..], HTTPS, Some("http://e:1")),
        (&[("https_proxy", ""), ("ALL_PROXY", "http://f:1")], HTTPS, Some("http://f:1")),
        (&[("HTTP_PROXY", "http://b:1")], HTTPS, None),
        (&[("HTTP_PROXY", "http://b:1"), ("REQUEST_METHOD", "GET")], HTTP, None),
        (&[("http_proxy", "http://a:1"), ("REQUEST_METHOD", "GET")], HTTP, Some("http://a:1")),
        (&[("HTTPS_PROXY", "http://d:1"), ("REQUEST_METHOD", "GET")], HTTPS, Some("http://d:1")),
    ] {
        assert_eq!(shown(env, host).as_deref(), want, "{env:?} {host}");
    }
}

#[test]
fn no_proxy_lists_the_hosts_to_connect_to_directly() {
    for (list, host, is_direct) in [
        ("", "http://localhost:9000", false),
        ("", "http://127.0.0.1:9000", false),
        ("*", "http://127.0.0.1:9000", true),
        ("*", "https://s3.amazonaws.com", true),
        ("other, *", "http://h", true),
        ("amazonaws.com", "https://bucket.s3.amazonaws.com", true),
        (".amazonaws.com", "https://bucket.s3.amazonaws.com", true),
        (".minio.lan", "http://minio.lan", true),
        ("minio.lan.", "http://MINIO.lan", true),
        ("io.lan", "http://minio.lan", false),
        ("a b minio.lan", "http://minio.lan", true),
        ("localhost", "http://127.0.0.1", false),
        ("127.0.0.1", "http://127.0.0.1:9000", true),
        ("10.0.0.0/8", "http://10.1.2.3:9000", true),
        ("10.0.0.0/8", "http://11.1.2.3:9000", false),
        ("[::1]", "http://[::1]:9000", true),
        ("::1", "http://[::1]:9000", true),
        ("fd00::/8", "https://[fd12::3]", true),
    ] {
        for name in ["no_proxy", "NO_PROXY"] {
            let found = shown(&[("ALL_PROXY", "http://p:1"), (name, list)], host);
            assert_eq!(found.is_none(), is_direct, "{list:?} {host}");
        }
    }
}

#[test]
fn the_password_shows_only_in_the_header() {
    let env = [("ALL_PROXY", "http://us%40er:hun%3Ater2@p:1"), ("NO_PROXY", "n")];
    let proxies = proxies(&env);
    let proxy = proxies.of(&"https://h".parse().unwrap()).unwrap().unwrap();
    let mut headers = http::HeaderMap::new();
    proxy.authorize(&mut headers);
    // us@er:hun:ter2
    assert_eq!(headers[PROXY_AUTHORIZATION], "Basic dXNAZXI6aHVuOnRlcjI=");
    let refusals = [401, 403, 407, 502].map(|code| proxy.connect_error(code.try_into().unwrap()));
    assert_eq!(refusals.each_ref().map(Error::exit_code), [4, 4, 4, 5]);
    assert_eq!(refusals.each_ref().map(Error::is_retryable), [false, false, false, true]);
    let shown = format!("{proxies:?} {proxy:?} {proxy} {headers:?} {refusals:?}");
    assert!(!shown.contains("ter2") && !shown.contains("us%40er") && !shown.contains("dXNA"), "{shown}");
}

#[test]
fn a_url_is_read_with_its_scheme_port_and_escapes() {
    let at = "@".repeat(255);
    for (url, proxy, user) in [
        ("p", "http://p", None),
        ("p:3128", "http://p:3128", None),
        ("http://p:3128/", "http://p:3128", None),
        ("HTTP://p", "http://p", None),
        ("https://p", "https://p:443", None),
        ("socks5://p", "socks5://p:1080", None),
        ("socks5h://u:w@127.0.0.1:9", "socks5h://127.0.0.1:9", Some(("u", "w"))),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://[fd00::1]", "http://[fd00::1]", None),
        ("http://u@p:1", "http://p:1", Some(("u", ""))),
        ("http://u:@p:1", "http://p:1", Some(("u", ""))),
        (&format!("socks5://{0}:{0}@p", "%40".repeat(255)), "socks5://p:1080", Some((&at, &at))),
        (&format!("http://{0}@p", "%40".repeat(255)), "http://p", Some((&at, ""))),
        ("http://d%5Cu:p%40w%2F%3A%25:x@p:1", "http://p:1", Some(("d\\u", "p@w/:%:x"))),
    ] {
        let parsed = Proxy::parse(url, "ALL_PROXY").unwrap();
        assert_eq!((parsed.to_string().as_str(), parsed.user()), (proxy, user), "{url}");
    }
}

#[test]
fn an_unusable_value_is_an_error_that_hides_it_and_only_when_it_applies() {
    for url in [
        "socks4://hunter2@p:1",
        "ftp://hunter2@p",
        "http://hunter2@@",
        "http://user:hunter2@x@p:1",
        "http://user:hunter2/x@p:1",
        "http://user:x/hunter2@p:1",
        "http://user:hunter2#x@p:1",
        "http://user:hunter2?x@p:1",
        "user:hunter2/x@p:1",
        "socks5://user:hunter2@x@p:1",
        "http://user:hunter2@p:65536",
        "http://user:hunter2@p:0",
        "http://user:hunter2@p:port",
        "http://user:hunter2@p:",
        "http://user:hunter2@:1",
        "http://user:hunter2@",
        "http://user:hunter2@p:1/path",
        "http://user:hunter2@p q:1",
        "hunter2 @p",
        "/hunter2",
        &format!("socks5h://user:hunter2{}@p:1", "x".repeat(250)),
        &format!("socks5://hunter2{}@p:1", "x".repeat(250)),
    ] {
        let proxies = proxies(&[("HTTPS_PROXY", url), ("NO_PROXY", "direct")]);
        let error = proxies.of(&"https://h".parse().unwrap()).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("HTTPS_PROXY") && !shown.contains("hunter2"), "{url}: {shown}");
        for host in ["http://h", "https://direct"] {
            assert_eq!(proxies.of(&host.parse().unwrap()).unwrap(), None);
        }
    }
}
