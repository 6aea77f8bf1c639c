use super::*;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ+abc/def==";

fn secrets(all: &[&str]) -> Secrets {
    let mut secrets = Secrets::default();
    for secret in all {
        secrets.add(secret);
    }
    secrets
}

fn is_in(all: &[&str], text: &str) -> bool {
    secrets(all).are_in(&[text.as_bytes()]) == [true]
}

#[test]
fn each_text_that_holds_a_run_of_a_secret_is_found() {
    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=";
    for (text, want) in [
        ("\"9b2cf535f27731c974343645a3985328\"", false),
        ("Wed, 21 Oct 2015 07:28:00 GMT", false),
        ("bytes 0-8388607/1073741824", false),
        ("application/octet-stream", false),
        ("AAAAAAAAAAA=", false),
        (&TOKEN[7..27], true),
        (&TOKEN[40..52], true),
        (&TOKEN[30..41], false),
        (&KEY[..22], true),
        (&KEY[21..], true),
        ("\"0123456789abcdef\"", true),
        ("30313233343536373839", true),
        ("hunter2x", true),
        ("hunter2", false),
    ] {
        let all = secrets(&[TOKEN, KEY, "hunter2x"]);
        let texts = [&b"bytes"[..], text.as_bytes(), b""];
        assert_eq!(all.are_in(&texts), [false, want, false], "{text}");
    }
}

#[test]
fn what_is_known_of_a_secret_is_taken_over() {
    let earlier = secrets(&[TOKEN, "another secret"]);
    let mut later = secrets(&["first secret"]);
    later.add_as_in(TOKEN, &earlier);
    later.add_as_in(TOKEN, &earlier);
    later.add_as_in("", &earlier);
    assert!(later.0.len() == 2 && Arc::ptr_eq(&later.0[1], &earlier.0[0]));
    assert_eq!(later.are_in(&[TOKEN.as_bytes(), b"another secret"]), [true, false]);
}

