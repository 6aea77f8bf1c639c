//! For whom something is written that is not the object: people or programs.

/// How a description is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines for people; what is not known is left out.
    #[default]
    Text,
    /// One line of JSON; every key is there, `null` where its value is not known.
    Json,
}
