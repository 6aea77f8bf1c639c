//! A connection's bytes: plain, with the kernel moving the body, or inside TLS.
//!
//! `Read` and `Write` are for heads, [`Wire::send`] for bodies.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::object::Object;

/// Bytes that are encrypted in one go.
const PLAIN_BUFFER: usize = 256 << 10;

/// One connection.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>, Vec<u8>),
}

impl Wire {
    /// Over `stream`; the handshake comes with the first read.
    pub(crate) fn new(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        // A head and its body are two writes, which must not wait for each other's acknowledgement.
        stream.set_nodelay(true)?;
        let Some(config) = tls else { return Ok(Self::Plain(stream)) };
        let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, stream)), vec![0; PLAIN_BUFFER]))
    }

    /// Makes the connection's end, which comes next, a reset.
    pub(crate) fn reset(&self) -> io::Result<()> {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream, _) => stream.get_ref(),
        };
        Ok(rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?)
    }

    /// Sends some of the `len` bytes of `object` from `at` on; returns how many.
    pub(crate) fn send(&mut self, object: &Object, at: u64, len: u64) -> io::Result<u64> {
        match self {
            Self::Plain(stream) => send_file(stream, object, at, len),
            Self::Tls(stream, buffer) => copy(stream, buffer, object, at, len),
        }
    }
}

#[cfg(target_os = "linux")]
fn send_file(stream: &TcpStream, object: &Object, at: u64, len: u64) -> io::Result<u64> {
    let (mut offset, len) = object.piece(at, len);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    match rustix::fs::sendfile(stream, object.file(), Some(&mut offset), len)? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        sent => Ok(sent as u64),
    }
}

#[cfg(not(target_os = "linux"))]
fn send_file(stream: &mut TcpStream, object: &Object, at: u64, len: u64) -> io::Result<u64> {
    copy(stream, &mut vec![0; PLAIN_BUFFER], object, at, len)
}

fn copy(out: &mut impl Write, buffer: &mut [u8], object: &Object, at: u64, len: u64) -> io::Result<u64> {
    let len = buffer.len().min(usize::try_from(len).unwrap_or(usize::MAX));
    object.read_at(at, &mut buffer[..len])?;
    out.write_all(&buffer[..len])?;
    Ok(len as u64)
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream, _) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Tls(stream, _) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream, _) => stream.flush(),
        }
    }
}
