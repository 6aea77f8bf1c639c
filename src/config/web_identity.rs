//! The token of a web identity, whose file the AWS crates would read themselves: synchronously, and with the line break
//! at its end, with which STS refuses it.
//!
//! So it is read here, each time credentials are loaded, because Kubernetes replaces it. The crates get a pipe that
//! contains it, unless they can read the file itself as well.

use std::io::{self, PipeReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use aws_credential_types::provider::error::CredentialsError;

use crate::transport::bounded_file::{may_wait, read_bounded_soon};

/// The least capacity of a new pipe on any system.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// A token for one reader.
#[derive(Debug)]
pub(super) struct TokenFile {
    path: String,
    /// The pipe that the path leads to.
    _pipe: Option<PipeReader>,
}

impl TokenFile {
    /// Reads the token in `file`.
    pub(super) async fn read(file: &str) -> Result<Self, CredentialsError> {
        let unusable = |why: String| {
            CredentialsError::provider_error(format!("the token's file {file} cannot be read: {why}"))
        };
        let bytes = read_bounded_soon(file.into()).await.map_err(|e| unusable(e.to_string()))?;
        let token = bytes.trim_ascii();
        if token.is_empty() {
            return Err(unusable("it is empty".to_owned()));
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(unusable("it is larger than 16 KiB".to_owned()));
        }
        if token.len() == bytes.len() && !may_wait(Path::new(file)) {
            return Ok(Self { path: file.to_owned(), _pipe: None });
        }
        Self::of(token).map_err(|e| unusable(e.to_string()))
    }

    fn of(token: &[u8]) -> io::Result<Self> {
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(token)?;
        Ok(Self { path: format!("/dev/fd/{}", reader.as_raw_fd()), _pipe: Some(reader) })
    }

    /// Returns a path under which the token can be read once.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_read_without_the_space_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = path.to_str().unwrap();
        let most = "x".repeat(TOKEN_BYTES_MAX);
        for (text, token) in [
            ("a.b.c", Some("a.b.c")),
            ("a.b.c\n", Some("a.b.c")),
            (" a.b.c\r\n\n", Some("a.b.c")),
            (most.as_str(), Some(most.as_str())),
            (&format!("{most}x"), None),
            ("\n", None),
            ("", None),
        ] {
            std::fs::write(&path, text).unwrap();
            let read = TokenFile::read(file).await;
            let read = read.ok().map(|file| std::fs::read_to_string(file.path()).unwrap());
            assert_eq!(read.as_deref(), token, "{text:?}");
        }
        assert!(TokenFile::read("/no/such/file").await.is_err());
    }
}
