//! `--limit-rate`: a download is no faster than the limit. (How much slower it may be on a loaded machine, no test can
//! say.)

use std::time::{Duration, Instant};

use crate::support::fault_server::{FaultServer, Reply};
use crate::support::object::object;
use crate::support::run::{S3fcp, URI};

#[test]
fn the_whole_download_is_no_faster() {
    let size = 1 << 20;
    let server = FaultServer::start(object(size), |_| Reply::ok());
    for (objects, args) in [(1, &["--limit-rate", "1MiB"][..]), (2, &["--limit-rate=2MiB/s", URI])] {
        let began = Instant::now();
        let outcome = S3fcp::at(&server.endpoint()).args(args).download(URI);
        outcome.assert_object(&object(size).repeat(objects));
        // One step goes out immediately, and two may be caught up on.
        assert!(began.elapsed() >= Duration::from_millis(840), "{:?}", began.elapsed());
    }
}

/// Nothing is read that has no room: the server is held back, too, and not for idling.
#[test]
fn the_server_is_held_back() {
    let (size, chunk) = (8 << 20, 256 << 10);
    let server = FaultServer::start(object(size), |_| Reply::ok());
    let run =
        S3fcp::at(&server.endpoint()).window(2, chunk).args(["--limit-rate", "100KiB", "--stats=json", URI]);
    let running = run.start();
    // More than the window, what is on its way out, and what the kernel takes.
    let sent = server.settled();
    assert!(sent < size, "all was fetched");
    let ticks = |id: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let fields: Vec<u64> = stat.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        fields.get(11..13).map_or(0, |ticks| ticks.iter().sum())
    };
    let before = ticks(running.id());
    std::thread::sleep(Duration::from_secs(1));
    assert!(ticks(running.id()) - before < 30, "it is busy waiting");
    drop(running);
}
