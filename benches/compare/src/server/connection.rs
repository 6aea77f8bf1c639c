//! One connection: requests in, paced answers out, until the client has had enough.
//!
//! Everything that happens on it is noted in the counts.

use std::io::{self, Write};
use std::net::TcpStream;
use std::thread::sleep;

use super::pace::Fault;
use super::reply::Reply;
use super::wire::Wire;
use super::{Counts, Site, request};

/// Serves until the client closes the connection, or the connection breaks.
pub(crate) fn serve(stream: TcpStream, site: &Site, counts: &Counts) -> io::Result<()> {
    let mut wire = Wire::new(stream, site.tls.as_ref())?;
    let mut read = Vec::new();
    let mut is_first = true;
    while let Some(request) = request::next(&mut wire, &mut read)? {
        if is_first {
            counts.used();
            is_first = false;
        }
        let number = counts.request(&request);
        sleep(site.pace.latency);
        let fault = if request.is_head() { None } else { site.pace.fault(number) };
        let mut reply = Reply::new(&request, site.keys());
        match fault {
            None => {}
            Some(Fault::Close) => return Ok(()),
            Some(Fault::Busy) => reply = Reply::busy(),
            Some(Fault::Cut | Fault::Reset) => reply.body.end = reply.body.start.midpoint(reply.body.end),
        }
        wire.write_all(reply.head.as_bytes())?;
        let mut throttle = site.pace.throttle(number);
        let mut at = reply.body.start;
        while at < reply.body.end {
            let sent = wire.send(&site.object, at, throttle.step().min(reply.body.end - at))?;
            counts.sent(sent);
            at += sent;
            throttle.sent(sent);
        }
        match fault {
            Some(Fault::Cut) => return Ok(()),
            Some(Fault::Reset) => return wire.reset(),
            _ => {}
        }
    }
    Ok(())
}
