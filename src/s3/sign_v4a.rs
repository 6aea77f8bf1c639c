//! Signature Version 4A in the header `Authorization`: a signature by an elliptic curve that is valid in many regions,
//! which multi-region access points ask for.
//!
//! The key is derived once and used for all requests. aws-sigv4 has this scheme too (its feature `sigv4a`), but derives
//! the key again for each request, and brings second versions of p256, ecdsa, elliptic-curve and crypto-bigint, of
//! which aws-config brings others.
//!
//! Source: AWS Identity and Access Management User Guide, "AWS Signature Version 4 for API requests", and the published
//! test suite; NIST SP 800-108 (the key derivation, in counter mode).

use std::fmt::Write as _;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use hmac::{Hmac, KeyInit, Mac};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::s3::sign::is_signed_header;

const ALGORITHM: &str = "AWS4-ECDSA-P256-SHA256";
/// The regions in which the signature is valid: all.
const REGION_SET: &str = "*";
/// The SHA-256 of the empty body that all requests here have.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_REGION_SET: HeaderName = HeaderName::from_static("x-amz-region-set");
const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// n - 2, where n is the order of P-256 (NIST SP 800-186, section 3.2.1.3), big-endian.
const ORDER_LESS_2: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x4f,
];

/// Credentials, and the private key that is derived from them.
pub(crate) struct MultiRegionKey {
    credentials: Credentials,
    key: SigningKey,
}

impl MultiRegionKey {
    /// Derives the key of `credentials`.
    pub(crate) fn derive(credentials: Credentials) -> Result<Self> {
        let key = derive(credentials.access_key_id(), credentials.secret_access_key())?;
        Ok(Self { credentials, key })
    }

    /// Returns whether the key is that of `credentials`. The token may be another one: it is not part of the key.
    pub(crate) fn is_of(&self, credentials: &Credentials) -> bool {
        self.credentials.access_key_id() == credentials.access_key_id()
            && self.credentials.secret_access_key() == credentials.secret_access_key()
    }
}

/// Derives the private key from the secret.
fn derive(access_key: &str, secret_key: &str) -> Result<SigningKey> {
    first_key(candidates(access_key, secret_key))
        .ok_or_else(|| Error::new(ErrorKind::Other, "no signing key could be derived from the credentials"))
}

/// Returns what the key may be made of, in counter mode. One of 2^32 is no scalar of the curve, and the next one is taken.
fn candidates(access_key: &str, secret_key: &str) -> impl Iterator<Item = [u8; 32]> {
    let secret = format!("AWS4A{secret_key}");
    (1..=u8::MAX).filter_map(move |counter| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(&1_u32.to_be_bytes());
        mac.update(ALGORITHM.as_bytes());
        mac.update(&[0]);
        mac.update(access_key.as_bytes());
        mac.update(&[counter]);
        mac.update(&256_u32.to_be_bytes());
        Some(mac.finalize().into_bytes().into())
    })
}

/// Returns the key of the first candidate that is a scalar of the curve when one is added to it.
fn first_key(mut candidates: impl Iterator<Item = [u8; 32]>) -> Option<SigningKey> {
    let mut candidate = candidates.find(|candidate| *candidate <= ORDER_LESS_2)?;
    add_one(&mut candidate);
    SigningKey::from_slice(&candidate).ok()
}

/// Adds one to a big-endian number that is less than the largest one.
fn add_one(number: &mut [u8; 32]) {
    for byte in number.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return;
        }
    }
}

