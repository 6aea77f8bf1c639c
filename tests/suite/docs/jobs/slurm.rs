//! The batch file for Slurm, submitted as its page says, to a cluster of one node that tests/slurm-node.sh starts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::server;
use crate::docs::{markdown, root, text};
use crate::support::files::folder;
use crate::support::notes::tell;
use crate::support::object::object;
use crate::support::run::{ACCESS_KEY, SECRET_KEY};

const SIZE: u64 = 30 << 20;

#[test]
fn the_batch_file_runs_as_its_page_says() {
    let installed = "PATH=$PATH:/usr/sbin; for p in munged slurmctld slurmd sbatch jq; do command -v $p || exit; done; \
                     test \"$(id -u)\" = 0";
    let installed = Command::new("sh").args(["-c", installed]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        tell("SKIPPED job file for Slurm: needs root, munge, slurmctld, slurmd, slurm-client and jq");
        return;
    }
    let (server, _) = server("disk.img", SIZE);
    // Sockets have short paths.
    let cluster = tempfile::tempdir().expect("a folder");
    let work = folder();
    symlink(root().join("docs"), work.path().join("docs")).expect("a link");
    let blocks = markdown::blocks(&text(Path::new("docs/jobs/README.md")));
    let block = blocks.iter().find(|block| block.commands.contains("sbatch")).expect("a block for Slurm");
    // Three tasks in place of 16, and waits for the last job.
    let commands = block
        .commands
        .replace("sbatch --parsable", "sbatch --array=0-2 --parsable")
        .replace("sbatch --dependency", "sbatch --wait --dependency");
    let program = Path::new(env!("CARGO_BIN_EXE_s3fcp")).parent().expect("a folder").as_os_str().to_owned();
    let mut path = program;
    path.push(":/usr/sbin:/sbin:");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = Command::new("timeout")
        .args(["240", "bash"])
        .arg(root().join("tests/slurm-node.sh"))
        .arg(cluster.path())
        .args(["bash", "-euo", "pipefail", "-c", &commands])
        .env("PATH", path)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL_S3", server.endpoint())
        .current_dir(work.path())
        .output()
        .expect("bash");
    let logs = ["slurmctld.out", "slurmd.out"]
        .map(|log| fs::read_to_string(cluster.path().join(log)).unwrap_or_default());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?} {stderr} {logs:?}", output.status);
    assert!(fs::read(work.path().join("slurm.img")).expect("the object") == object(SIZE));
    tell("TESTED job file for Slurm: by slurmctld and slurmd");
}
