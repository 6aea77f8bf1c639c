//! The memory that body bytes take, and who may have it.

pub(crate) mod frame;
pub(crate) mod window;
