//! Connections through a SOCKS5 proxy (RFC 1928, with the user names of RFC 1929).
//!
//! As in curl, `socks5h://` leaves the resolution of the host's name to the proxy, and `socks5://` resolves it here.
//! hyper-util has a handshake too, but its errors have no public type, so that a wrong password could not be
//! distinguished from a failed connection, and it blocks the thread while it resolves a name.

use std::io;
use std::net::IpAddr;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tower_service::Service;

use crate::error::{Error, ErrorKind};
use crate::transport::address_book::lookup;
use crate::transport::connect::TcpConnector;
use crate::transport::proxy::Proxy;
use crate::transport::socket::Socket;
use crate::transport::tunnel::BoxError;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;

/// Connects to the host and port of `host` through `proxy`.
pub(super) async fn connect(
    mut tcp: TcpConnector,
    proxy: &Proxy,
    host: &Uri,
) -> Result<TokioIo<Socket>, BoxError> {
    let port = host.port_u16().unwrap_or(if host.scheme_str() == Some("https") { 443 } else { 80 });
    let name = host.host().unwrap_or_default().trim_matches(['[', ']']);
    let target = if proxy.resolves_names() {
        encode_target(name, port)?
    } else {
        let found = lookup(name, port).await;
        let found = found.map_err(|e| io::Error::new(e.kind(), format!("resolving {name}: {e}")))?;
        let address = found.first().ok_or_else(|| io::Error::other("the host has no address"))?;
        encode_target(&address.ip().to_string(), port)?
    };
    let mut stream = tcp.call(proxy.uri().clone()).await?;
    handshake(stream.inner_mut(), proxy, &target).await?;
    Ok(stream)
}

async fn handshake(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    proxy: &Proxy,
    target: &[u8],
) -> Result<(), BoxError> {
    // A proxy that wants no password refuses a client that offers nothing else. The choice is the proxy's.
    let greeting: &[u8] = match proxy.user() {
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        None => &[VERSION, 1, NO_AUTHENTICATION],
    };
    let cut = |e: io::Error| closed(proxy, e);
    stream.write_all(greeting).await.map_err(cut)?;
    let method = match read::<2>(stream, proxy).await? {
        [VERSION, chosen] if greeting[2..].contains(&chosen) => chosen,
        [VERSION, _] => return Err(proxy.authentication_error("").into()),
        _ => return Err(proxy.error("does not speak SOCKS5").into()),
    };
    if let Some((user, password)) = proxy.user().filter(|_| method == USER_AND_PASSWORD) {
        let mut request = vec![1];
        for text in [user, password] {
            // The proxy's URL was refused with more.
            let length = u8::try_from(text.len()).map_err(|_| proxy.authentication_error(""))?;
            request.push(length);
            request.extend_from_slice(text.as_bytes());
        }
        stream.write_all(&request).await.map_err(cut)?;
        if read::<2>(stream, proxy).await?[1] != 0 {
            return Err(proxy.authentication_error("").into());
        }
    }
    let mut request = vec![VERSION, 1, 0];
    request.extend_from_slice(target);
    stream.write_all(&request).await.map_err(cut)?;
    let [version, status, _, kind] = read::<4>(stream, proxy).await?;
    if version != VERSION {
        return Err(proxy.error("does not speak SOCKS5").into());
    }
    if status != 0 {
        return Err(refusal(proxy, status).into());
    }
    // The address that the proxy bound is of no use, but the host's bytes follow it.
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(read::<1>(stream, proxy).await?[0]),
        _ => return Err(proxy.error("does not speak SOCKS5").into()),
    };
    stream.read_exact(&mut vec![0; length + 2]).await.map_err(cut)?;
    Ok(())
}

async fn read<const N: usize>(
    stream: &mut (impl AsyncRead + Unpin),
    proxy: &Proxy,
) -> Result<[u8; N], BoxError> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(|e| closed(proxy, e))?;
    Ok(bytes)
}

fn closed(proxy: &Proxy, cause: io::Error) -> Error {
    proxy.error("closed the connection during the SOCKS5 handshake").with_source(cause)
}

/// Encodes an address type, an address and a port (RFC 1928, section 5).
fn encode_target(name: &str, port: u16) -> io::Result<Vec<u8>> {
    let mut target = match name.parse() {
        Ok(IpAddr::V4(ip)) => [&[1][..], &ip.octets()].concat(),
        Ok(IpAddr::V6(ip)) => [&[4][..], &ip.octets()].concat(),
        Err(_) => {
            let length = u8::try_from(name.len())
                .map_err(|_| io::Error::other("the host name is longer than 255 bytes"))?;
            [&[3, length][..], name.as_bytes()].concat()
        }
    };
    target.extend_from_slice(&port.to_be_bytes());
    Ok(target)
}

/// The reply codes of RFC 1928, section 6.
fn refusal(proxy: &Proxy, status: u8) -> Error {
    let reason = match status {
        2 => {
            return Error::new(ErrorKind::Access, format!("the proxy {proxy} forbids the host"))
                .with_hint(proxy.hint());
        }
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "general failure",
    };
    proxy.error(format!("could not connect to the host: {reason} (SOCKS5 reply {status})"))
}
