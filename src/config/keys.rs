//! Access keys: those in the environment, and whether a request can be signed with the keys that a source gave.

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_types::os_shim_internal::Env;

use crate::config::chain_error::{ProviderTrace, credentials_error};
use crate::config::profile::variable;
use crate::error::{Error, ErrorKind, Result};

/// The variables that have keys.
pub(super) const KEY_VARIABLES: [&str; 4] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"];

/// Returns the keys in `env`. An incomplete pair is an error, not a reason to ask the next source.
pub(super) fn keys_from_env(env: &Env) -> Result<Option<Keys>> {
    match (variable(env, "AWS_ACCESS_KEY_ID"), variable(env, "AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => {
            let token = variable(env, "AWS_SESSION_TOKEN").or_else(|| variable(env, "AWS_SECURITY_TOKEN"));
            let keys = Keys::new(id, secret, token, None, "Environment");
            check_keys(&keys)
                .map_err(|e| ProviderTrace::failed("the environment (AWS_ACCESS_KEY_ID)", &e))
                .map_err(|e| credentials_error(&e))?;
            Ok(Some(keys))
        }
        (Some(_), None) => {
            Err(Error::new(ErrorKind::Access, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not")
                .with_hint("set both, or neither to use a profile"))
        }
        (None, _) => Ok(None),
    }
}

/// Checks that keys can be sent in a header. The AWS crates panic on others.
pub(super) fn check_keys(keys: &Keys) -> Result<(), CredentialsError> {
    let parts = [
        ("the access key ID", keys.access_key_id()),
        ("the secret access key", keys.secret_access_key()),
        ("the session token", keys.session_token().unwrap_or("none")),
    ];
    for (name, text) in parts {
        let problem = if text.is_empty() {
            "is empty"
        } else if text.contains(['\n', '\r']) {
            "contains a line break"
        } else if text.chars().any(char::is_control) {
            "contains a control character"
        } else if !text.is_ascii() {
            "contains a character that is not ASCII"
        } else {
            continue;
        };
        return Err(CredentialsError::invalid_configuration(format!("{name} {problem}")));
    }
    Ok(())
}
