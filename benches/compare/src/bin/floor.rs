//! The least that a client can cost which copies: one connection, one GET of the whole object, `read` into one buffer
//! and `write` to stdout.
//!
//! `floor HOST:PORT /BUCKET/KEY`. It checks nothing beyond the length and tries nothing again: it is a mark on a
//! scale, and no download program.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;

/// Bytes that are read and written in one call.
const BUFFER: usize = 256 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: floor HOST:PORT /BUCKET/KEY".into());
    };
    let mut stream = TcpStream::connect(&address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    // Not std's stdout, whose line buffer would copy everything.
    let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(&out, 1 << 20);

    let mut buffer = vec![0; BUFFER];
    let (mut read, body) = head(&mut stream, &mut buffer)?;
    let mut left = length(&buffer[..body])?;
    // The bytes that came after the head.
    buffer.copy_within(body..read, 0);
    read -= body;
    loop {
        out.write_all(&buffer[..read])?;
        left = left.checked_sub(read as u64).ok_or("the body is too long")?;
        if left == 0 {
            return Ok(());
        }
        read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err("the body is too short".into());
        }
    }
}

/// Reads until the head is there; returns how much was read and where the body starts.
fn head(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<(usize, usize), Box<dyn Error>> {
    let mut read = 0;
    loop {
        if let Some(end) = buffer[..read].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            return Ok((read, end + 4));
        }
        match stream.read(&mut buffer[read..])? {
            0 => return Err("the head is too short or too long".into()),
            more => read += more,
        }
    }
}

/// The value of `Content-Length`.
fn length(head: &[u8]) -> Result<u64, Box<dyn Error>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(head)?;
    if response.code != Some(200) {
        return Err(format!("status {:?}", response.code).into());
    }
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    Ok(std::str::from_utf8(length.ok_or("no Content-Length")?.value)?.parse()?)
}
