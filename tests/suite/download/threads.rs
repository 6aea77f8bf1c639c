//! Threads that fetch ranges: as many as were asked for, and the bytes stay the same and in order.

use s3server::{Object, Server};

use crate::support::object::object;
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY};

#[test]
fn any_number_of_threads_delivers_every_byte_of_every_object_in_order() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let bytes = object(12 << 20);
    for (key, object) in [("a", bytes.clone()), ("b", bytes.slice(..1)), ("c", bytes.slice(5 << 20..))] {
        server.put("bucket", key, Object::new(object));
    }
    let want = [bytes.as_ref(), &bytes[..1], &bytes[5 << 20..]].concat();
    for threads in [1_u64, 2, 4, 7] {
        for args in [&[][..], &["-c", "9", "--chunk-size", "256KiB"], &["--max-memory", "34MiB"]] {
            let uris = ["a", "b", "c"].map(|key| format!("s3://bucket/{key}"));
            let run = S3fcp::at(&server.endpoint()).args(&uris).args(args);
            let outcome = run.args(["--stats=json", "--threads", &threads.to_string()]).start().wait();
            outcome.assert_object(&want);
            let stats: serde_json::Value = serde_json::from_str(&outcome.stderr).expect("JSON");
            assert_eq!(stats["threads"], threads, "{args:?}");
        }
    }
}
