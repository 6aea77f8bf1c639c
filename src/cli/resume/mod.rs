//! How a run that stopped before its end is continued by a later one.

pub(crate) mod commands;
pub(crate) mod hint;
pub(crate) mod stopped_download;
#[cfg(test)]
mod tests;
