//! The number of ranges fetched at the same time, and their rate.

pub(crate) mod controller;
pub(crate) mod controller_orders;
pub(crate) mod limit;
pub(crate) mod rate_limit;
pub(crate) mod thread_controller;
pub(crate) mod throttle;
pub(crate) mod trial_backoff;
