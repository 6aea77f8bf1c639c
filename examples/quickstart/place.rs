//! The server with its fresh keys, and what a client must know of it.
//!
//! Random keys are good for this server alone and end with it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytesize::ByteSize;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use rand::Rng as _;
use rand::distr::{Alphanumeric, SampleString};
use s3server::{Checksum, EXAMPLE_BUCKET, Object, Server};

use crate::{Result, program};

/// Size of `disk.img`.
const DISK_BYTES: usize = 64 << 20;

pub(crate) struct Place {
    pub(crate) server: Server,
    /// The variables from which a client takes its keys, its endpoint and its certificates.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Place {
    /// Starts the server. The authority's certificate, where there is TLS, goes to a file beside the binary.
    pub(crate) fn open(tls: bool, port: u16, keys: Option<(String, String)>, binary: &Path) -> Result<Self> {
        let (access_key, secret_key) =
            keys.unwrap_or_else(|| (format!("QUICKSTART{}", random(10).to_uppercase()), random(40)));
        // The server panics if the port is taken.
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| format!("port {port}: {error}"))?;
        let options = Server::builder().credentials(&access_key, &secret_key).port(port);
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

    /// Puts every file below `directory`, or the examples, into the bucket, says how to download them, and stays until it
    /// is ended.
    pub(crate) fn serve(self, directory: Option<&Path>, binary: &Path) -> Result<()> {
        let mut keys = Vec::new();
        let mut size = ByteSize(0);
        let mut put = |key: &str, bytes: Vec<u8>| {
            keys.push(key.to_owned());
            size += bytes.len() as u64;
            self.server.put(EXAMPLE_BUCKET, key, as_uploaded(bytes));
        };
        if let Some(directory) = directory {
            put_all(directory, "", &mut put)?;
        } else {
            let mut disk = vec![0; DISK_BYTES];
            rand::rng().fill_bytes(&mut disk);
            for (key, bytes) in s3server::examples(disk) {
                put(key, bytes);
            }
        }
        keys.sort_unstable();
        let what =
            directory.map_or_else(|| "examples".to_owned(), |directory| directory.display().to_string());
        let example = keys.first().ok_or("there is no file to serve")?;
        let binary = program::shown(binary);

        println!("Serving    {} files, {size}, of {} as s3://{EXAMPLE_BUCKET}", keys.len(), what);
        println!("\nIn another terminal, in this directory:\n");
        println!("  unset AWS_PROFILE AWS_SESSION_TOKEN");
        for (name, value) in &self.variables {
            println!("  export {name}={}", quoted(value));
        }
        // s5cmd knows no other name of it.
        println!("  export S3_ENDPOINT_URL={}", quoted(&self.server.endpoint()));
        let uri = quoted(&format!("s3://{EXAMPLE_BUCKET}/{example}"));
        println!("\n  {binary} {uri} | sha256sum");
        println!("  {binary} --checksum require {uri} | sha256sum");
        println!("  {binary} --info {uri}");
        println!("  aws s3 ls --recursive s3://{EXAMPLE_BUCKET}");
        println!("  s5cmd ls 's3://{EXAMPLE_BUCKET}/*'");
        println!("\nCtrl-C ends the server.");
        loop {
            thread::park();
        }
    }
}

/// Returns an object with what S3 keeps of one that was uploaded in a single request: its MD5 as the `ETag`, and its
/// CRC64NVME.
fn as_uploaded(bytes: Vec<u8>) -> Object {
    let crc = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &bytes).to_be_bytes();
    let md5 = format!("{:x}", Bytes::copy_from_slice(&Md5::digest(&bytes)));
    Object::new(bytes).e_tag(&md5).checksum(Checksum::Crc64Nvme, STANDARD.encode(crc))
}

/// The key of a file is its path below the directory. A link to a file is followed; one to a directory is not, since
/// it may lead in a circle.
fn put_all(directory: &Path, prefix: &str, put: &mut dyn FnMut(&str, Vec<u8>)) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let key = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            put_all(&entry.path(), &format!("{key}/"), put)?;
        } else if fs::metadata(entry.path()).is_ok_and(|file| file.is_file()) {
            put(&key, fs::read(entry.path())?);
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
