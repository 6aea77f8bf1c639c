//! The server: it accepts connections, records requests, and replies as its scripts say.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::transport::in_memory::script::{
    BodyFate, LATENCY, NEVER, RecordedRequest, ScriptedDial, ScriptedReply,
};
use crate::transport::in_memory::stream::TestStream;

/// The bytes that wait in a connection unread, as in the buffers of a kernel.
const SOCKET_BYTES: usize = 256 << 10;
/// The bytes that a body is sent in.
const PIECE_BYTES: usize = 16 << 10;
/// When the kernel sends a SYN that was lost again (RFC 6298).
const SYN_TIMES: [u64; 4] = [1, 3, 7, 15];

static SERVERS: Mutex<Vec<(String, Arc<ServerState>)>> = Mutex::new(Vec::new());

/// The server. Dropping it makes its host unknown; connections that are open stay.
pub(crate) struct InMemoryServer {
    state: Arc<ServerState>,
    host: String,
}

type ReplyScript = Box<dyn Fn(&RecordedRequest) -> ScriptedReply + Send + Sync>;
type DialScript = Box<dyn Fn(usize) -> ScriptedDial + Send + Sync>;

struct ServerState {
    object: Bytes,
    /// Objects of their own keys.
    others: Mutex<Vec<(&'static str, Bytes)>>,
    replies: ReplyScript,
    dials: Mutex<DialScript>,
    began: Instant,
    /// The time in which nothing gets through.
    outage: Mutex<Range<Duration>>,
    /// When the connections of that time are forgotten: nothing gets through them any more.
    forgets_at: Mutex<Option<Duration>>,
    /// The link that all connections share, and when it is free again.
    link: Mutex<Option<(u64, Instant)>>,
    requests: Mutex<Vec<RecordedRequest>>,
    dialled: AtomicUsize,
    open: AtomicUsize,
    open_most: AtomicUsize,
}

impl InMemoryServer {
    /// Starts a server of one `object`, which replies as `script` says.
    pub(crate) fn start(
        object: Bytes,
        script: impl Fn(&RecordedRequest) -> ScriptedReply + Send + Sync + 'static,
    ) -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let host = format!("memory-{}.invalid", STARTED.fetch_add(1, Ordering::Relaxed));
        let state = Arc::new(ServerState {
            object,
            others: Mutex::default(),
            replies: Box::new(script),
            dials: Mutex::new(Box::new(|_| ScriptedDial::Accept(LATENCY))),
            began: Instant::now(),
            outage: Mutex::default(),
            forgets_at: Mutex::default(),
            link: Mutex::default(),
            requests: Mutex::default(),
            dialled: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            open_most: AtomicUsize::new(0),
        });
        locked(&SERVERS).push((host.clone(), Arc::clone(&state)));
        Self { state, host }
    }

    /// Serves `object` at `/bucket/KEY`, in place of the one for all.
    pub(crate) fn with_object(self, key: &'static str, object: Bytes) -> Self {
        locked(&self.state.others).push((key, object));
        self
    }

    /// Has new connections, counted from 1, accepted as `script` says.
    pub(crate) fn accept_by(self, script: impl Fn(usize) -> ScriptedDial + Send + Sync + 'static) -> Self {
        *locked(&self.state.dials) = Box::new(script);
        self
    }

    /// Has all connections share `bytes_per_second`.
    pub(crate) fn over_link(self, bytes_per_second: u64) -> Self {
        *locked(&self.state.link) = Some((bytes_per_second, self.state.began));
        self
    }

    /// Lets nothing through in this time since the start; it arrives afterwards.
    pub(crate) fn with_outage(self, outage: Range<Duration>) -> Self {
        *locked(&self.state.outage) = outage;
        self
    }

    /// Forgets the connections that exist at this time since the start, as a NAT or a firewall does.
    pub(crate) fn forgetting_at(self, at: Duration) -> Self {
        *locked(&self.state.forgets_at) = Some(at);
        self
    }

    /// The URL of the server.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    /// How long the server has run.
    pub(crate) fn elapsed(&self) -> Duration {
        self.state.began.elapsed()
    }

