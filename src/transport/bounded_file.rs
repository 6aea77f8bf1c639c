//! Small files that the user names (settings, tokens, certificates), read whole.
//!
//! A path may lead to a device that never ends, or to a pipe whose writer has not come yet: memory stays bounded, and a
//! signal or a time limit still ends the run. All of them are read here, except a list of sources, which is a stream.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;

use crate::error::shortage;
use crate::events::CONNECTION;

/// More than any configuration file or bundle of certificates has, in bytes.
const BYTES_MAX: u64 = 16 << 20;
/// How long a pipe is waited for without a word.
const NOTICE_TIME: Duration = Duration::from_secs(1);

/// Reads `path`. Fails if it is larger than 16 MiB.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    File::open(path).and_then(read_all)
}

fn read_all(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let count = file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if count as u64 > BYTES_MAX { Err(too_large()) } else { Ok(bytes) }
}

/// Returns whether reading `path` may wait for somebody: a pipe without a writer, a terminal.
pub(crate) fn may_wait(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Reads `path` as [`read_bounded`] does: on another thread if reading it [may wait](may_wait), so that a time limit and
/// signals still end the run. A warning names it after a second.
pub(crate) async fn read_bounded_soon(path: PathBuf) -> io::Result<Vec<u8>> {
    if !may_wait(&path) {
        return read_bounded(&path);
    }
    let (done, mut read) = oneshot::channel();
    let of_thread = path.clone();
    // Not a thread of the runtime, which waits for those when it ends.
    let read_there = move || {
        // Nobody waits if the run has ended.
        let _ = done.send(read_bounded(&of_thread));
    };
    if let Err(e) = std::thread::Builder::new().name("file".to_owned()).spawn(read_there) {
        return read_device(&path).unwrap_or_else(|| Err(shortage::of_thread(e)));
    }
    let bytes = if let Ok(bytes) = timeout(NOTICE_TIME, &mut read).await {
        bytes
    } else {
        warn!(target: CONNECTION, reason = %path.display(), "waiting for a pipe or device to be written");
        read.await
    };
    bytes.unwrap_or_else(|_| Err(io::Error::other("the reading thread failed")))
}

/// Reads a device that does not wait for anybody, such as `/dev/null`; `None` if `path` is something else.
fn read_device(path: &Path) -> Option<io::Result<Vec<u8>>> {
    let is_device = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device());
    let open = || File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    let read = is_device.then(|| open().and_then(read_all))?;
    Some(read).filter(|read| !read.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock))
}

fn too_large() -> io::Error {
    io::Error::other("it is larger than 16 MiB")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn what_never_ends_or_is_too_large_is_an_error() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"text").unwrap();
        let path = file.path().to_owned();
        assert_eq!(read_bounded(&path).unwrap(), b"text");
        assert_eq!(read_bounded_soon(path.clone()).await.unwrap(), b"text");
        for (size, is_small) in [(BYTES_MAX, true), (BYTES_MAX + 1, false)] {
            file.as_file().set_len(size).unwrap();
            assert_eq!(read_bounded(&path).is_ok(), is_small);
            assert_eq!(read_bounded_soon(path.clone()).await.is_ok(), is_small);
        }
        for path in ["/dev/zero", "/no/such/file"].map(PathBuf::from) {
            assert!(read_bounded(&path).is_err());
            assert!(read_bounded_soon(path).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_pipe_without_a_writer_blocks_no_other_task() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut reading = Box::pin(read_bounded_soon(pipe.clone()));
        tokio::select! {
            biased;
            _ = &mut reading => panic!("there is nothing to read"),
            () = tokio::task::yield_now() => {}
        }
        File::options().write(true).open(&pipe).unwrap().write_all(b"text").unwrap();
        assert_eq!(reading.await.unwrap(), b"text");
    }
}