/// Signs `request`, which must have its `Host` header and no body, for `service` in every region. `token` is the
/// session token of temporary credentials.
pub(crate) fn sign_multi_region<B>(
    request: &mut Request<B>,
    key: &MultiRegionKey,
    token: Option<&str>,
    service: &str,
    time: SystemTime,
) -> Result<()> {
    let failed = |e: http::header::InvalidHeaderValue| {
        Error::new(ErrorKind::Other, "cannot sign the request").with_source(e)
    };
    // From 2026-11-26T01:02:03Z to 20261126T010203Z.
    let date_time = humantime::format_rfc3339_seconds(time).to_string().replace(['-', ':'], "");
    let date = date_time.split('T').next().unwrap_or_default();
    let scope = format!("{date}/{service}/aws4_request");
    let headers = request.headers_mut();
    headers.insert(X_AMZ_DATE, HeaderValue::from_str(&date_time).map_err(failed)?);
    headers.insert(X_AMZ_REGION_SET, HeaderValue::from_static(REGION_SET));
    headers.insert(X_AMZ_CONTENT_SHA256, HeaderValue::from_static(EMPTY_SHA256));
    if let Some(token) = token {
        let mut token = HeaderValue::from_str(token).map_err(failed)?;
        token.set_sensitive(true);
        headers.insert(X_AMZ_SECURITY_TOKEN, token);
    }
    let (canonical, signed_headers) = canonical_request(request);
    let digest = hex::encode(Sha256::digest(canonical.as_bytes()));
    let string_to_sign = format!("{ALGORITHM}\n{date_time}\n{scope}\n{digest}");
    let signature: DerSignature = key.key.sign(string_to_sign.as_bytes());
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={signed_headers}, Signature={}",
        key.credentials.access_key_id(),
        hex::encode(signature.as_bytes())
    );
    let authorization = HeaderValue::from_str(&authorization).map_err(failed)?;
    request.headers_mut().insert(AUTHORIZATION, authorization);
    Ok(())
}

