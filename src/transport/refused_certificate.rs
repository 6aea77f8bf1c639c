//! What webpki's errors leave out: which certificate of a chain they are about, a key that is too short, and the purpose of
//! a certificate that was refused before that was looked at.
//!
//! Read only after a refusal. All but [`may_serve`] is for its message.

use std::fmt;
use std::sync::Arc;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, OtherError};
use webpki::{Cert, EndEntityCert};

/// The shortest RSA key that ring verifies a signature of, in bits.
pub(super) const RSA_BITS_MIN: usize = 2048;
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const SERVER_AUTHENTICATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The meaning of a refusal whose error alone would be misread.
#[derive(Debug)]
pub(super) enum RefusedCertificate {
    /// The error is about the certificate of an issuer with this name.
    Issuer(String, CertificateError),
    /// The key of the server, or of the issuer with this name, has too few bits.
    ShortKey(Option<String>, usize),
    /// The server does not have the key of its certificate.
    OtherKey,
}

impl RefusedCertificate {
    /// Returns `error`, about the chain of `end_entity` and `intermediates` below one of `roots`, with what is known
    /// besides. `alone` verifies a certificate without any other.
    pub(super) fn of_chain(
        error: rustls::Error,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        roots: &[CertificateDer<'_>],
        alone: impl Fn(&CertificateDer<'_>) -> Option<rustls::Error>,
    ) -> rustls::Error {
        use CertificateError::{BadSignature, ExpiredContext, NotValidYetContext};
        let found = match &error {
            rustls::Error::InvalidCertificate(
                about @ (ExpiredContext { .. } | NotValidYetContext { .. }),
            ) => {
                let is_about =
                    |certificate: &&CertificateDer<'_>| alone(certificate).as_ref() == Some(&error);
                // The dates of a certificate are checked before its issuer is looked for.
                let issuer = (!is_about(&end_entity)).then(|| intermediates.iter().find(is_about)).flatten();
                issuer.map(|issuer| Self::Issuer(parsed(issuer, name).unwrap_or_default(), about.clone()))
            }
            rustls::Error::InvalidCertificate(BadSignature) => {
                let chain = || std::iter::once(end_entity).chain(intermediates);
                let issuers: Vec<_> =
                    chain().filter_map(|c| parsed(c, |c| Some(c.issuer().to_vec()))).collect();
                let is_issuer = |c: &Cert<'_>| issuers.iter().any(|issuer| issuer == c.subject());
                chain().chain(roots).find_map(|certificate| {
                    parsed(certificate, |c| is_issuer(c).then(|| Self::short_key(c, name(c)))?)
                })
            }
            _ => None,
        };
        found.map_or(error, Self::into_error)
    }

    /// Returns `error`, about a handshake that `certificate` did not verify, with what is known besides.
    pub(super) fn of_handshake(error: rustls::Error, certificate: &CertificateDer<'_>) -> rustls::Error {
        if error != rustls::Error::InvalidCertificate(CertificateError::BadSignature) {
            return error;
        }
        parsed(certificate, |c| Self::short_key(c, None)).unwrap_or(Self::OtherKey).into_error()
    }

    /// Returns what is in `error`.
    pub(super) fn find(error: &CertificateError) -> Option<&Self> {
        let CertificateError::Other(OtherError(cause)) = error else { return None };
        cause.downcast_ref()
    }

    fn short_key(certificate: &Cert<'_>, issuer: Option<String>) -> Option<Self> {
        let bits = rsa_bits(&certificate.subject_public_key_info())?;
        (bits < RSA_BITS_MIN).then_some(Self::ShortKey(issuer, bits))
    }

    fn into_error(self) -> rustls::Error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(self))))
    }
}

impl fmt::Display for RefusedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer(name, error) => write!(f, "the issuer {name:?}: {error:?}"),
            Self::ShortKey(_, bits) => write!(f, "an RSA key of {bits} bits"),
            Self::OtherKey => f.write_str("signed with another key"),
        }
    }
}

impl std::error::Error for RefusedCertificate {}

/// Returns the object identifier at the beginning of an algorithm's DER, with dots.
pub(super) fn algorithm(der: &[u8]) -> Option<String> {
    let mut reader = SliceReader::new(der).ok()?;
    Some(ObjectIdentifier::decode(&mut reader).ok()?.to_string())
}

/// Returns whether `certificate` may be a server's by its extended key usage, if it has one (RFC 5280, section 4.2.1.12).
pub(super) fn may_serve(certificate: &CertificateDer<'_>) -> bool {
    let purposes = extension(certificate, EXTENDED_KEY_USAGE);
    purposes.is_none_or(|purposes| {
        let mut purposes =
            AnyRef::from_der(purposes).map_or(Vec::new(), |list| fields(list.value())).into_iter();
        purposes.any(|purpose| purpose.decode_as() == Ok(SERVER_AUTHENTICATION))
    })
}

/// Returns the value of an extension of a certificate (RFC 5280, section 4.1). Extensions are the last field of what is
/// signed.
fn extension<'a>(certificate: &'a CertificateDer<'_>, id: ObjectIdentifier) -> Option<&'a [u8]> {
    let certificate = AnyRef::from_der(certificate).ok()?;
    let signed = *fields(certificate.value()).first()?;
    let list = AnyRef::from_der(fields(signed.value()).last()?.value()).ok()?;
    fields(list.value()).into_iter().find_map(|extension| {
        let parts = fields(extension.value());
        (parts.first()?.decode_as() == Ok(id)).then_some(parts.last()?.value())
    })
}

/// Reads something of a certificate, if it is one.
fn parsed<T>(certificate: &CertificateDer<'_>, read: impl FnOnce(&Cert<'_>) -> Option<T>) -> Option<T> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    read(&certificate)
}

/// Returns the common name of a certificate's subject, or whatever its first name is.
fn name(certificate: &Cert<'_>) -> Option<String> {
    let mut names = fields(certificate.subject()).into_iter().filter_map(|set| {
        let [kind, value] = fields(fields(set.value()).first()?.value())[..] else { return None };
        Some((
            kind.decode_as::<ObjectIdentifier>().ok()?,
            String::from_utf8_lossy(value.value()).into_owned(),
        ))
    });
    let first = names.next()?;
    let common = std::iter::once(first.clone()).chain(names).find(|(kind, _)| *kind == COMMON_NAME);
    Some(common.unwrap_or(first).1)
}

/// Returns the size of an RSA key (RFC 8017, appendix A.1.1) in its `SubjectPublicKeyInfo`.
fn rsa_bits(spki: &[u8]) -> Option<usize> {
    let [algorithm, key] = fields(AnyRef::from_der(spki).ok()?.value())[..] else { return None };
    if fields(algorithm.value()).first()?.decode_as::<ObjectIdentifier>().ok()? != RSA {
        return None;
    }
    // A bit string begins with the number of its unused bits.
    let key = AnyRef::from_der(key.value().get(1..)?).ok()?;
    let modulus = fields(key.value()).first()?.value().iter().skip_while(|byte| **byte == 0);
    let bytes: Vec<u8> = modulus.copied().collect();
    Some(bytes.len() * 8 - bytes.first()?.leading_zeros() as usize)
}

/// Returns the values one after the other in `der`, up to the first that is none.
fn fields(der: &[u8]) -> Vec<AnyRef<'_>> {
    let Ok(mut reader) = SliceReader::new(der) else { return Vec::new() };
    std::iter::from_fn(|| (!reader.is_finished()).then(|| AnyRef::decode(&mut reader).ok())?).collect()
}
