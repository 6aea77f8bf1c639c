//! Work that waits for the disk: on another thread, or on this one where the system has no thread to give (`ulimit -u`,
//! the `pids` limit of a container). The runtime panics there.

use std::io;

/// Returns whether the system gives this process another thread.
pub(crate) fn has_thread() -> bool {
    std::thread::Builder::new().spawn(|| {}).is_ok()
}

/// Does `work`, on another thread if `has_thread`. Fails if `work` panics there.
pub(crate) async fn run_blocking<T: Send + 'static>(
    has_thread: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    if !has_thread {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| io::Error::other("the thread failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_work_is_done_with_and_without_a_thread() {
        let here = std::thread::current().id();
        for is_elsewhere in [true, false] {
            let did = run_blocking(is_elsewhere, || std::thread::current().id()).await.unwrap();
            assert_eq!(did != here, is_elsewhere);
        }
        assert!(has_thread());
    }
}
