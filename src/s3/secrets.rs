//! The secrets of a request, blanked out of whatever a server echoes.
//!
//! A debugging proxy or a gateway may repeat request headers in its response, perhaps encoded (`echo_encodings.rs`) or
//! cut.

use std::fmt;

use crate::s3::echo_encodings::{
    DecodedByte, as_it_is, bytes_of, bytes_of_base64, decoded, encoded, layers, lower_case,
};

/// The text in the place of a secret.
pub(crate) const BLANK: &str = "[hidden]";
/// A run of this many characters of a secret is blanked out, even if the rest is missing.
const RUN_MIN: usize = 12;
/// Shorter secrets may stand in a text by chance: the text is dropped as a whole.
const BLANKED_MIN: usize = 8;
/// A shorter secret may be a name, such as a bucket's, that a host begins with.
const NAME_BYTES_MAX: usize = 16;
/// Only the beginning of a text is ever shown.
const TEXT_BYTES_MAX: usize = 4096;

/// The secrets that a request carries: keys, tokens, a signature, the query of a presigned URL.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<Vec<u8>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Adds a secret as it is sent, perhaps encoded.
    pub(crate) fn add(&mut self, secret: &str) {
        // A key of printable characters is sent in base64.
        let text = bytes_of_base64(secret.as_bytes())
            .filter(|bytes| bytes.iter().all(|byte| (b' '..=b'~').contains(byte)));
        for form in
            [bytes_of(&decoded(&as_it_is(secret))), secret.as_bytes().to_vec()].into_iter().chain(text)
        {
            if !form.is_empty() && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
    }

    /// Returns the secrets, and the encodings that are looked for as such of those with at most `len_max` bytes, all in
    /// lower case: a server may change that. They are made only here, since few responses have a text that could hold one.
    fn with_encodings(&self, len_max: usize) -> Vec<Vec<u8>> {
        let short = self.0.iter().filter(|secret| secret.len() <= len_max.min(TEXT_BYTES_MAX));
        let encoded = short.flat_map(|secret| encodings(secret));
        self.0.iter().map(|secret| secret.to_ascii_lowercase()).chain(encoded).collect()
    }

    /// Returns whether `host`, which a server named, holds a secret: a whole one as it is, or a part of one that is encoded.
    /// The case of letters does not matter.
    ///
    /// A redirect may rightly name a host or a bucket that the query names too. So a value that has a dot or a hyphen, only
    /// letters, or few characters, counts only where it is encoded.
    pub(crate) fn are_in_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let plain = as_it_is(&host);
        let holds = |secret: &[u8], least: usize| {
            let mut hidden = vec![false; host.len()];
            mark(&secret.to_ascii_lowercase(), &plain, least, &mut hidden);
            hidden.contains(&true)
        };
        let may_be_name = |secret: &[u8]| {
            let is_word = secret.iter().all(u8::is_ascii_alphabetic);
            secret.len() < NAME_BYTES_MAX || is_word || secret.iter().any(|byte| b".-".contains(byte))
        };
        let mut all = self.0.iter().filter(|secret| (BLANKED_MIN..=TEXT_BYTES_MAX).contains(&secret.len()));
        all.any(|secret| {
            (!may_be_name(secret) && holds(secret, secret.len()))
                || encodings(secret).iter().any(|form| holds(form, form.len().min(RUN_MIN)))
        })
    }

    /// Returns `text` without the secrets, or `None` if a secret is too short to be distinguished from the text around
    /// it.
    pub(crate) fn redact(&self, text: &str) -> Option<String> {
        let text = beginning(text);
        let mut hidden = vec![false; text.len()];
        // One that is longer than the text may be cut.
        let secrets = self.with_encodings(TEXT_BYTES_MAX);
        for plain in layers(text).into_iter().map(lower_case) {
            for secret in &secrets {
                if secret.len() >= BLANKED_MIN {
                    mark(secret, &plain, secret.len().min(RUN_MIN), &mut hidden);
                } else if plain
                    .windows(secret.len())
                    .any(|w| w.iter().map(|(byte, _)| byte).eq(secret.iter()))
                {
                    return None;
                }
            }
        }
        let mut shown = String::with_capacity(text.len());
        let mut was_hidden = false;
        for (at, c) in text.char_indices() {
            let is_hidden = hidden[at..at + c.len_utf8()].contains(&true);
            if !is_hidden {
                shown.push(c);
            } else if !was_hidden {
                shown.push_str(BLANK);
            }
            was_hidden = is_hidden;
        }
        Some(shown)
    }

    /// Returns whether `text` holds a whole secret, encoded or not. Cheap, for the headers of every response.
    pub(crate) fn is_revealed_by(&self, text: &[u8]) -> bool {
        if self.0.iter().all(|secret| secret.len() > text.len()) {
            return false;
        }
        let secrets = self.with_encodings(text.len());
        layers(&String::from_utf8_lossy(text)).into_iter().map(lower_case).any(|plain| {
            let plain = bytes_of(&plain);
            let is_in = |secret: &Vec<u8>| {
                secret.len() >= BLANKED_MIN && plain.windows(secret.len()).any(|w| w == secret)
            };
            secrets.iter().any(is_in)
        })
    }
}

/// Returns the encodings of `secret` that are looked for as such. In fewer characters than are blanked they may be a part of
/// any text.
fn encodings(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = encoded(secret);
    forms.retain(|form| form.len() >= BLANKED_MIN);
    forms
}

fn beginning(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Marks every run of at least `least` bytes of `secret` in `plain`.
fn mark(secret: &[u8], plain: &[DecodedByte], least: usize, hidden: &mut [bool]) {
    for at in 0..plain.len() {
        for from in 0..=secret.len() - least {
            if secret[from] != plain[at].0 {
                continue;
            }
            let run = secret[from..].iter().zip(&plain[at..]).take_while(|(a, (b, _))| *a == b).count();
            if run >= least {
                plain[at..at + run].iter().for_each(|(_, range)| hidden[range.clone()].fill(true));
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
            let shown =
                secrets(&[TOKEN]).redact(&format!("x-amz-security-token: {echoed}; host: h")).unwrap();
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
                assert!(secrets(&[TOKEN]).is_revealed_by(echoed.as_bytes()), "{before} {after}");
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
            (
                "its second half",
                BASE64_STANDARD.encode(KEY),
                BASE64_STANDARD.encode(KEY)[22..].to_lowercase(),
            ),
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
            assert_eq!(
                secrets.redact(&format!("key: {echoed}!")).as_deref(),
                Some("key: [hidden]!"),
                "{kind}"
            );
            let is_whole = !kind.contains("half");
            assert_eq!(secrets.is_revealed_by(format!("\"{echoed}\"").as_bytes()), is_whole, "{kind}");
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
            assert!(!secrets(&[TOKEN]).is_revealed_by(text.as_bytes()));
        }
        assert!(secrets(&[TOKEN]).is_revealed_by(format!("<{TOKEN}>").as_bytes()));
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
}