    /// All requests so far, in the order in which they arrived.
    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        locked(&self.state.requests).clone()
    }

    /// The GETs so far.
    pub(crate) fn gets(&self) -> Vec<RecordedRequest> {
        self.requests().into_iter().filter(RecordedRequest::is_get).collect()
    }

    /// How many connections were dialled.
    pub(crate) fn dialled(&self) -> usize {
        self.state.dialled.load(Ordering::Relaxed)
    }

    /// How many connections are open, and how many were at most.
    pub(crate) fn open(&self) -> (usize, usize) {
        (self.state.open.load(Ordering::Relaxed), self.state.open_most.load(Ordering::Relaxed))
    }
}

impl Drop for InMemoryServer {
    fn drop(&mut self) {
        locked(&SERVERS).retain(|(host, _)| *host != self.host);
    }
}

/// Opens a connection to a server in memory; `None` if no server has this name.
pub(crate) fn dial(host: &str) -> Option<impl Future<Output = io::Result<TestStream>> + Send + use<>> {
    let servers = locked(&SERVERS);
    let state = Arc::clone(&servers.iter().find(|(name, _)| name == host)?.1);
    Some(state.accept())
}

impl ServerState {
    async fn accept(self: Arc<Self>) -> io::Result<TestStream> {
        let number = self.dialled.fetch_add(1, Ordering::Relaxed) + 1;
        let dial = (locked(&self.dials))(number);
        let began = self.began.elapsed();
        let mut syns = SYN_TIMES.iter().map(|seconds| began + Duration::from_secs(*seconds));
        while self.is_out() {
            let Some(next) = syns.next() else { return Err(io::ErrorKind::TimedOut.into()) };
            sleep_until(self.began + next).await;
        }
        match dial {
            ScriptedDial::Accept(after) => sleep(after).await,
            ScriptedDial::Refuse => return Err(io::ErrorKind::ConnectionRefused.into()),
            ScriptedDial::Ignore => std::future::pending().await,
        }
        let (client, server) = duplex(SOCKET_BYTES);
        tokio::spawn(self.serve(server, number));
        Ok(TestStream::Memory(client))
    }

