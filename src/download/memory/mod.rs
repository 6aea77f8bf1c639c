//! The memory of body bytes: who may have it, and the frames that carry it.

pub(crate) mod frame;
pub(crate) mod slab;
pub(crate) mod window;
