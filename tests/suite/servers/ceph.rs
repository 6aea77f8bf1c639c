//! Ceph's RADOS gateway over a cluster of one monitor and one OSD, which keeps its objects in memory.
//!
//! There is no authentication inside the cluster and no manager, and nobody runs a command in it: the OSD stands in the
//! first map that the monitor is made with.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::cases::Named;
use super::process::{Process, command, free_port, libraries, unpacked};
use super::some_servers::{
    CUSTOMER_KEY, LARGE_OBJECTS, MANY_HEADERS, SWIFT_KEY, TENANT, TENANT_KEY, TENANT_NAME,
};
use super::{Client, Keys, Lacks, NO_SUCH_ENDPOINT, REGION, Server};
use crate::support::files::folder;
use crate::support::run::{ACCESS_KEY, SECRET_KEY};

const LACKS: &[Lacks] = &[("endpoint with a path", NO_SUCH_ENDPOINT), ("TLS", NO_SUCH_ENDPOINT)];

const ALSO: &[Named] = &[CUSTOMER_KEY, MANY_HEADERS, LARGE_OBJECTS, TENANT];

const CLUSTER: &str = "a7f64266-0894-4f1e-a635-d0aeaca0e993";
const OSD: &str = "5ec2ab6f-2b3f-4b5e-9a86-7f1a4a2b1c5d";

/// The programs of the packages, and the cluster's configuration.
struct Node<'a> {
    root: &'a Path,
    folder: &'a Path,
}

pub(super) fn start(version: &str) -> Option<Server> {
    let root = unpacked("ceph", version)?;
    let folder = folder();
    let node = Node { root: &root, folder: folder.path() };
    // Another process may take a port between its choice and its use.
    let (processes, port) = (0..5).find_map(|_| node.serve())?;
    let client = Client {
        authority: format!("127.0.0.1:{port}"),
        keys: Keys { id: ACCESS_KEY.to_owned(), secret: SECRET_KEY.to_owned() },
        region: REGION,
    };
    Some(Server { also: ALSO, ..Server::new("Ceph", version, client, LACKS, (processes, folder)) })
}

impl Node<'_> {
    /// Starts the three of them; the port of the S3 API, or `None` if one did not come up.
    fn serve(&self) -> Option<([Process; 3], u16)> {
        let (monitor, s3) = (free_port(), free_port());
        for name in ["mon", "osd"] {
            let data = self.folder.join(name);
            // Of an attempt before this one.
            let _ = fs::remove_dir_all(&data);
            fs::create_dir(&data).expect("a folder");
        }
        fs::write(self.path("ceph.conf"), self.configuration(monitor, s3)).expect("a file");
        let (monmap, osdmap) = (self.path("monmap"), self.path("osdmap"));
        let address = format!("[v2:127.0.0.1:{monitor}]");
        self.run(
            "monmaptool",
            &["--create", "--clobber", "--fsid", CLUSTER, "--addv", "a", &address, &monmap],
        );
        self.run("osdmaptool", &["--createsimple", "1", &osdmap, "--clobber", "--with-default-pool"]);
        self.run("ceph-mon", &["--mkfs", "-i", "a", "--monmap", &monmap, "--osdmap", &osdmap]);
        let mut mon = self.start("ceph-mon", &["-f", "-i", "a"]);
        if !mon.says("(leader)") {
            return None;
        }
        // Also this asks the monitor.
        self.run("ceph-osd", &["--mkfs", "-i", "0", "--osd-uuid", OSD]);
        let osd = self.start("ceph-osd", &["-f", "-i", "0"]);
        let keys = ["--access-key", ACCESS_KEY, "--secret", SECRET_KEY];
        let user = ["user", "create", "--uid", "tests", "--display-name", "tests"];
        self.run("radosgw-admin", &[&user[..], &keys].concat());
        let keys = ["--key-type", "swift", "--secret-key", SWIFT_KEY, "--access", "full"];
        self.run(
            "radosgw-admin",
            &[&["subuser", "create", "--uid", "tests", "--subuser", "tests:swift"][..], &keys].concat(),
        );
        let keys = ["--access-key", TENANT_KEY, "--secret", SECRET_KEY];
        let user = ["user", "create", "--tenant", TENANT_NAME, "--uid", "tests", "--display-name", "tests"];
        self.run("radosgw-admin", &[&user[..], &keys].concat());
        let mut gateway = self.start("radosgw", &["-f", "-n", "client.admin"]);
        gateway.listens(s3).then_some(([gateway, osd, mon], s3))
    }

    fn configuration(&self, monitor: u16, s3: u16) -> String {
        let libraries = self.root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
        // Three times the objects are kept elsewhere: here they are gone after the test.
        format!(
            "[global]
fsid = {CLUSTER}
mon_initial_members = a
mon_host = v2:127.0.0.1:{monitor}/0
ms_bind_msgr1 = false
ms_mon_client_mode = crc
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = {folder}
crash_dir = {folder}
mon_data = {folder}/mon
osd_data = {folder}/osd
pid_file =
admin_socket =
log_file =
log_to_stderr = true
err_to_stderr = true
mon_cluster_log_to_file = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
mon_max_pg_per_osd = 1000
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_class_dir = {libraries}/rados-classes
erasure_code_dir = {libraries}/ceph/erasure-code
plugin_dir = {libraries}/ceph
rgw_frontends = beast endpoint=127.0.0.1:{s3}
rgw_dns_name = s3.localhost
rgw_run_sync_thread = false
rgw_crypt_require_ssl = false
",
            folder = self.folder.display(),
            libraries = libraries.display(),
        )
    }

    fn environment(&self) -> [(&'static str, String); 2] {
        [("LD_LIBRARY_PATH", libraries(self.root)), ("CEPH_CONF", self.path("ceph.conf"))]
    }

    /// Runs a program to its end.
    fn run(&self, program: &str, args: &[&str]) {
        let mut command: Command = command(&self.root.join("usr/bin").join(program), args);
        let Output { status, stderr, .. } = command.envs(self.environment()).output().expect("a program");
        assert!(status.success(), "{program}: {}", String::from_utf8_lossy(&stderr));
    }

    fn start(&self, program: &str, args: &[&str]) -> Process {
        let environment = self.environment();
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
        Process::start(&self.root.join("usr/bin").join(program), args, &environment)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}