    async fn serve(self: Arc<Self>, mut stream: DuplexStream, connection: usize) {
        let opened = self.began.elapsed();
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.open_most.fetch_max(open, Ordering::Relaxed);
        while let Some(head) = read_head(&mut stream).await {
            let request = self.record(head, connection);
            let reply = (self.replies)(&request);
            if self.reply(&mut stream, opened, &request, reply).await.is_err() {
                break;
            }
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn record(&self, head: String, connection: usize) -> RecordedRequest {
        let mut requests = locked(&self.requests);
        let method = head.split(' ').next().unwrap_or_default().to_owned();
        let number = requests.iter().filter(|request| request.method == method).count();
        let at = self.began.elapsed();
        let mut request = RecordedRequest { number, connection, at, method, range: 0..0, head };
        let size = self.object_of(&request).len() as u64;
        request.range = 0..size;
        let asked = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        if let Some((first, last)) = asked {
            request.range = first.parse().unwrap()..last.parse::<u64>().map_or(size, |last| last + 1);
        }
        requests.push(request.clone());
        request
    }

    async fn reply(
        &self,
        stream: &mut DuplexStream,
        opened: Duration,
        request: &RecordedRequest,
        reply: ScriptedReply,
    ) -> io::Result<()> {
        if reply.latency == NEVER {
            return closed(stream).await;
        }
        if let Ok(closed) = timeout(reply.latency, closed(stream)).await {
            return closed;
        }
        let (head, body) = self.render(request, &reply);
        self.get_through(stream, opened).await?;
        stream.write_all(head.as_bytes()).await?;
        let began = Instant::now();
        let mut sent = 0;
        let mut fate = reply.fate;
        while sent < body.len() {
            let stop = match fate {
                BodyFate::Complete => body.len(),
                BodyFate::CutAt(at) | BodyFate::SilentAt(at) | BodyFate::PauseAt(at, _) => at.min(body.len()),
            };
            if sent == stop {
                match fate {
                    BodyFate::CutAt(_) => return Err(io::ErrorKind::ConnectionReset.into()),
                    BodyFate::PauseAt(_, pause) => sleep(pause).await,
                    _ => return closed(stream).await,
                }
                fate = BodyFate::Complete;
                continue;
            }
            let piece = PIECE_BYTES.min(stop - sent);
            self.get_through(stream, opened).await?;
            self.link_passed(piece).await;
            stream.write_all(&body[sent..sent + piece]).await?;
            sent += piece;
            if let Some(rate) = reply.bytes_per_second {
                sleep_until(began + time_of(sent, rate)).await;
            }
        }
        Ok(())
    }

    fn render(&self, request: &RecordedRequest, reply: &ScriptedReply) -> (String, Bytes) {
        let object = self.object_of(request);
        let size = object.len();
        let at = |offset: u64| usize::try_from(offset).unwrap().min(size);
        let (start, end) = (at(request.range.start), at(request.range.end));
        let is_ranged = request.header("range").is_some();
        let is_beyond = is_ranged && start >= size && reply.body.is_none();
        let status = reply.status.unwrap_or(if is_beyond { 416 } else { 200 + 6 * u16::from(is_ranged) });
        let body = match &reply.body {
            Some(body) => body.clone(),
            None if is_beyond => Bytes::new(),
            None if status == 206 => object.slice(start..end),
            None => object,
        };
        let mut headers =
            vec![("content-length", body.len().to_string()), ("etag", "\"in-memory\"".to_owned())];
        match status {
            206 => headers.push(("content-range", format!("bytes {start}-{}/{size}", end.max(1) - 1))),
            416 => headers.push(("content-range", format!("bytes */{size}"))),
            _ => {}
        }
        for (name, value) in &reply.headers {
            headers.retain(|(usual, _)| usual != name);
            headers.extend((!value.is_empty()).then(|| (*name, value.clone())));
        }
        let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let body = if request.method == "HEAD" { Bytes::new() } else { body };
        (format!("HTTP/1.1 {status} Scripted\r\n{}\r\n", lines.concat()), body)
    }

    fn object_of(&self, request: &RecordedRequest) -> Bytes {
        let others = locked(&self.others);
        let own = others.iter().find(|(key, _)| *key == request.key());
        own.map_or_else(|| self.object.clone(), |(_, object)| object.clone())
    }

    fn is_out(&self) -> bool {
        locked(&self.outage).contains(&self.began.elapsed())
    }

    /// Waits until bytes get through, which they may never do.
    async fn get_through(&self, stream: &mut DuplexStream, opened: Duration) -> io::Result<()> {
        if self.is_out() {
            let end = locked(&self.outage).end;
            sleep_until(self.began + end).await;
        }
        let forgets_at = *locked(&self.forgets_at);
        if forgets_at.is_some_and(|at| opened < at && at <= self.began.elapsed()) {
            closed(stream).await?;
        }
        Ok(())
    }

    async fn link_passed(&self, bytes: usize) {
        let until = {
            let mut link = locked(&self.link);
            let Some((rate, free)) = &mut *link else { return };
            *free = (*free).max(Instant::now()) + time_of(bytes, *rate);
            *free
        };
        sleep_until(until).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "of a piece")]
fn time_of(bytes: usize, bytes_per_second: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / bytes_per_second as f64)
}

/// Waits until the client has closed the connection.
async fn closed(stream: &mut DuplexStream) -> io::Result<()> {
    let _ = stream.read(&mut [0; 1]).await;
    Err(io::ErrorKind::ConnectionReset.into())
}

/// Reads up to the empty line; `None` if the client closed the connection.
async fn read_head(stream: &mut DuplexStream) -> Option<String> {
    let mut head = BytesMut::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(head.to_vec()).ok()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns `len` bytes of which no two pieces are equal, 16 MiB at most.
pub(crate) fn object(len: usize) -> Bytes {
    static ALL: LazyLock<Bytes> = LazyLock::new(|| {
        let words = (0_u32..4 << 20).map(|n| n.wrapping_mul(0x9e37_79b1).rotate_left(7).to_le_bytes());
        words.collect::<Vec<_>>().into_flattened().into()
    });
    ALL.slice(..len)
}
