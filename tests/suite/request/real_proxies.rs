//! Proxies that nobody here wrote, out of Debian's packages (tests/servers.sh): squid and tinyproxy for HTTP, Dante for
//! SOCKS5. Each carries a download over HTTPS, which is a tunnel, and one over HTTP; without a password and with one.
//!
//! Dante takes names and passwords from the system alone, so there is none for it here: those of SOCKS5 are tested with
//! the proxy of `support/socks.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use s3server::Server;
use tempfile::TempDir;

use crate::servers::pinned;
use crate::servers::process::{Process, free_port, libraries, unpacked};
use crate::support::files::{file, folder};
use crate::support::notes::tell;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};

/// The proxy's passwords.
const SECRETS: [&str; 2] = ["hunter2", "hunter3"];

/// Of the password below, as squid's `basic_ncsa_auth` reads it.
const PASSWORD_MD5: &str = "2ab96390c7dbe3439de74d0c9b0b1767";
const USER: &str = "user:hunter2@";

/// A running proxy, with its log and all that it was started with.
struct Proxy {
    port: u16,
    log: PathBuf,
    _process: Process,
    _folder: TempDir,
}

impl Proxy {
    /// Returns whether it writes of a connection to this port within ten seconds: Dante does so after the download.
    fn saw(&self, port: u16) -> bool {
        // Dante writes a dot where others write a colon.
        let names = [format!("127.0.0.1:{port}"), format!("127.0.0.1.{port}")];
        (0..500).any(|_| {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let is_there = names.iter().any(|name| log.contains(name));
            if !is_there {
                thread::sleep(Duration::from_millis(20));
            }
            is_there
        })
    }
}

/// The program below the packages' folder, its arguments before and after the configuration's name, and that file.
type Kind = (&'static str, &'static [&'static str], fn(&Path, &Path, u16, bool) -> String);

#[test]
fn squid() {
    carries("squid", "http", &[false, true], ("usr/sbin/squid", &["-N", "-f"], squid_conf));
}

#[test]
fn tinyproxy() {
    carries("tinyproxy", "http", &[false, true], ("usr/bin/tinyproxy", &["-d", "-c"], tinyproxy_conf));
}

#[test]
fn dante() {
    for scheme in ["socks5", "socks5h"] {
        carries("dante", scheme, &[false], ("usr/sbin/danted", &["-f"], dante_conf));
    }
}

/// Tries a download by each scheme through the proxy of this name, if it is there.
fn carries(name: &str, scheme: &str, passwords: &[bool], kind: Kind) {
    let version = pinned(name);
    let Some(root) = unpacked(name, version) else {
        tell(&format!("SKIPPED real proxy {name} {version}: not installed (tests/servers.sh does it)"));
        return;
    };
    for &has_password in passwords {
        // Another process may take a port between its choice and its use.
        let proxy = (0..5).find_map(|_| start(&root, kind, has_password)).expect("a proxy that starts");
        let url = |user: &str| format!("{scheme}://{user}127.0.0.1:{}", proxy.port);
        for tls in [false, true] {
            let builder = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests();
            let store = if tls { builder.tls() } else { builder }.start();
            store.put("bucket", "key", object(SIZE));
            let bundle = file(store.ca_pem());
            let run = |user: &str| {
                let run = S3fcp::at(&store.endpoint()).env("ALL_PROXY", url(user));
                run.env("AWS_CA_BUNDLE", bundle.path()).window(4, CHUNK).download(URI)
            };
            let outcome = run(if has_password { USER } else { "" });
            outcome.assert_object(&object(SIZE));
            outcome.assert_hides(&SECRETS);
            assert!(proxy.saw(store.address().port()), "nothing went through {name}");
            if has_password {
                let before = store.requests().len();
                for user in ["", "user:hunter3@"] {
                    let outcome = run(user);
                    outcome.assert_failed(4, &[]);
                    assert!(outcome.stderr.contains("the proxy"), "{}", outcome.stderr);
                    outcome.assert_hides(&SECRETS);
                }
                assert_eq!(store.requests().len(), before, "{name} let a wrong password pass");
            }
        }
    }
    tell(&format!("TESTED real proxy {name} {version} by {scheme}: http, https"));
}

fn start(root: &Path, (program, args, conf): Kind, has_password: bool) -> Option<Proxy> {
    let folder = folder();
    // Where root starts it, squid takes another user, who reads and writes here.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("a folder of ours");
    let (port, log) = (free_port(), folder.path().join("log"));
    let config = folder.path().join("conf");
    fs::write(folder.path().join("passwords"), format!("user:{PASSWORD_MD5}\n")).expect("a file");
    fs::write(&config, conf(root, folder.path(), port, has_password)).expect("a file");
    let libraries = libraries(root);
    let config = config.display().to_string();
    let args = args.iter().copied().chain([config.as_str()]);
    let mut process = Process::start(&root.join(program), args, &[("LD_LIBRARY_PATH", &libraries)]);
    process.listens(port).then_some(Proxy { port, log, _process: process, _folder: folder })
}

fn squid_conf(root: &Path, folder: &Path, port: u16, has_password: bool) -> String {
    let (root, folder) = (root.display(), folder.display());
    let access = if has_password {
        format!(
            "auth_param basic program {root}/usr/lib/squid/basic_ncsa_auth {folder}/passwords
auth_param basic children 1 startup=1
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all"
        )
    } else {
        "http_access allow all".to_owned()
    };
    format!(
        "http_port 127.0.0.1:{port}
{access}
access_log stdio:{folder}/log
cache_log {folder}/cache.log
cache deny all
pid_filename none
coredump_dir {folder}
pinger_enable off
unlinkd_program {root}/usr/lib/squid/unlinkd
netdb_filename none
mime_table {root}/usr/share/squid/mime.conf
icon_directory {root}/usr/share/squid/icons
error_directory {root}/usr/share/squid/errors/en
error_log_languages off
shutdown_lifetime 0 seconds
"
    )
}

fn tinyproxy_conf(_: &Path, folder: &Path, port: u16, has_password: bool) -> String {
    let access = if has_password { "BasicAuth user hunter2\n" } else { "" };
    format!(
        "Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 100
Allow 127.0.0.1
LogFile \"{}/log\"
LogLevel Connect
{access}",
        folder.display()
    )
}

fn dante_conf(_: &Path, folder: &Path, port: u16, _: bool) -> String {
    format!(
        "logoutput: {}/log
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
user.unprivileged: nobody
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 log: connect error }}
",
        folder.display()
    )
}
