//! A stream to write to: stdout, another inherited descriptor, or a named pipe or device.
//!
//! It reports when the reader of a pipe is gone, keeps binary data from a terminal, and closes the stream in the end,
//! because NFS, FUSE and quotas report errors of earlier writes there. The writer writes to it.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::error::{Error, ErrorKind, Result};
use crate::output::folder::close_shared;
use crate::output::path_error::{failed, unusable};

/// Size of a pipe in bytes: Linux's limit for users (`/proc/sys/fs/pipe-max-size`).
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// Set if the process was started without a stdout.
static STDOUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Notes that the process was started without a stdout. The standard library opens `/dev/null` in its place before
/// `main`, where every byte would be lost without an error.
pub(crate) fn note_closed_stdout() {
    STDOUT_WAS_CLOSED.store(true, Ordering::Relaxed);
}

/// Fails if the process was started without a stdout.
pub(crate) fn check_stdout() -> Result<()> {
    if STDOUT_WAS_CLOSED.load(Ordering::Relaxed) {
        return Err(Error::new(ErrorKind::Output, "stdout is closed"));
    }
    Ok(())
}

/// Writes a text that is the program's whole output to stdout, and closes it.
pub(crate) fn print(text: &[u8]) -> Result<()> {
    let stream = StreamOutput::stdout(true)?;
    (&*stream.file).write_all(text).map_err(Error::output)?;
    stream.finish()
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct StreamOutput {
    file: Arc<File>,
    /// Set if it is a terminal and the user did not ask for binary data there.
    only_text: bool,
}

impl StreamOutput {
    /// Opens this process's stdout. Unless `even_binary`, a terminal gets text only.
    pub(super) fn stdout(even_binary: bool) -> Result<Self> {
        check_stdout()?;
        // Not std's stdout, whose line buffer would copy everything.
        let fd = io::stdout().as_fd().try_clone_to_owned().map_err(Error::output)?;
        let only_text = !even_binary && fd.is_terminal();
        Ok(Self::new(fd, only_text))
    }

    /// Opens a descriptor that this process was started with, which the user named by `path`. Its offset and flags
    /// stay.
    pub(super) fn inherited(descriptor: RawFd, path: &Path) -> Result<Self> {
        if descriptor == rustix::stdio::raw_stdout() {
            check_stdout()?;
        }
        let not_open = || unusable(path, "this descriptor is not open for writing");
        #[expect(unsafe_code, reason = "the number comes from the command line")]
        // SAFETY: it is not -1, and used only until the end of this function. If it is not open, the system says so; if
        // it is one of this process's own, which are all closed on exec, it is refused.
        let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let flags = rustix::io::fcntl_getfd(borrowed).map_err(|_| not_open())?;
        let access = rustix::fs::fcntl_getfl(borrowed).map_err(|_| not_open())?;
        let is_own = flags.contains(rustix::io::FdFlags::CLOEXEC);
        if is_own || !(access & OFlags::RWMODE).intersects(OFlags::WRONLY | OFlags::RDWR) {
            return Err(not_open());
        }
        let fd = borrowed.try_clone_to_owned().map_err(|e| failed(path, "open", e))?;
        Ok(Self::new(fd, false))
    }

    /// Takes a stream that was opened by its name.
    pub(super) fn named(file: File) -> Self {
        Self::new(file.into(), false)
    }

    fn new(fd: OwnedFd, only_text: bool) -> Self {
        enlarge(&fd);
        Self { file: Arc::new(fd.into()), only_text }
    }

    /// Returns the stream, for the writer.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Closes the stream after the last byte. Every close of a descriptor counts, whether others of the same file stay
    /// open or not.
    pub(super) fn finish(self) -> Result<()> {
        close_shared(self.file).map_err(Error::output)
    }

    /// Fails if these bytes would garble a terminal. As with curl, a zero byte decides: text has none.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<()> {
        if self.only_text && bytes.contains(&0) {
            let what = "the object is binary, and stdout is a terminal";
            let hint = "write it to a file with -o FILE, pipe it to a program, or force it onto the terminal with -o -";
            return Err(Error::new(ErrorKind::Output, what).with_hint(hint));
        }
        Ok(())
    }

    /// Returns the stream, watched for an error: the reader of a pipe may close it while there is nothing to write.
    /// `None` for what cannot be watched, such as files.
    pub(super) fn watched(&self) -> Option<AsyncFd<Arc<File>>> {
        watch(self.file())
    }

    /// Returns whether it is a pipe whose reader is gone: nobody reads what is still in it.
    pub(crate) fn has_lost_reader(&self) -> bool {
        let mut fds = [PollFd::new(&self.file, PollFlags::empty())];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
    }
}

/// Registers for errors only: readiness to write would wake this thread for every read of the reader.
fn watch(file: Arc<File>) -> Option<AsyncFd<Arc<File>>> {
    #[expect(unsafe_code, reason = "tokio has no safe constructor for a file descriptor with an interest")]
    // SAFETY: the AsyncFd owns a share of the file, which stays open until it is dropped.
    unsafe { AsyncFd::register_with_interest(file, Interest::ERROR) }.ok()
}

/// Enlarges a pipe, for fewer switches between this process and its reader. Anything else stays as it is, and so does a
/// pipe where the system refuses.
#[cfg(target_os = "linux")]
fn enlarge(fd: &OwnedFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(fd, PIPE_BYTES);
}

#[cfg(not(target_os = "linux"))]
fn enlarge(_: &OwnedFd) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_text_unless_it_is_asked_for_more() {
        let null = || OwnedFd::from(File::create("/dev/null").unwrap());
        for (only_text, bytes, is_good) in [
            (true, &b"text, \xc3\xa9 and \x1b[1mcolour\x1b[0m\n"[..], true),
            (true, b"", true),
            (true, b"text\0", false),
            (false, b"text\0", true),
        ] {
            let checked = StreamOutput::new(null(), only_text).check(bytes);
            assert_eq!(checked.is_ok(), is_good, "{bytes:?}");
            assert!(checked.is_ok_and(|()| true) || only_text);
        }
    }
}
