//! Swift with its s3api: a proxy, and a server each for accounts, containers and objects, which are kept in
//! memory. memcached is there because tempauth does not work without it.

use std::fs;
use std::path::Path;

use super::process::{Process, command, free_port, libraries, unpacked};
use super::{Client, Keys, Lacks, NO_SUCH_ENDPOINT, REGION, Server};
use crate::support::files::folder;
use crate::support::run::SECRET_KEY;

const LACKS: &[Lacks] = &[("endpoint with a path", NO_SUCH_ENDPOINT), ("TLS", NO_SUCH_ENDPOINT)];

/// The Python that Debian's modules are built for.
const PYTHON: &str = "/usr/bin/python3";

/// Swift's programs read /etc/swift/swift.conf, whatever their own configuration says.
const LAUNCH: &str = "import sys
from swift.common import utils, wsgi
utils.set_swift_dir(sys.argv[1])
sys.exit(wsgi.run_wsgi(sys.argv[2], sys.argv[3], verbose=True))
";

/// tempauth's account and user, as s3api writes them.
const ID: &str = "test:tester";

pub(super) fn start(version: &str) -> Option<Server> {
    let root = unpacked("swift", version)?;
    let folder = folder();
    // Another process may take a port between its choice and its use.
    let (processes, port) = (0..5).find_map(|_| serve(&root, folder.path()))?;
    let client = Client {
        authority: format!("127.0.0.1:{port}"),
        keys: Keys { id: ID.to_owned(), secret: SECRET_KEY.to_owned() },
        region: REGION,
    };
    Some(Server { checks_region: true, ..Server::new("Swift", version, client, LACKS, (processes, folder)) })
}

/// Starts the five of them; the port of the proxy, or `None` if one did not come up.
fn serve(root: &Path, folder: &Path) -> Option<(Vec<Process>, u16)> {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file");
    write(
        "swift.conf",
        "[swift-hash]\nswift_hash_path_suffix = tests\n[storage-policy:0]\nname = memory\ndefault = yes\n",
    );
    let devices = folder.join("devices");
    fs::create_dir_all(devices.join("d1")).expect("a folder");
    let cache = free_port();
    let memcached = root.join("usr/bin/memcached");
    // It gives root's rights away to this user, and has none if it is not root's.
    let args = ["-l", "127.0.0.1", "-p", &cache.to_string(), "-U", "0", "-u", "root"];
    let environment = environment(root);
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut running = vec![Process::start(&memcached, args, &environment)];
    let mut listen = running[0].listens(cache);
    let mut start = |name: &str, port: u16, text: &str| {
        let base = format!(
            "[DEFAULT]\nswift_dir = {0}\ndevices = {1}\nmount_check = false\nfallocate_reserve = 0\nworkers = 0\n\
             bind_ip = 127.0.0.1\nbind_port = {port}\nlog_address = {0}/none\n",
            folder.display(),
            devices.display()
        );
        write(&format!("{name}.conf"), &format!("{base}{text}"));
        let config = folder.join(format!("{name}.conf")).display().to_string();
        let args = ["-c", LAUNCH, &folder.display().to_string(), &config, &format!("{name}-server")];
        let mut process = Process::start(Path::new(PYTHON), args, &environment);
        listen &= process.listens(port);
        running.push(process);
    };
    for (name, app) in [("account", "account"), ("container", "container"), ("object", "mem_object")] {
        let port = free_port();
        ring(root, folder, name, port);
        let text = format!(
            "[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{app}\n"
        );
        start(name, port, &text);
    }
    let port = free_port();
    let filters = [
        ("catch_errors", String::new()),
        ("gatekeeper", String::new()),
        ("memcache", format!("memcache_servers = 127.0.0.1:{cache}\n")),
        ("listing_formats", String::new()),
        ("bulk", String::new()),
        ("s3api", format!("storage_domain = s3.localhost\nlocation = {REGION}\n")),
        ("tempauth", format!("user_test_tester = {SECRET_KEY} .admin\n")),
        ("copy", String::new()),
        ("slo", String::new()),
        ("dlo", String::new()),
        ("versioned_writes", "allow_object_versioning = true\n".to_owned()),
        ("symlink", String::new()),
    ];
    let mut text = String::from("[pipeline:main]\npipeline =");
    text.extend(filters.iter().map(|(name, _)| format!(" {name}")));
    text += " proxy-server\n[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n";
    text.extend(
        filters.iter().map(|(name, options)| format!("[filter:{name}]\nuse = egg:swift#{name}\n{options}")),
    );
    start("proxy", port, &text);
    listen.then_some((running, port))
}

/// Tells where the one server of a kind is.
fn ring(root: &Path, folder: &Path, name: &str, port: u16) {
    let builder = folder.join(format!("{name}.builder")).display().to_string();
    // Of an attempt before this one.
    let _ = fs::remove_file(&builder);
    let program = root.join("usr/bin/swift-ring-builder").display().to_string();
    let device = format!("r1z1-127.0.0.1:{port}/d1");
    for args in [&["create", "0", "1", "0"][..], &["add", &device, "1"], &["rebalance"]] {
        let args = [&[program.as_str(), &builder], args].concat();
        let output = command(Path::new(PYTHON), &args).envs(environment(root)).output().expect("a program");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

fn environment(root: &Path) -> [(&'static str, String); 2] {
    let modules = root.join("usr/lib/python3/dist-packages").display().to_string();
    [("LD_LIBRARY_PATH", libraries(root)), ("PYTHONPATH", modules)]
}
