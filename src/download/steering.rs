//! The task that steers a run: it shows the controller how far the run is, and applies what that decides.

use std::num::NonZeroU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, trace};

use crate::download::concurrency::controller::ConcurrencyController;
use crate::download::concurrency::controller::speed::SpeedMark;
use crate::download::group::DownloadGroup;
use crate::events::LEVEL;

/// How often the number of connections is reviewed: while it is being found, and afterwards.
const TICK: Duration = Duration::from_millis(2);
const TICK_AT_REST: Duration = Duration::from_millis(200);

/// Starts to look for the number of connections that pays, as long as `group` lives. The first response took `latency`.
pub(super) fn steer(group: &Arc<DownloadGroup>, latency: Duration) {
    let limits = &group.limits;
    let rate_limit = limits.bytes_per_second.map(NonZeroU64::get);
    let mut controller = ConcurrencyController::new(
        limits.connections,
        limits.chunk,
        (limits.window, limits.window_max),
        rate_limit,
    );
    controller.first_response(latency);
    if limits.connections > 1 {
        group.permits.orders.set_steered();
    }
    tokio::spawn(run(Arc::downgrade(group), controller));
}

async fn run(group: Weak<DownloadGroup>, mut controller: ConcurrencyController) {
    let began = Instant::now();
    let mut before = 1;
    loop {
        sleep(if controller.is_settled() { TICK_AT_REST } else { TICK }).await;
        let Some(group) = group.upgrade() else { return };
        let (counters, permits) = (&group.counters, &group.permits);
        let (fetched, held) = (counters.fetched(), counters.held());
        let here = SpeedMark {
            at: began.elapsed(),
            bytes: fetched,
            held,
            opened: counters.opened(),
            ended: counters.ended(),
            left: group.bytes_left(),
        };
        let (threads, is_busy) = group.threads();
        controller.set_threads(threads, is_busy);
        controller.set_overtaken(counters.overtaken());
        let connections = controller.observe(here);
        group.widen_to(controller.window_bytes());
        trace!(target: LEVEL, concurrency = connections, fetched, held, "sample");
        if connections != before {
            debug!(target: LEVEL, concurrency = connections, before, "concurrency changed");
        }
        before = connections;
        if let Some(sizes) = controller.sizes() {
            let is_fixed = group.chunk_is_explicit;
            let (chunk, large) = if is_fixed { (u64::MAX, u64::MAX) } else { (sizes.range, sizes.large) };
            permits.orders.set_sizes(chunk, large, sizes.just_in_time);
        }
        permits.orders.set_next_object(controller.next_object_bytes());
        permits.orders.set_observed(controller.needs_prompt_counts());
        // One more than the host is known to allow: it waits for a connection, or finds that more are allowed.
        let cap = group.connection_cap().map_or(usize::MAX, |cap| cap + 1);
        permits.set_target(connections.min(cap));
        if let Some(keep) = controller.take_retreat_decision() {
            permits.order_retreat(keep);
        }
    }
}
