//! `--remote-time`: FILE has the time of the object before it has its name, and is recognised by `--continue`.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::fault_server::{ETAG, FaultServer, Reply};
use crate::support::files::{assert_good, folder, names, start};
use crate::support::object::{SIZE, object};

/// Wed, 12 Oct 2022 17:50:00 GMT, as the server says.
const MODIFIED: u64 = 1_665_597_000;

fn time_of(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|found| found.modified()).expect("a time")
}

fn object_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED)
}

#[test]
fn the_file_has_the_time_of_the_object_and_is_recognised_later() {
    let server = FaultServer::healthy();
    for args in [&[][..], &["--force"], &["--range", "5-99999"]] {
        let folder = folder();
        let out = folder.path().join("out");
        if args == ["--force"] {
            fs::write(&out, "old").expect("a file");
        }
        assert_good(&start(&server, &out, &[&["--remote-time"], args].concat()).wait());
        assert_eq!(time_of(&out), object_time());
        let sent = server.object_bytes();
        for _ in 0..2 {
            assert_good(&start(&server, &out, &[&["--remote-time", "--continue"], args].concat()).wait());
        }
        assert_eq!((server.object_bytes(), names(folder.path())), (sent, vec!["out".to_owned()]));
    }
}

#[test]
fn a_piece_in_place_and_a_date_that_is_none() {
    let server = FaultServer::healthy();
    let folder = folder();
    let out = folder.path().join("out");
    for shard in ["0/2", "1/2"] {
        let args = ["--in-place", "--remote-time", "--shard", shard, "--if-match", ETAG];
        assert_good(&start(&server, &out, &args).wait());
    }
    assert!(fs::read(&out).expect("the file") == object(SIZE));
    assert_eq!(time_of(&out), object_time());
    for date in ["", "yesterday", "Wed, 99 Oct 2022 17:50:00 GMT"] {
        let server = FaultServer::start(object(SIZE), move |_| Reply::ok().header("last-modified", date));
        assert_good(&start(&server, &out, &["--remote-time", "--force"]).wait());
        assert!(time_of(&out) > object_time() + Duration::from_secs(1000));
    }
}
