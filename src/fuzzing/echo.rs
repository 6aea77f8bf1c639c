//! Responses that echo the request: no secret and no control character may get into any output.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::printable::printable;
use crate::fuzzing::checks::{assert_harmless, assert_no_controls, divided};
use crate::s3::error_response::{error_from_response, error_from_url_response};
use crate::s3::object::ObjectInfo;
use crate::s3::secrets::Secrets;
use crate::s3::session::unusable_session;

const TOKEN: &str = "IQoJb3JpZ2luX2VjE//EXAMPLE+TOKEN==";
const KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SIGNATURE: &str = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
const PASSWORD: &str = "p@ss&<word>\"with' everything";

/// The bytes 0 to 31 as they are sent, and in other digits.
const CUSTOMER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const CUSTOMER_KEY_DIGITS: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A token that no request has sent: it comes with the response to `CreateSession`.
const SESSION_TOKEN: &str = "AQoEXAMPLEH4aoAH0gNCAPyJxz4BlCFFxWNE1OPTgk5TthT";
const SESSION_ELEMENT: &str = "<SessionToken>AQoEXAMPLEH4aoAH0gNCAPyJxz4BlCFFxWNE1OPTgk5TthT</SessionToken>";

/// Takes a response in which the bytes 1 to 8, 11, 12 and 14 to 25 stand for what a server may echo, and how.
pub fn echo(data: &[u8]) {
    let mut response = Vec::new();
    for byte in data {
        match byte {
            1 => response.extend_from_slice(TOKEN.as_bytes()),
            2 => response.extend_from_slice(percent(TOKEN).as_bytes()),
            3 => response.extend_from_slice(KEY.as_bytes()),
            4 => response.extend_from_slice(xml(PASSWORD).as_bytes()),
            5 => response.extend_from_slice(json(PASSWORD).as_bytes()),
            6 => response.extend_from_slice(percent(PASSWORD).as_bytes()),
            7 => response.extend_from_slice(format!("Credential=AKID/x, Signature={SIGNATURE}").as_bytes()),
            8 => response.extend_from_slice(BASE64_STANDARD.encode(PASSWORD).as_bytes()),
            11 => response.extend_from_slice(SESSION_TOKEN.as_bytes()),
            12 => response.extend_from_slice(SESSION_ELEMENT.as_bytes()),
            14 => response.extend_from_slice(BASE64_STANDARD.encode(TOKEN).as_bytes()),
            15 => response.extend_from_slice(hex(KEY).as_bytes()),
            16 => response.extend_from_slice(html(TOKEN).as_bytes()),
            17 => response
                .extend_from_slice(percent(TOKEN).replace("%2F", "%2f").replace("%2B", "%2b").as_bytes()),
            18 => response.extend_from_slice(percent(&percent(KEY)).as_bytes()),
            19 => response.extend_from_slice(unicode(KEY).as_bytes()),
            20 => response.extend_from_slice(xml(&html(KEY)).as_bytes()),
            21 => response.extend_from_slice(TOKEN.to_lowercase().as_bytes()),
            22 => response.extend_from_slice(hex(KEY).to_uppercase().as_bytes()),
            23 => response.extend_from_slice(&CUSTOMER_KEY.as_bytes()[..CUSTOMER_KEY.len() / 2]),
            24 => response.extend_from_slice(CUSTOMER_KEY_DIGITS.to_uppercase().as_bytes()),
            25 => response.extend_from_slice(&CUSTOMER_KEY_DIGITS.as_bytes()[20..]),
            other => response.push(*other),
        }
    }
    let (head, body) = divided(&response);
    let mut secrets = Secrets::default();
    let encoded = BASE64_STANDARD.encode(PASSWORD);
    let all = [TOKEN, KEY, SIGNATURE, PASSWORD, &encoded, CUSTOMER_KEY];
    for secret in all {
        secrets.add(secret);
    }
    for error in
        [error_from_response(&head, body, &secrets), error_from_url_response(&head, body, &secrets, true)]
    {
        assert_harmless(&error);
        let shown = format!("{error} {error:?}");
        let forms = [
            percent(TOKEN),
            xml(PASSWORD),
            json(PASSWORD),
            percent(PASSWORD),
            BASE64_STANDARD.encode(TOKEN),
            hex(KEY),
            html(TOKEN),
            percent(TOKEN).replace("%2F", "%2f").replace("%2B", "%2b"),
            percent(&percent(KEY)),
            unicode(KEY),
            xml(&html(KEY)),
            CUSTOMER_KEY[..CUSTOMER_KEY.len() / 2].to_owned(),
            CUSTOMER_KEY_DIGITS[20..].to_owned(),
        ];
        // In any case of its letters.
        let shown = shown.to_lowercase();
        for secret in all.into_iter().chain(forms.iter().map(String::as_str)) {
            assert!(!shown.contains(&secret.to_lowercase()), "{secret} in {shown}");
        }
    }
    if String::from_utf8_lossy(body).contains(SESSION_ELEMENT) {
        let error = unusable_session(&head, body, secrets);
        assert_harmless(&error);
        let shown = format!("{error} {error:?}");
        for secret in all.into_iter().chain([SESSION_TOKEN]) {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
    // What an object's description shows.
    let info = ObjectInfo::from_headers(&head.headers, 0);
    for text in [&info.etag, &info.last_modified, &info.version_id].into_iter().flatten() {
        assert_no_controls(&printable(text));
    }
}

fn percent(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn html(text: &str) -> String {
    text.replace('/', "&sol;").replace('+', "&plus;").replace('=', "&equals;")
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

fn unicode(text: &str) -> String {
    text.replace('/', "\\u002F").replace('+', "\\u002b")
}

fn json(text: &str) -> String {
    text.replace('"', "\\\"")
}
