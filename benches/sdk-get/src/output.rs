//! Ordered parts to stdout, by a blocking thread that writes several buffers with one call.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::fd::AsFd;
use std::pin::pin;

use futures_util::stream::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task;

use crate::Result;
use crate::ranges::Part;

/// Buffers written by one system call.
const GATHER: usize = 64;

/// Writes all of `parts`.
pub(crate) async fn write(parts: impl Stream<Item = Result<Part>>) -> Result<()> {
    // Not std's stdout, whose line buffer would copy everything.
    let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(&out, 1 << 20);
    let (sender, mut queue) = mpsc::channel::<Part>(1);
    let writer = task::spawn_blocking(move || {
        while let Some(part) = queue.blocking_recv() {
            part.chunks(GATHER)
                .try_for_each(|buffers| write_all(&mut out, buffers.iter().map(|b| IoSlice::new(b))))?;
        }
        out.flush()
    });
    let mut parts = pin!(parts);
    while let Some(part) = parts.next().await {
        // A writer that is gone says below why.
        if sender.send(part?).await.is_err() {
            break;
        }
    }
    drop(sender);
    Ok(writer.await??)
}

fn write_all<'a>(out: &mut File, buffers: impl Iterator<Item = IoSlice<'a>>) -> io::Result<()> {
    let mut buffers: Vec<_> = buffers.collect();
    let mut buffers = &mut buffers[..];
    while !buffers.is_empty() {
        match out.write_vectored(buffers) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut buffers, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
