//! How many ranges are fetched at once, and how fast.

pub(crate) mod controller;
pub(crate) mod limit;
pub(crate) mod rate_limit;
pub(crate) mod throttle;