/// Returns the canonical request, which is that of Signature Version 4, and the names of the signed headers. The path
/// and the query are encoded once, as they are sent.
fn canonical_request<B>(request: &Request<B>) -> (String, String) {
    let mut parameters: Vec<_> = request
        .uri()
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .collect();
    parameters.sort_unstable();
    let query: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .filter(|(name, _)| is_signed_header(name.as_str()))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default().trim()))
        .collect();
    headers.sort_unstable();
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = format!("{}\n{}\n{}\n", request.method(), request.uri().path(), query.join("&"));
    for (name, value) in headers {
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{names}\n{EMPTY_SHA256}");
    (canonical, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier;

    const ACCESS_KEY: &str = "AKIDEXAMPLE";
    const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// The public key in AWS's published test suite for this scheme.
    const PUBLIC_KEY: [&str; 2] = [
        "b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1",
        "865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518",
    ];

    fn published_key() -> VerifyingKey {
        VerifyingKey::from_sec1_bytes(&hex::decode(format!("04{}", PUBLIC_KEY.concat())).unwrap()).unwrap()
    }

    #[test]
    fn the_key_is_the_published_one() {
        let key = derive(ACCESS_KEY, SECRET_KEY).unwrap();
        assert_eq!(
            hex::encode(key.to_bytes()),
            "7efc8c0e65a324242818c5a50c891c6060b6a00717b7ba3cbe3c5d765be9259c"
        );
        assert_eq!(*key.verifying_key(), published_key());
    }

    /// No key is known whose first candidate is too large. These were computed by Python's hmac.
    #[test]
    fn each_candidate_has_its_own_counter() {
        let candidates: Vec<_> = candidates(ACCESS_KEY, SECRET_KEY).map(hex::encode).collect();
        for (counter, candidate) in [
            (1, "7efc8c0e65a324242818c5a50c891c6060b6a00717b7ba3cbe3c5d765be9259b"),
            (2, "fb2e27398b914d99df2a3e5bcac6a26593d8227dc68b70bb6835e3eaa99285cb"),
            (3, "7dfc3c6df4743cf4b0b3bf4726a6bfcb24c1e668b4e66c57ae0c453a18ef14fb"),
            (254, "9f776c2ac2c7d2676a9f714369cb8cf22b4a1c449fdab359934ad82200ab6121"),
            (255, "830a89f5fd5f830b49c42ba852517ae601bae4bace176e08f0d9f69775fa490c"),
        ] {
            assert_eq!(candidates[counter - 1], candidate, "{counter}");
        }
        assert_eq!(candidates.len(), 255);
    }

    #[test]
    fn one_is_added_with_its_carry() {
        for (number, sum) in [([0; 32], 1), ([0xff; 32], 0)] {
            let mut number = number;
            add_one(&mut number);
            assert_eq!((number[31], number[0]), (sum, 0));
        }
        let mut number = ORDER_LESS_2;
        add_one(&mut number);
        assert!(SigningKey::from_slice(&number).is_ok(), "n - 1 is the largest key");
        add_one(&mut number);
        assert!(SigningKey::from_slice(&number).is_err());
    }

    #[test]
    fn a_candidate_above_n_less_2_is_skipped() {
        let mut above = ORDER_LESS_2;
        add_one(&mut above);
        let one = {
            let mut one = [0; 32];
            add_one(&mut one);
            one
        };
        let key =
            |candidates: &[[u8; 32]]| first_key(candidates.iter().copied()).map(|key| key.to_bytes().into());
        let largest: [u8; 32] = above;
        assert_eq!(key(&[above, [0xff; 32], ORDER_LESS_2, [0; 32]]), Some(largest));
        assert_eq!(key(&[above, [0; 32]]), Some(one));
        assert_eq!(key(&[above, [0xff; 32]]), None::<[u8; 32]>);
        assert_eq!(key(&[]), None);
    }

    #[test]
    fn the_signature_is_of_the_canonical_request_and_has_no_region() {
        let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, Some("TOKEN".into()), None, "test");
        let key = MultiRegionKey::derive(credentials.clone()).unwrap();
        assert!(key.is_of(&credentials));
        assert!(!key.is_of(&Credentials::new(ACCESS_KEY, "other", None, None, "test")));
        for (token, line, name) in
            [(None, "", ""), (Some("TOKEN"), "x-amz-security-token:TOKEN\n", ";x-amz-security-token")]
        {
            let mut request = Request::builder()
                .uri("/a%20b//c?versionId=v%2F1&attributes")
                .header("host", "m.mrap.accesspoint.s3-global.amazonaws.com")
                .header("range", "bytes=0-9")
                .header("x-amz-checksum-mode", "ENABLED")
                .body(())
                .unwrap();
            let time = humantime::parse_rfc3339_weak("2026-01-01T00:00:00Z").unwrap();
            sign_multi_region(&mut request, &key, token, "s3", time).unwrap();
            let headers = request.headers();
            let names =
                format!("host;x-amz-checksum-mode;x-amz-content-sha256;x-amz-date;x-amz-region-set{name}");
            let authorization = headers[AUTHORIZATION].to_str().unwrap();
            let start = format!(
                "AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/20260101/s3/aws4_request, SignedHeaders={names}, Signature="
            );
            let signature = authorization.strip_prefix(&start).unwrap_or_else(|| panic!("{authorization}"));
            assert_eq!(
                (&headers["x-amz-region-set"], &headers["x-amz-date"]),
                (&"*".parse().unwrap(), &"20260101T000000Z".parse().unwrap())
            );
            assert!(headers.get("x-amz-security-token").is_none_or(HeaderValue::is_sensitive));
            let canonical = format!(
                "GET\n/a%20b//c\nattributes=&versionId=v%2F1\nhost:m.mrap.accesspoint.s3-global.amazonaws.com\n\
                 x-amz-checksum-mode:ENABLED\nx-amz-content-sha256:{EMPTY_SHA256}\nx-amz-date:20260101T000000Z\n\
                 x-amz-region-set:*\n{line}\n{names}\n{EMPTY_SHA256}"
            );
            let string_to_sign = format!(
                "AWS4-ECDSA-P256-SHA256\n20260101T000000Z\n20260101/s3/aws4_request\n{}",
                hex::encode(Sha256::digest(canonical.as_bytes()))
            );
            let signature = DerSignature::try_from(hex::decode(signature).unwrap().as_slice()).unwrap();
            published_key().verify(string_to_sign.as_bytes(), &signature).unwrap();
            assert!(published_key().verify(b"another text", &signature).is_err());
        }
    }
}
