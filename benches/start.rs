//! From the start of the process to its first request for the object on the wire, from each source of credentials: the
//! time that is spent before the store can help.
//!
//! `cargo bench --bench start`. It runs the program against a listener of its own, which hands out credentials immediately,
//! as STS, ECS and EC2 do, and notes when the object is asked for. Prints milliseconds; never fails on a slow machine.

#![expect(clippy::print_stdout, reason = "a bench reports there")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 30;

/// A source, its profile, and its part of the environment. `{endpoint}` and `{folder}` are filled in.
type Source = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const SOURCES: [Source; 6] = [
    ("environment", "", &[("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")]),
    ("profile", "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret", &[]),
    ("credential_process", "credential_process = /bin/cat {folder}/keys", &[]),
    (
        "web identity (STS)",
        "",
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "{folder}/token"),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader"),
            ("AWS_ENDPOINT_URL_STS", "{endpoint}"),
        ],
    ),
    ("container (ECS)", "", &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "{endpoint}/keys")]),
    ("instance (EC2)", "", &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "{endpoint}")]),
];

const KEYS: &str = r#"{"Version": 1, "Code": "Success", "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "secret",
"Token": "token", "SessionToken": "token", "Expiration": "2999-01-01T00:00:00Z"}"#;

/// What STS answers (AWS STS API Reference, `AssumeRoleWithWebIdentity`).
const ASSUMED: &str = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
    <AccessKeyId>AKIDEXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
    <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
    </AssumeRoleWithWebIdentityResponse>";

fn main() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("keys"), KEYS)?;
    std::fs::write(folder.path().join("token"), "a.b.c")?;
    println!("from the start to the first request for the object, in ms, of {RUNS} runs");
    println!("{:20} {:>7} {:>7} {:>7}", "credentials from", "least", "median", "most");
    let mut times = vec![Vec::new(); SOURCES.len()];
    for _ in 0..RUNS {
        for (source, times) in SOURCES.iter().zip(&mut times) {
            times.push(first_request(source, folder.path())?);
        }
    }
    for ((name, ..), mut times) in SOURCES.iter().zip(times) {
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let (least, median, most) = (times[0], times[RUNS / 2], times[RUNS - 1]);
        println!("{name:20} {:7.2} {:7.2} {:7.2}", ms(least), ms(median), ms(most));
    }
    Ok(())
}

fn first_request((_, profile, environment): &Source, folder: &Path) -> io::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let filled =
        |text: &str| text.replace("{endpoint}", &endpoint).replace("{folder}", &folder.to_string_lossy());
    let config = folder.join("config");
    std::fs::write(&config, format!("[default]\n{}\n", filled(profile)))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_s3fcp"));
    command.args(["s3://bucket/key", "--endpoint", &endpoint, "--region", "us-east-1", "--quiet"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("AWS_CONFIG_FILE", &config).env("AWS_SHARED_CREDENTIALS_FILE", folder.join("none"));
    command.envs(environment.iter().map(|(name, value)| (name, filled(value))));
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    // A process that ends without its request leaves nobody to wait for.
    let took = answer_until_asked(&listener).map(|()| began.elapsed());
    child.kill()?;
    child.wait()?;
    took
}

/// Answers what asks for credentials, until somebody asks for the object.
fn answer_until_asked(listener: &TcpListener) -> io::Result<()> {
    loop {
        let mut stream = BufReader::new(listener.accept()?.0);
        while let Some(line) = request(&mut stream)? {
            let body = match line.split(' ').nth(1).unwrap_or_default() {
                path if path.starts_with("/bucket/") => return Ok(()),
                "/latest/api/token" => "token",
                "/latest/meta-data/iam/security-credentials/" => "role",
                "/" => ASSUMED,
                _ => KEYS,
            };
            let ttl = "x-aws-ec2-metadata-token-ttl-seconds: 60";
            let head = format!("HTTP/1.1 200 OK\r\n{ttl}\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.get_mut().write_all((head + body).as_bytes())?;
        }
    }
}

/// The first line of the next request, read to the end of its body; `None` at the end of the connection.
fn request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut first = String::new();
    if stream.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    Ok(Some(first))
}
