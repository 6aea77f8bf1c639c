//! The token of a web identity, and the keys that STS gives for it.
//!
//! The token is read each time credentials are loaded, because Kubernetes replaces it, and without the line break at its
//! end, with which STS refuses it.

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;

use crate::config::profile::{SettingsLookup, variable};
use crate::config::provider_chain::ProviderChain;
use crate::config::sts::Role;
use crate::error::{Error, ErrorKind};
use crate::transport::bounded_file::read_bounded_soon;

/// The setting of a profile with a web identity.
pub(super) const TOKEN_FILE: &str = "web_identity_token_file";
const TOKEN_FILE_VARIABLE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// Returns the keys for the token that the environment names.
pub(super) async fn keys_of_environment(
    chain: &ProviderChain,
    found: SettingsLookup<'_>,
) -> Result<Keys, CredentialsError> {
    let Some(file) = variable(&chain.env, TOKEN_FILE_VARIABLE) else {
        return Err(CredentialsError::not_loaded(format!("{TOKEN_FILE_VARIABLE} is not set")));
    };
    let session_name = variable(&chain.env, "AWS_ROLE_SESSION_NAME");
    let role = variable(&chain.env, "AWS_ROLE_ARN").map(|arn| Role { arn, session_name, ..Role::default() });
    keys(chain, found, &file, role, "AWS_ROLE_ARN").await
}

/// Returns the keys for the token in `file`, which a profile names. The environment has what the profile leaves out.
pub(super) async fn keys_of_profile(
    chain: &ProviderChain,
    found: SettingsLookup<'_>,
    profile: &str,
    file: &str,
) -> Result<Keys, CredentialsError> {
    let of_profile = SettingsLookup { profile, ..found };
    let setting = |key: &str, name: &str| of_profile.value(&[], key).or_else(|| variable(&chain.env, name));
    let session_name = setting("role_session_name", "AWS_ROLE_SESSION_NAME");
    let role = setting("role_arn", "AWS_ROLE_ARN").map(|arn| Role { arn, session_name, ..Role::default() });
    keys(chain, found, file, role, "role_arn").await
}

/// Returns the keys of `role`, whose setting is called `role_name`, for the token in `file`.
async fn keys(
    chain: &ProviderChain,
    found: SettingsLookup<'_>,
    file: &str,
    role: Option<Role>,
    role_name: &str,
) -> Result<Keys, CredentialsError> {
    let Some(role) = role else {
        let what = format!("there is a token of a web identity ({file}), but {role_name} is not set");
        let error = Error::new(ErrorKind::Access, what).with_hint(format!("set {role_name}"));
        return Err(CredentialsError::invalid_configuration(error));
    };
    let sts = chain.sts(found)?;
    sts.assume_with_token(&role, &read_token(file).await?).await
}

/// Reads the token in `file`.
async fn read_token(file: &str) -> Result<String, CredentialsError> {
    let unusable = |why: String| {
        CredentialsError::provider_error(format!("the token's file {file} cannot be read: {why}"))
    };
    let bytes = read_bounded_soon(file.into())
        .await
        .map_err(|e| {
            Error::new(ErrorKind::Access, format!("the token's file {file} cannot be read")).with_source(e)
        })
        .map_err(CredentialsError::provider_error)?;
    let token =
        std::str::from_utf8(bytes.trim_ascii()).map_err(|_| unusable("it is not a text".to_owned()))?;
    if token.is_empty() {
        return Err(unusable("it is empty".to_owned()));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_read_without_the_space_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = path.to_str().unwrap();
        for (bytes, token) in [
            (&b"a.b.c"[..], Some("a.b.c")),
            (b"a.b.c\n", Some("a.b.c")),
            (b" a.b.c\r\n\n", Some("a.b.c")),
            (b"a\xff", None),
            (b"\n", None),
            (b"", None),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(read_token(file).await.ok().as_deref(), token, "{bytes:?}");
        }
        assert!(read_token("/no/such/file").await.is_err());
    }
}
