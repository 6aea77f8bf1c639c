//! The limit on open files: connections, pipes and files each take a descriptor of this process.

use std::os::fd::OwnedFd;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::error::{Error, ErrorKind, Result};

/// Descriptors that the runtime, the signals, the output and the first connection need beside the standard streams.
const NEEDED: usize = 8;

/// Raises the soft limit on open files to the hard one. Shells set a low soft limit for programs that use `select`,
/// which this one does not.
pub(crate) fn raise_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Where the system refuses, as macOS does beyond its own maximum, the limit stays as it is.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Checks that the program can run at all. The runtime panics where it gets no descriptor for signals.
pub(crate) fn check_room() -> Result<()> {
    // The standard library has opened /dev/null where a standard stream was closed.
    let duplicate = |_| rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 0);
    let duplicates: Result<Vec<OwnedFd>, _> = (0..NEEDED).map(duplicate).collect();
    duplicates.map(drop).map_err(|e| {
        Error::new(ErrorKind::Other, "this process can open too few files")
            .with_source(std::io::Error::from(e))
    })
}
