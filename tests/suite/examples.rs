//! The programs in examples/, run against a server: they do what they are an example of, and fail as they should.

use std::fs;
use std::future::Future;
use std::io::ErrorKind;

use bytes::Bytes;
use s3fcp::{Config, Error, Options, S3Uri, Settings};
use s3server::{Checksum, Object, Server};

use crate::support::checksums::value;
use crate::support::files::{folder, names};
use crate::support::object::object;

#[path = "../../examples/progress.rs"]
#[expect(dead_code, reason = "its main is for cargo run")]
mod progress;
#[path = "../../examples/to_file.rs"]
#[expect(dead_code, reason = "its main is for cargo run")]
mod to_file;
#[path = "../../examples/untar.rs"]
#[expect(dead_code, reason = "its main is for cargo run")]
mod untar;

const CRC: &str = "x-amz-checksum-crc64nvme";
/// Several ranges of the usual size, and some bytes.
const SIZE: u64 = (9 << 20) + 123;

/// Runs what `case` does with the configuration for `server` and the URI of `stored`, which it holds.
fn on<F: Future>(stored: Object, case: impl FnOnce(Config, S3Uri) -> F) -> F::Output {
    let server = Server::builder().anonymous().start();
    server.put("bucket", "key", stored);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut settings = Settings::default();
        settings.endpoint = Some(server.endpoint());
        settings.no_sign_request = true;
        let config = s3fcp::config::load(&settings).await.expect("a configuration");
        case(config, "s3://bucket/key".parse().expect("a URI")).await
    })
}

/// With the checksum of `right`.
fn checked(bytes: impl Into<Bytes>, right: &[u8]) -> Object {
    Object::new(bytes).checksum(Checksum::Crc64Nvme, value(CRC, right))
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).expect("an entry");
    }
    archive.into_inner().expect("an archive")
}

#[test]
fn a_file_is_there_when_it_is_whole() {
    let (bytes, folder) = (object(SIZE), folder());
    let path = folder.path().join("file");
    let copied =
        on(checked(bytes.clone(), &bytes), async |config, uri| to_file::to_file(&config, &uri, &path).await);
    assert_eq!(copied.expect("a download"), SIZE);
    assert!(fs::read(&path).expect("the file") == bytes);
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn a_file_is_as_it_was_when_the_checksum_is_another() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, "before").expect("a file");
    let stored = checked(object(SIZE), b"other bytes");
    let error = on(stored, async |config, uri| to_file::to_file(&config, &uri, &path).await).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    assert_eq!(fs::read(&path).expect("the file"), b"before");
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn a_file_of_nothing_is_not_made() {
    let folder = folder();
    let missing = async |config: Config, _| {
        let uri = "s3://bucket/missing".parse().expect("a URI");
        to_file::to_file(&config, &uri, &folder.path().join("file")).await
    };
    let error = on(Object::new("x"), missing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(error.downcast::<Error>().expect("the error itself").exit_code(), 3);
    assert_eq!(names(folder.path()), <[String; 0]>::default());
}

#[test]
fn an_archive_is_unpacked_on_its_way() {
    let (bytes, folder) = (object(SIZE), folder());
    let archive = archive(&[("a/large", &bytes), ("b", b"small")]);
    let stored = checked(archive.clone(), &archive);
    on(stored, async |config, uri| untar::untar(&config, &uri, folder.path()).await).expect("an archive");
    assert!(fs::read(folder.path().join("a/large")).expect("a file") == bytes);
    assert_eq!(fs::read(folder.path().join("b")).expect("a file"), b"small");
}

#[test]
fn an_archive_that_ends_before_its_object_is_still_compared() {
    let folder = folder();
    // The decoder is content with what comes before: it would never read as far as the error.
    let mut archive = archive(&[("b", b"small")]);
    archive.extend(vec![0; 1 << 20]);
    let stored = checked(archive, b"other bytes");
    let error = on(stored, async |config, uri| untar::untar(&config, &uri, folder.path()).await).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    let error = error.downcast::<Error>().expect("the error itself");
    assert_eq!(error.kind(), s3fcp::ErrorKind::Integrity, "{error}");
}

#[test]
fn progress_is_reported_from_the_beginning_to_the_end() {
    let (bytes, mut out, mut reports) = (object(SIZE), Vec::new(), Vec::new());
    let copied = on(Object::new(bytes.clone()), async |config, uri| {
        let download = s3fcp::Download::start(&config, &uri, &Options::default()).await?;
        let meter = download.meter();
        let report = |meter: &s3fcp::Meter| reports.push((meter.yielded(), meter.total().expect("a size")));
        progress::copy(download, &mut out, report).await.map(|()| meter)
    });
    let meter = copied.expect("a download");
    assert!(out == bytes);
    let (total, first, last) = (SIZE, reports.first().copied(), reports.last().copied());
    assert_eq!((first, last), (Some((0, total)), Some((total, total))), "{reports:?}");
    assert!(reports.is_sorted(), "{reports:?}");
    // The download is gone, and its meter still shows the figures.
    assert_eq!((meter.yielded(), meter.retries()), (total, 0));
    assert!(meter.fetched() >= total);
}
