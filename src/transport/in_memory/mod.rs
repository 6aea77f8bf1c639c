//! An HTTP server in memory, by which the engine is tested with paused time and without sockets.
//!
//! Connections are pipes inside the process, so time passes only where the server or the engine waits, and each moment
//! that a test sees is exact. A script decides what each request gets: latency, rate, status, headers, a cut, silence.
//! The server records every request, on which connection it came, and when.

mod script;
mod server;
mod stream;

pub(crate) use script::{BodyFate, LATENCY, NEVER, RecordedRequest, ScriptedDial, ScriptedReply};
pub(super) use server::dial;
pub(crate) use server::{InMemoryServer, object};
pub(super) use stream::TestStream;
