//! The order of the requests that share connections.

/// The place of a request among all of them: the number of its object, and the offset there. The least comes first. Objects
/// are counted in the process, because several downloads may share connections; an `OutputPosition` counts those of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestOrder {
    pub(crate) object: u64,
    pub(crate) offset: u64,
}
