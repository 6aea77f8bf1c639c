//! Container credentials: ECS tasks, EKS Pod Identity, and whatever else serves keys at a URL in the environment.
//!
//! The AWS crates refuse a token with a line break at its end, which is how people write token files.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Container credential provider".

use std::io;
use std::net::IpAddr;

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_types::os_shim_internal::Env;
use http::{HeaderValue, Request, StatusCode, Uri};

use crate::config::profile::variable;
use crate::config::provider_answer::KeyDocument;
use crate::config::provider_http::{ProviderClient, SourcePatience};
use crate::config::provider_refusal::{refusal, secrets_of};
use crate::error::{Error, ErrorKind};
use crate::s3::address::http_url::HttpUrl;
use crate::transport::bounded_file::read_bounded_soon;

/// The host of `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`.
const ECS_HOST: &str = "http://169.254.170.2";
/// The hosts that plain HTTP may be sent to besides loopback: ECS, and EKS by IPv4 and IPv6.
const LINK_LOCAL: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// Returns the keys that the container's environment leads to.
pub(super) async fn load(env: &Env, client: &ProviderClient) -> Result<Keys, CredentialsError> {
    let invalid = |reason: String| failed(reason, CHECK_VARIABLES);
    let Some(url) = url(env).map_err(invalid)? else {
        return Err(CredentialsError::not_loaded("no AWS_CONTAINER_CREDENTIALS_ variable is set"));
    };
    let mut request = Request::builder().uri(&url).header("accept", "application/json");
    let token = token(env).await.map_err(|e| e.with_hint(CHECK_VARIABLES));
    if let Some(token) = token.map_err(CredentialsError::provider_error)? {
        request = request.header("authorization", token);
    }
    let request = request.body(String::new()).map_err(|e| invalid(format!("{url}: {e}")))?;
    let answer = client.send(&request, SourcePatience::default()).await;
    let (status, body) = answer.map_err(CredentialsError::provider_error)?;
    if !status.is_success() {
        let hint = if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            REFUSED
        } else {
            NO_KEYS
        };
        let error = refusal(&secrets_of(&request), status, &body);
        let is_busy = error.kind() == ErrorKind::Server;
        return Err(CredentialsError::provider_error(if is_busy { error } else { error.with_hint(hint) }));
    }
    KeyDocument::parse(&body)
        .and_then(|answer| answer.keys("Token", "Container"))
        .map_err(|reason| failed(format!("the response contains no valid keys: {reason}"), NO_KEYS))
}

const CHECK_VARIABLES: &str = "check the variables AWS_CONTAINER_...";
const REFUSED: &str = "the container's agent refuses: check AWS_CONTAINER_AUTHORIZATION_TOKEN or its file, and the role of \
                       the task or pod";
const NO_KEYS: &str = "the container's agent gives no keys: check the variables AWS_CONTAINER_..., and the role of the task \
                       or pod";

fn failed(reason: String, hint: &str) -> CredentialsError {
    CredentialsError::provider_error(Error::new(ErrorKind::Access, reason).with_hint(hint))
}

/// Returns the URL of the keys; `None` if the environment names none.
fn url(env: &Env) -> Result<Option<Uri>, String> {
    if let Some(path) = variable(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        let path = path.trim();
        let url = format!("{ECS_HOST}{}{path}", if path.starts_with('/') { "" } else { "/" });
        return url
            .parse()
            .map(Some)
            .map_err(|e| format!("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path: {e}"));
    }
    let Some(url) = variable(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI") else { return Ok(None) };
    let uri: Uri =
        url.trim().parse().map_err(|e| format!("AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL: {e}"))?;
    // The message about a host that cannot be reached would show a password.
    HttpUrl::authority_of(&uri).map_err(|why| format!("AWS_CONTAINER_CREDENTIALS_FULL_URI: {why}"))?;
    match uri.scheme_str() {
        Some("https") => Ok(Some(uri)),
        Some("http") if uri.host().is_some_and(may_be_plain) => Ok(Some(uri)),
        Some("http") => {
            Err("AWS_CONTAINER_CREDENTIALS_FULL_URI may use plain HTTP only for this machine, ECS and EKS"
                .to_owned())
        }
        _ => Err("AWS_CONTAINER_CREDENTIALS_FULL_URI is not an http(s) URL".to_owned()),
    }
}

fn may_be_plain(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || LINK_LOCAL.contains(&host)
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Returns the value of `Authorization`: from a file, which may be rotated, or from the environment.
async fn token(env: &Env) -> Result<Option<HeaderValue>, Error> {
    let unusable = |why: String| Error::new(ErrorKind::Access, why);
    let (name, token) = if let Some(path) = variable(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        let bytes = read_bounded_soon(path.trim().into()).await;
        let token = bytes
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into()))
            .map_err(|e| {
                unusable(format!("cannot read {path} (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE)"))
                    .with_source(e)
            })?;
        ("the file of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token)
    } else if let Some(token) = variable(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN") {
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token)
    } else {
        return Ok(None);
    };
    let mut value = HeaderValue::from_str(token.trim())
        .map_err(|_| unusable(format!("{name} contains a line break or a control character")))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        Env::from_slice(variables)
    }

    #[test]
    fn the_url_is_of_a_host_that_may_see_the_token() {
        const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
        let of = |variables: &[(&str, &str)]| url(&env(variables)).map(|url| url.map(|url| url.to_string()));
        assert_eq!(of(&[]), Ok(None));
        for (name, value, want) in [
            (RELATIVE, "/v2/credentials/x", Some("http://169.254.170.2/v2/credentials/x")),
            (RELATIVE, "v2/credentials\n", Some("http://169.254.170.2/v2/credentials")),
            (FULL, "http://169.254.170.23/v1/credentials", Some("http://169.254.170.23/v1/credentials")),
            (FULL, " http://127.0.0.1:9/a?b=c\n", Some("http://127.0.0.1:9/a?b=c")),
            (FULL, "http://[::1]:9/a", Some("http://[::1]:9/a")),
            (FULL, "http://[fd00:ec2::23]/v1", Some("http://[fd00:ec2::23]/v1")),
            (FULL, "http://localhost/a", Some("http://localhost/a")),
            (FULL, "https://keys.example.com/a", Some("https://keys.example.com/a")),
            (FULL, "http://keys.example.com/a", None),
            (FULL, "http://169.254.169.254/a", None),
            (FULL, "ftp://localhost/a", None),
            (FULL, "http://user:pw@localhost/a", None),
            (FULL, "nonsense", None),
            (RELATIVE, "/a b", None),
        ] {
            assert_eq!(of(&[(name, value)]).ok(), want.map(|url| Some(url.to_owned())), "{value:?}");
        }
    }

    #[tokio::test]
    async fn a_token_is_trimmed_and_has_one_line() {
        const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
        for (text, want) in [
            ("a.b", Some("a.b")),
            ("a.b\n", Some("a.b")),
            (" Bearer a\r\n", Some("Bearer a")),
            ("a\nb", None),
        ] {
            let token = token(&env(&[(TOKEN, text)])).await.ok().flatten();
            assert_eq!(token.as_ref().and_then(|token| token.to_str().ok()), want, "{text:?}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "of.file\n").unwrap();
        let path = file.path().to_str().unwrap();
        let both = env(&[("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path), (TOKEN, "unused")]);
        assert_eq!(token(&both).await.unwrap().unwrap(), "of.file");
        assert!(
            token(&env(&[("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nowhere")]))
                .await
                .unwrap_err()
                .to_string()
                .contains("cannot read")
        );
    }
}
