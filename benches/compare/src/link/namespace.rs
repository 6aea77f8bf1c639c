//! A network namespace on the other end of a pair of virtual devices, and the shaper between. It is gone when this is dropped.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Result;

/// The least bucket of the shaper, in KiB: some packets. Otherwise it holds 16 ms of the rate.
const BURST_KIB_MIN: u32 = 20;

/// The namespace, and its devices.
pub(super) struct Namespace {
    name: String,
    device: String,
    /// A number of this process, so that what one that was killed has left is not in the way of the next.
    network: u32,
}

/// Returns why no namespace with a shaped link can be made here; `None` if one can.
pub(crate) fn obstacle() -> Option<String> {
    Namespace::new().and_then(|made| made.shape(100)).err().map(|error| error.to_string())
}

impl Namespace {
    /// Makes a namespace with a pair of devices that leads to it.
    pub(super) fn new() -> Result<Self> {
        let id = std::process::id() % 100_000;
        let made = Self { name: format!("s3fcp-link-{id}"), device: format!("s3l{id}a"), network: id % 256 };
        let (here, there) = (format!("{}/24", made.address(1)), format!("{}/24", made.address(2)));
        let (name, device, peer) = (&made.name, &made.device, format!("s3l{id}b"));
        ip(&["netns", "add", name])?;
        ip(&["link", "add", device, "type", "veth", "peer", "name", &peer])?;
        ip(&["link", "set", &peer, "netns", name])?;
        ip(&["addr", "add", &here, "dev", device])?;
        ip(&["link", "set", device, "up"])?;
        ip(&["-n", name, "addr", "add", &there, "dev", &peer])?;
        ip(&["-n", name, "link", "set", &peer, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(made)
    }

    /// The address of this end, 1, or of the other, 2.
    fn address(&self, end: u8) -> String {
        format!("10.79.{}.{end}", self.network)
    }

    /// Limits what comes from there to `rate` Mbit/s.
    pub(super) fn shape(&self, rate: u32) -> Result<()> {
        let peer = self.device.replace('a', "b");
        let (rate, burst) = (format!("{rate}mbit"), format!("{}kb", (rate * 2).max(BURST_KIB_MIN)));
        let shaper = ["tbf", "rate", &rate, "burst", &burst, "latency", "50ms"];
        let place = ["-n", &self.name, "qdisc", "replace", "dev", &peer, "root"];
        run(Command::new("tc").args(place).args(shaper))
    }

    /// Returns a listener there.
    pub(super) fn listener(&self) -> Result<TcpListener> {
        let namespace = File::open(format!("/var/run/netns/{}", self.name))?;
        let address = self.address(2);
        // The namespace is that of a thread, and a socket stays where it was made.
        let bound = thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpListener::bind((address, 0))
        });
        Ok(bound.join().map_err(|_| "the thread of the listener ended early")??)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.device]);
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}", said.lines().next().unwrap_or("failed")).into())
}
