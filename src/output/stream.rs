//! A stream to write to: stdout, or what was named in its place and is no regular file, such as a pipe.
//!
//! It says when the reader at the other end is gone, and keeps bytes from a terminal that would not show them. It
//! never writes itself.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::error::{Error, ErrorKind, Result};

/// What a pipe is enlarged to, in bytes: Linux's limit for users (`/proc/sys/fs/pipe-max-size`).
#[cfg(target_os = "linux")]
const PIPE: usize = 1 << 20;

/// An open stream.
#[derive(Debug)]
pub(crate) struct StreamOutput {
    fd: OwnedFd,
    /// Whether it is a terminal that nobody asked to pour bytes on.
    only_text: bool,
}

impl StreamOutput {
    /// This process's stdout. Unless `even_binary`, a terminal gets text only.
    pub(super) fn stdout(even_binary: bool) -> Result<Self> {
        // Not std's stdout, whose line buffer would copy everything.
        let fd = io::stdout().as_fd().try_clone_to_owned().map_err(Error::output)?;
        let only_text = !even_binary && fd.is_terminal();
        Ok(Self::new(fd, only_text))
    }

    /// What was opened by its name.
    pub(super) fn named(file: File) -> Self {
        Self::new(file.into(), false)
    }

    fn new(fd: OwnedFd, only_text: bool) -> Self {
        enlarge(&fd);
        Self { fd, only_text }
    }

    /// The same stream for the writer.
    pub(super) fn file(&self) -> io::Result<File> {
        Ok(self.fd.try_clone()?.into())
    }

    /// An error where these bytes would garble a terminal. As with curl, a byte of zero tells: no text has one.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<()> {
        if self.only_text && bytes.contains(&0) {
            let what = "the object is binary, and stdout is a terminal";
            let hint = "name a file by -o FILE, pipe it to a program, or have it on the terminal by -o -";
            return Err(Error::new(ErrorKind::Output, what).with_hint(hint));
        }
        Ok(())
    }

    /// The stream, watched for an error: that the reader of a pipe has closed it, which a write would only notice
    /// when there is something to write. `None` for what cannot be watched, such as files.
    pub(super) fn watched(&self) -> Option<AsyncFd<OwnedFd>> {
        self.fd.try_clone().ok().and_then(watch)
    }

    /// Whether it is a pipe whose reader is gone: what is in it still was read by nobody.
    pub(super) fn has_lost_reader(&self) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::empty())];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
    }
}

/// Registers for errors only: readiness to write would wake this thread for every read of the reader.
fn watch(fd: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "tokio has no safe constructor for a file descriptor with an interest")]
    // SAFETY: the AsyncFd owns the descriptor, which so stays open and the same until it is dropped.
    unsafe { AsyncFd::register_with_interest(fd, Interest::ERROR) }.ok()
}

/// A larger pipe means fewer switches between this process and its reader. Where it is no pipe,
/// or the system refuses, it stays as it is.
#[cfg(target_os = "linux")]
fn enlarge(fd: &OwnedFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(fd, PIPE);
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
