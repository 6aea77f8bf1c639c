//! Server-side encryption with a customer-provided key (SSE-C): the key, and the three headers that each request for
//! such an object carries.
//!
//! Neither a `Debug` form nor an error repeats a byte of the input: a mistyped key is still nearly a key.
//!
//! Source: Amazon S3 User Guide, "Using server-side encryption with customer-provided keys".

use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest, Md5};

use crate::error::{Error, Result};

const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-algorithm");
const KEY: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-key");
const KEY_MD5: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-key-md5");

/// The length of an AES-256 key, in bytes.
const KEY_BYTES: usize = 32;
/// A larger file is not a key.
const FILE_BYTES_MAX: u64 = 1024;

/// The value of `--sse-c-key`: the name of a file, or the key itself.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

impl KeyText {
    /// Returns the name of the file, which is not secret; `None` if the value is the key itself.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        let text = self.0.trim();
        from_base64(text.as_bytes()).is_none().then_some(text)
    }

    /// Returns the path of that file.
    pub(crate) fn path(&self) -> Option<&Path> {
        let text = self.file()?;
        let path = ["fileb://", "file://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        Some(Path::new(path.unwrap_or(text)))
    }
}

impl From<String> for KeyText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(..)")
    }
}

/// A 256-bit key, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey {
    base64: HeaderValue,
    md5: HeaderValue,
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey(..)")
    }
}

impl CustomerKey {
    /// Creates a key from its bytes.
    #[must_use]
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Self { base64: secret(bytes), md5: secret(&Md5::digest(bytes)) }
    }

    /// Reads a key: `text` is its base64, or the name of a file (also with `fileb://`, as for the AWS CLI) that holds
    /// its 32 bytes or their base64.
    ///
    /// # Errors
    /// An error of usage if `text` is neither.
    pub fn read(text: &KeyText) -> Result<Self> {
        // A key may come from a device or a pipe, whose length is not known in advance.
        Self::read_by(text, |path| {
            let mut bytes = Vec::new();
            std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    /// Reads a key as [`read`](Self::read) does; `read_file` reads its file, if it is in one.
    pub(crate) fn read_by(
        text: &KeyText,
        read_file: impl FnOnce(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self> {
        let invalid = |why: &str| {
            Error::usage(why)
                .with_hint("pass the name of a file that contains the key's 32 bytes, or their base64")
        };
        if let Some(key) = from_base64(text.0.trim().as_bytes()) {
            return Ok(key);
        }
        let path = text.path().unwrap_or_else(|| Path::new(""));
        let bytes = read_file(path)
            .map_err(|e| invalid("--sse-c-key is neither a base64 key nor a readable file").with_source(e))?;
        match bytes.as_slice().try_into() {
            Ok(key) => Ok(Self::new(key)),
            Err(_) => from_base64(bytes.trim_ascii())
                .ok_or_else(|| invalid("the file of --sse-c-key contains neither 32 bytes nor their base64")),
        }
    }

    /// Adds the three headers.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        headers.insert(ALGORITHM, HeaderValue::from_static("AES256"));
        headers.insert(KEY, self.base64.clone());
        headers.insert(KEY_MD5, self.md5.clone());
    }
}

fn from_base64(text: &[u8]) -> Option<CustomerKey> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    Some(CustomerKey::new(bytes.as_slice().try_into().ok()?))
}

fn secret(bytes: &[u8]) -> HeaderValue {
    let text = BASE64_STANDARD.encode(bytes);
    // All characters of base64 are allowed in a header.
    let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes 0 to 31, and their MD5, both in base64.
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const MD5: &str = "tP/LI3N87DFaSk0aoqYgzg==";

    fn key() -> [u8; KEY_BYTES] {
        std::array::from_fn(|n| u8::try_from(n).unwrap())
    }

    fn read(text: impl Into<String>) -> Result<CustomerKey> {
        CustomerKey::read(&KeyText(text.into()))
    }

    #[test]
    fn base64_and_files_of_either_form_are_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.display().to_string()
        };
        let raw = file("raw", &key());
        let text = file("text", format!("{BASE64}\n").as_bytes());
        for said in [BASE64.to_owned(), format!(" {BASE64} "), raw.clone(), format!("fileb://{raw}"), text] {
            let mut headers = HeaderMap::new();
            read(&said).unwrap().add_to(&mut headers);
            let got = [ALGORITHM, KEY, KEY_MD5].map(|name| headers[name].to_str().unwrap().to_owned());
            assert_eq!(got, ["AES256", BASE64, MD5], "{said}");
        }
    }

    #[test]
    fn an_invalid_key_is_refused_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hunter2");
        std::fs::write(&path, [7; 31]).unwrap();
        for said in ["hunter2", "", "aHVudGVyMg==", &BASE64[1..], path.to_str().unwrap(), "/"] {
            let error = read(said).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{said}");
            let shown = format!("{error} {error:?}");
            assert!(said.len() < 2 || !shown.contains(said), "{shown}");
        }
    }

    #[test]
    fn nothing_shows_the_key() {
        let mut headers = HeaderMap::new();
        let key = read(BASE64).unwrap();
        key.add_to(&mut headers);
        let shown = format!("{key:?} {headers:?} {:?}", KeyText(BASE64.into()));
        assert!(!shown.contains(&BASE64[..8]) && !shown.contains(&MD5[..8]), "{shown}");
    }
}
