//! The command line and the environment of each client.
//!
//! The command writes the server's object to stdout. Each client runs with its own defaults, with the
//! same keys, and sees nothing of the user's AWS configuration.

use std::env;
use std::process::Command;

use super::{Installed, Tool};
use crate::server::{BUCKET, Server};
use crate::tls::Tls;

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const REGION: &str = "us-east-1";

impl Installed {
    /// The command that writes the server's object to stdout, the pieces one after the other where it is cut.
    pub(crate) fn command(&self, server: &Server, tls: Option<&Tls>) -> Command {
        let mut command = self.environment(&server.endpoint(), tls);
        self.arguments(&mut command, server);
        command
    }

    fn arguments(&self, command: &mut Command, server: &Server) {
        let endpoint = server.endpoint();
        let keys: Vec<String> = server.keys().all().collect();
        // Most clients take one.
        let key = keys.first().map_or("", String::as_str);
        let uri = format!("s3://{BUCKET}/{key}");
        let path = format!("/{BUCKET}/{key}");
        command.args(&self.extra);
        match self.tool {
            Tool::S3fcp => command
                .args(["-q", "--endpoint", &endpoint])
                .args(keys.iter().map(|key| format!("s3://{BUCKET}/{key}"))),
            Tool::Floor => command.arg(server.address().to_string()).arg(path),
            Tool::Sdk => command.args([&endpoint, BUCKET, key]),
            Tool::Curl => command
                .args(["-q", "--silent", "--show-error", "--fail"])
                .args(["--aws-sigv4", &format!("aws:amz:{REGION}:s3")])
                .args(["--user", &format!("{ACCESS_KEY}:{SECRET_KEY}")])
                .args(keys.iter().map(|key| format!("{endpoint}/{BUCKET}/{key}"))),
            Tool::S3get => command.arg(&uri),
            Tool::S5cmd => command.args(["--endpoint-url", &endpoint, "cat", &uri]),
            Tool::Aws => command.args(["--endpoint-url", &endpoint, "s3", "cp", "--quiet", &uri, "-"]),
            Tool::Rclone => {
                let remote = "s3,provider=Other,env_auth=true,force_path_style=true";
                command.args(["cat", &format!(":{remote},endpoint='{endpoint}':{BUCKET}/{key}")])
            }
        };
    }

    fn environment(&self, endpoint: &str, tls: Option<&Tls>) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy().to_ascii_uppercase();
            if text.starts_with("AWS_") || text.starts_with("RCLONE_") || text.ends_with("_PROXY") {
                command.env_remove(name);
            }
        }
        let nothing = "/dev/null";
        command
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(
                ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "RCLONE_CONFIG"]
                    .map(|name| (name, nothing)),
            );
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(tls) = tls {
            let names = ["AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"];
            command.envs(names.map(|name| (name, tls.authority())));
        }
        command
    }
}

/// Returns `inner` under `wrapper`, a program that takes a command line as its last arguments.
pub(crate) fn wrap(mut wrapper: Command, inner: &Command) -> Command {
    wrapper.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    wrapper
}
