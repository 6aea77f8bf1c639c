//! The task that steers a download: it shows the controller how far the download is, and applies what that decides.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, trace};

use crate::download::concurrency::controller::ConcurrencyController;
use crate::download::concurrency::controller::speed::SpeedMark;
use crate::download::context::DownloadContext;
use crate::download::limits::Limits;
use crate::events::LEVEL;
use crate::s3::range::ByteRange;

/// How often the number of connections is reviewed: while it is being found, and afterwards.
const TICK: Duration = Duration::from_millis(2);
const TICK_AT_REST: Duration = Duration::from_millis(200);

/// Starts to look for the number of connections that pays, until the handle is dropped. The first response took `latency`.
pub(super) fn steer(
    context: &Arc<DownloadContext>,
    wanted: ByteRange,
    limits: &Limits,
    latency: Duration,
) -> AbortOnDropHandle<()> {
    let context = Arc::clone(context);
    let rate_limit = limits.bytes_per_second.map(NonZeroU64::get);
    let mut controller = ConcurrencyController::new(
        limits.connections,
        limits.chunk,
        (limits.window, limits.window_max),
        rate_limit,
    );
    controller.first_response(latency);
    if limits.connections > 1 {
        context.limit.set_steered();
    }
    let wanted = wanted.len();
    AbortOnDropHandle::new(tokio::spawn(async move {
        let began = Instant::now();
        let mut before = 1;
        loop {
            sleep(if controller.is_settled() { TICK_AT_REST } else { TICK }).await;
            let counters = &context.counters;
            let (fetched, held) = (counters.fetched(), counters.held());
            let (at, left, opened) = (began.elapsed(), wanted.saturating_sub(fetched), counters.opened());
            let here = SpeedMark { at, bytes: fetched, held, opened, left };
            let (threads, is_busy) = context.group.threads();
            controller.set_threads(threads, is_busy);
            let connections = controller.observe(here);
            context.group.widen_to(controller.window_bytes());
            trace!(target: LEVEL, concurrency = connections, fetched, held, "sample");
            if connections != before {
                debug!(target: LEVEL, concurrency = connections, before, "concurrency changed");
            }
            before = connections;
            if let Some(sizes) = controller.sizes() {
                let is_fixed = context.chunk_is_explicit;
                let (chunk, large) = if is_fixed { (u64::MAX, u64::MAX) } else { (sizes.range, sizes.large) };
                context.limit.set_sizes(chunk, large, sizes.just_in_time);
            }
            context.limit.set_observed(controller.needs_prompt_counts());
            // One more than the host is known to allow: it waits for a connection, or finds that more are allowed.
            let cap = context.client.connection_cap().map_or(usize::MAX, |cap| cap + 1);
            context.limit.set_target(connections.min(cap));
            if let Some(keep) = controller.take_retreat() {
                context.limit.retreat_to(keep);
            }
        }
    }))
}
