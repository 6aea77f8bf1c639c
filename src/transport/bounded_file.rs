//! Small files that the user names (settings, tokens, certificates), read whole.
//!
//! A path may lead to a device that never ends, or to a pipe whose writer has not come yet: memory stays bounded, and a
//! signal or a time limit still ends the run.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// More than any configuration file or bundle of certificates has, in bytes.
const BYTES_MAX: u64 = 16 << 20;

/// Reads `path`. Fails if it is larger than 16 MiB.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let count = File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if count as u64 > BYTES_MAX { Err(too_large()) } else { Ok(bytes) }
}

/// Reads `path` as [`read_bounded`] does; while a pipe has no writer, other tasks run.
pub(crate) async fn read_bounded_soon(path: PathBuf) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(&path).is_ok_and(|found| found.file_type().is_fifo()) {
        return read_bounded(&path);
    }
    let read = tokio::task::spawn_blocking(move || read_bounded(&path)).await;
    read.unwrap_or_else(|_| Err(io::Error::other("the reading thread failed")))
}

/// Checks a file that somebody else is to read whole.
pub(crate) fn check_bounded(path: &Path) -> io::Result<()> {
    let is_endless = |found: &Metadata| found.file_type().is_char_device();
    match std::fs::metadata(path)? {
        found if found.len() > BYTES_MAX || is_endless(&found) => Err(too_large()),
        _ => Ok(()),
    }
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
        check_bounded(&path).unwrap();
        for (size, is_small) in [(BYTES_MAX, true), (BYTES_MAX + 1, false)] {
            file.as_file().set_len(size).unwrap();
            assert_eq!(read_bounded(&path).is_ok(), is_small);
            assert_eq!(read_bounded_soon(path.clone()).await.is_ok(), is_small);
            assert_eq!(check_bounded(&path).is_ok(), is_small);
        }
        for path in ["/dev/zero", "/no/such/file"].map(PathBuf::from) {
            assert!(read_bounded(&path).is_err() && check_bounded(&path).is_err());
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
