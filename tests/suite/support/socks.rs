//! A SOCKS5 proxy in this process (RFC 1928, RFC 1929), which connects to one server whatever host is asked for, and
//! records the hosts.

use std::io::{Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A running proxy. Its threads end with the connections of the test.
pub(crate) struct Socks {
    address: SocketAddr,
    hosts: Arc<Mutex<Vec<String>>>,
}

impl Socks {
    /// Starts a proxy that connects to `upstream`, demands `user` (a name and a password) or accepts none, and answers
    /// requests for a connection with `reply`, where 0 is success.
    pub(crate) fn start(upstream: SocketAddr, user: Option<(&'static str, &'static str)>, reply: u8) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener's address");
        let hosts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&hosts);
        thread::spawn(move || {
            for client in listener.incoming().take(200) {
                let (Ok(client), seen) = (client, Arc::clone(&seen)) else { return };
                // A client may close its connection at any time.
                thread::spawn(move || serve(client, upstream, user, reply, &seen).is_ok());
            }
        });
        Self { address, hosts }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the hosts and ports that connections were asked for.
    pub(crate) fn hosts(&self) -> Vec<String> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    mut client: TcpStream,
    upstream: SocketAddr,
    user: Option<(&str, &str)>,
    reply: u8,
    hosts: &Mutex<Vec<String>>,
) -> Result<()> {
    client.set_nodelay(true)?;
    let [_, count] = read(&mut client)?;
    let mut methods = vec![0; count.into()];
    client.read_exact(&mut methods)?;
    let method = if user.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        return client.write_all(&[5, 0xff]);
    }
    client.write_all(&[5, method])?;
    if let Some((name, password)) = user {
        let [_] = read(&mut client)?;
        let given = (read_text(&mut client)?, read_text(&mut client)?);
        let is_right = given == (name.to_owned(), password.to_owned());
        client.write_all(&[1, u8::from(!is_right)])?;
        if !is_right {
            return Ok(());
        }
    }
    let [_, _, _, kind] = read(&mut client)?;
    let host = match kind {
        1 => Ipv4Addr::from(read::<4>(&mut client)?).to_string(),
        3 => read_text(&mut client)?,
        _ => format!("[{}]", std::net::Ipv6Addr::from(read::<16>(&mut client)?)),
    };
    let port = u16::from_be_bytes(read(&mut client)?);
    hosts.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{host}:{port}"));
    // The bound address as a name, which has a length of its own.
    client.write_all(&[5, reply, 0, 3, 1, b'x', 0, 1])?;
    if reply != 0 {
        return Ok(());
    }
    let server = TcpStream::connect(upstream)?;
    server.set_nodelay(true)?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || {
        let copied = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
        copied
    });
    let _ = std::io::copy(&mut client, &mut &server);
    let _ = server.shutdown(std::net::Shutdown::Both);
    let _ = back.join();
    Ok(())
}

fn read<const N: usize>(client: &mut TcpStream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_text(client: &mut TcpStream) -> Result<String> {
    let [length] = read(client)?;
    let mut bytes = vec![0; length.into()];
    client.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
