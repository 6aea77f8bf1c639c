//! The server with its fresh keys, and what a client must know of it.
//!
//! Gets whether there is to be TLS, hands on the server and the environment variables of its clients. The keys are good
//! for this server alone and end with it.

use std::fs;
use std::path::Path;
use std::thread;

use bytesize::ByteSize;
use rand::distr::{Alphanumeric, SampleString};
use s3server::Server;

use crate::{Result, program};

pub(crate) const BUCKET: &str = "quickstart";

pub(crate) struct Place {
    pub(crate) server: Server,
    /// What a client finds its keys, its endpoint and its trust in.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Place {
    /// Starts the server. The authority's certificate, where there is TLS, goes to a file beside the binary.
    pub(crate) fn open(tls: bool, binary: &Path) -> Result<Self> {
        let access_key = format!("QUICKSTART{}", random(10).to_uppercase());
        let secret_key = random(40);
        let options = Server::builder().credentials(&access_key, &secret_key);
        let server = if tls { options.tls() } else { options }.start();
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID", access_key),
            ("AWS_SECRET_ACCESS_KEY", secret_key),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL_S3", server.endpoint()),
        ];
        if tls {
            let bundle = binary.with_file_name("quickstart-ca.pem");
            fs::write(&bundle, server.ca_pem())?;
            variables.push(("AWS_CA_BUNDLE", bundle.display().to_string()));
        }
        Ok(Self { server, variables })
    }

    /// Puts every file below `directory` into the bucket, tells how to ask for them, and stays until it is ended.
    pub(crate) fn serve(self, directory: &Path, binary: &Path) -> Result<()> {
        let mut keys = Vec::new();
        let mut size = ByteSize(0);
        put_all(&self.server, directory, "", &mut |key, bytes| {
            keys.push(key.to_owned());
            size += bytes;
        })?;
        keys.sort_unstable();
        let example = keys.first().ok_or("there is no file to serve")?;
        let binary = program::shown(binary);

        println!("Serving    {} files, {size}, of {} as s3://{BUCKET}", keys.len(), directory.display());
        println!("\nIn another terminal, in this directory:\n");
        println!("  unset AWS_PROFILE AWS_SESSION_TOKEN");
        for (name, value) in &self.variables {
            println!("  export {name}={}", quoted(value));
        }
        let uri = quoted(&format!("s3://{BUCKET}/{example}"));
        println!("\n  {binary} {uri} | sha256sum");
        println!("  {binary} --info {uri}");
        println!("\nCtrl-C ends the server.");
        loop {
            thread::park();
        }
    }
}

/// The key of a file is its path below the directory. A link to a file is followed; one to a directory is not, since
/// it may lead in a circle.
fn put_all(server: &Server, directory: &Path, prefix: &str, note: &mut dyn FnMut(&str, u64)) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let key = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            put_all(server, &entry.path(), &format!("{key}/"), note)?;
        } else if fs::metadata(entry.path()).is_ok_and(|file| file.is_file()) {
            let bytes = fs::read(entry.path())?;
            note(&key, bytes.len() as u64);
            server.put(BUCKET, &key, bytes);
        }
    }
    Ok(())
}

/// As one word of a shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn random(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}