#[test]
fn a_secret_is_blanked_in_every_encoding_that_a_server_echoes() {
    let percent = utf8_percent_encode(TOKEN, NON_ALPHANUMERIC).to_string();
    let hex = hex::encode(TOKEN);
    for (kind, echoed) in [
        ("as it is", TOKEN.to_owned()),
        ("percent-encoded", percent.clone()),
        ("in lower case", percent.replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d")),
        ("twice percent-encoded", percent.replace('%', "%25")),
        ("in mixed case", percent.replacen("%2F", "%2f", 3)),
        ("HTML", TOKEN.replace('/', "&sol;").replace('+', "&plus;").replace('=', "&equals;")),
        ("entities percent-encoded", TOKEN.replace('/', "%26%23x2f%3B").replace('+', "%26plus%3b")),
        ("entities twice", TOKEN.replace('/', "&amp;sol;").replace('=', "&amp;amp;#61;")),
        ("percent-encoded in entities", percent.replace('%', "&#37;")),
        ("JSON in JSON", TOKEN.replace('/', "\\\\u002F").replace('=', "\\\\\\\\u003d")),
        ("JavaScript", TOKEN.replace('/', "\\x2F").replace('+', "\\x2b")),
        ("base64", BASE64_STANDARD.encode(TOKEN)),
        ("base64 for URLs", BASE64_URL_SAFE.encode(TOKEN)),
        ("base64, percent-encoded", BASE64_STANDARD.encode(TOKEN).replace('=', "%3D")),
        ("hexadecimal digits", hex.to_uppercase()),
        ("hexadecimal digits in lower case", hex.clone()),
        ("hexadecimal digits in mixed case", hex.replace("4a", "4A")),
        ("half of them", hex[..hex.len() / 2].to_owned()),
        ("base64 in lower case", BASE64_STANDARD.encode(TOKEN).to_lowercase()),
        ("all in lower case", TOKEN.to_lowercase()),
        ("all in upper case", TOKEN.to_uppercase()),
        ("percent-encoded in upper case", percent.to_uppercase()),
        ("as entities", TOKEN.replace('/', "&#x2F;").replace('+', "&#43;").replace('=', "&#61;")),
        ("JSON", TOKEN.replace('/', "\\/").replace('=', "\\u003d")),
        ("plus as a space", TOKEN.replace('+', " ")),
        ("cut", TOKEN[..30].to_owned()),
        ("without its beginning", TOKEN[20..].to_owned()),
    ] {
        let shown = secrets(&[TOKEN]).redact(&format!("x-amz-security-token: {echoed}; host: h")).unwrap();
        assert_eq!(shown, "x-amz-security-token: [hidden]; host: h", "{kind}");
    }
}

#[test]
fn a_secret_is_blanked_within_the_base64_of_a_longer_text() {
    for before in ["", "u", "us", "use", "user:"] {
        for after in ["", "!", "!!", "!!!"] {
            let echoed = BASE64_STANDARD.encode(format!("{before}{TOKEN}{after}"));
            let shown = secrets(&[TOKEN]).redact(&echoed).unwrap();
            assert!(shown.len() < BLANK.len() + 16, "{before} {after}: {shown}");
            assert!(is_in(&[TOKEN], &echoed), "{before} {after}");
        }
    }
}

/// A key is sent in base64, and so is its MD5.
#[test]
fn what_is_sent_in_base64_is_found_in_other_digits_and_as_text() {
    const KEY: [u8; 32] = *b"\xfb\xff\xbf\x00key\xfe\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18";
    const TEXT: &str = "correct horse battery staple, 32";
    const SIXTEEN: [u8; 16] = *b"\xfb\xff\xbf\xf00123456789ab";
    for (kind, sent, echoed) in [
        ("as sent", BASE64_STANDARD.encode(KEY), BASE64_STANDARD.encode(KEY)),
        ("in lower case", BASE64_STANDARD.encode(KEY), BASE64_STANDARD.encode(KEY).to_lowercase()),
        ("its first half", BASE64_STANDARD.encode(KEY), BASE64_STANDARD.encode(KEY)[..22].to_owned()),
        ("its second half", BASE64_STANDARD.encode(KEY), BASE64_STANDARD.encode(KEY)[22..].to_lowercase()),
        ("for URLs", BASE64_STANDARD.encode(KEY), BASE64_URL_SAFE.encode(KEY)),
        ("digits", BASE64_STANDARD.encode(KEY), hex::encode(KEY)),
        ("digits in upper case", BASE64_STANDARD.encode(KEY), hex::encode_upper(KEY)),
        ("half of the digits", BASE64_STANDARD.encode(KEY), hex::encode_upper(&KEY[..16])),
        ("digits of what is sent", BASE64_STANDARD.encode(KEY), hex::encode(BASE64_STANDARD.encode(KEY))),
        ("digits of an MD5", BASE64_STANDARD.encode(SIXTEEN), hex::encode(SIXTEEN)),
        ("text", BASE64_STANDARD.encode(TEXT), TEXT.to_owned()),
        ("half of the text", BASE64_STANDARD.encode(TEXT), TEXT[..16].to_owned()),
        ("digits of the text", BASE64_STANDARD.encode(TEXT), hex::encode(TEXT)),
    ] {
        let secrets = secrets(&[&sent]);
        assert_eq!(secrets.redact(&format!("key: {echoed}!")).as_deref(), Some("key: [hidden]!"), "{kind}");
        assert!(is_in(&[&sent], &format!("\"{echoed}\"")), "{kind}");
    }
}

#[test]
fn what_was_sent_encoded_is_found_decoded() {
    let shown = secrets(&["AKIA%2F20261126%2Fus-east-1"]).redact("for AKIA/20261126/us-east-1.").unwrap();
    assert_eq!(shown, "for [hidden].");
}

#[test]
fn a_text_that_echoes_a_short_secret_is_dropped() {
    assert_eq!(secrets(&["pw1"]).redact("user:pw1@proxy"), None);
    assert_eq!(secrets(&["pw1"]).redact("nothing here").as_deref(), Some("nothing here"));
}

#[test]
fn a_text_without_secrets_stays_as_it_is() {
    for text in ["", "Access Denied", "a%2Fb &amp; c \u{2603} \\u0041", "IQoJb3JpZ2l"] {
        assert_eq!(secrets(&[TOKEN]).redact(text).as_deref(), Some(text));
        assert!(!is_in(&[TOKEN], text));
    }
    assert!(is_in(&[TOKEN], &format!("<{TOKEN}>")));
}

#[test]
fn a_host_holds_a_secret_in_any_encoding_but_may_be_named_by_a_query() {
    const SIGNATURE: &str = "f00dfeedf00dfeed0123456789abcdef";
    const SCOPE: &str = "AKIAIOSFODNN7EXAMPLE%2F20261126%2Fap-southeast-1%2Fs3%2Faws4_request";
    let labels = hex::encode(SIGNATURE)
        .as_bytes()
        .chunks(20)
        .map(String::from_utf8_lossy)
        .collect::<Vec<_>>()
        .join(".");
    for (secret, host, is_in) in [
        (SIGNATURE, SIGNATURE.to_owned(), true),
        (SIGNATURE, format!("a.{}.example.org:8080", SIGNATURE.to_uppercase()), true),
        (SIGNATURE, hex::encode_upper(SIGNATURE), true),
        (SIGNATURE, format!("{}.example.org", hex::encode(SIGNATURE)), true),
        (SIGNATURE, labels, true),
        (SIGNATURE, BASE64_STANDARD.encode(SIGNATURE).trim_end_matches('=').to_owned(), true),
        (SIGNATURE, BASE64_STANDARD.encode(SIGNATURE).to_lowercase(), true),
        (SIGNATURE, format!("x{}", BASE64_URL_SAFE.encode(format!("a{SIGNATURE}"))), true),
        ("f00dfeedf00dfeed", hex::encode("f00dfeedf00dfeed"), true),
        (SIGNATURE, format!("{}.example.org", &SIGNATURE[..16]), true),
        (SIGNATURE, format!("x{}", &SIGNATURE[20..].to_uppercase()), true),
        (SIGNATURE, format!("{}.example.org", &SIGNATURE[..11]), false),
        ("imagenettrainingdata2026", "imagenettrainingdata.example.org".to_owned(), false),
        (SIGNATURE, "cdn.example.org".to_owned(), false),
        (SIGNATURE, "[2001:db8::1]:9000".to_owned(), false),
        (SCOPE, "bucket.s3.ap-southeast-1.amazonaws.com".to_owned(), false),
        ("mirror.example.org", "mirror.example.org".to_owned(), false),
        ("https%3A%2F%2Fmirror.example.org%2Fx", "mirror.example.org".to_owned(), false),
        ("my-long-bucket-2026", "my-long-bucket-2026.s3.amazonaws.com".to_owned(), false),
        ("imagenettrainingdata", "imagenettrainingdata.example.org".to_owned(), false),
        ("mirror.example.org", hex::encode("mirror.example.org"), true),
    ] {
        assert_eq!(secrets(&[secret]).are_in_host(&host), is_in, "{secret} {host}");
    }
}

/// The forms in which a server may echo a secret of letters and digits.
const ECHOES: [fn(&str) -> String; 7] = [
    str::to_owned,
    |secret| hex::encode(secret),
    |secret| BASE64_STANDARD.encode(secret),
    |secret| BASE64_URL_SAFE.encode(secret),
    |secret| secret.bytes().fold(String::new(), |echoed, byte| echoed + &format!("%{byte:02x}")),
    |secret| bytes_of_base64(secret.as_bytes()).map(hex::encode).unwrap_or_default(),
    |secret| secret.replace('A', "&#x41;").replace('b', "\\u0062"),
];

proptest! {
    #[test]
    fn no_text_around_a_secret_lets_it_through(
        before in "\\PC{0,40}",
        after in "\\PC{0,40}",
        secret in "[A-Za-z0-9]{12,80}|([A-Za-z0-9+/]{4}){4,16}",
        echo in 0..ECHOES.len(),
        cut in prop_oneof![Just(0), 0..50_usize],
        flips in any::<u64>(),
    ) {
        let echoed = ECHOES[echo](&secret);
        let cut = echoed.len() * cut / 100;
        let flipped: String = echoed[cut..].chars().enumerate().map(|(at, c)| {
            // An escape is one in the case that it has.
            let is_kept = echo == 6 || flips >> (at % 64) & 1 == 0;
            if is_kept { c } else if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
        }).collect();
        let shown = secrets(&[&secret]).redact(&format!("{before}{flipped}{after}")).unwrap();
        // What is cut in the middle of an escape, or is too short to be recognised, may stay.
        if flipped.len() >= 3 * RUN_MIN && !matches!(echo, 4 | 6) {
            prop_assert!(!shown.to_lowercase().contains(&flipped.to_lowercase()[..RUN_MIN]), "{shown}");
        }
        prop_assert!(cut > 0 || flipped.is_empty() || !shown.contains(&flipped), "{shown}");
    }
}
