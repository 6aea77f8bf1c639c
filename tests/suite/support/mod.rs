//! What the tests share: the program's runner, servers to run it against, objects, files and tables of cases.
//!
//! Helpers that more than one test uses are here and nowhere else: no test imports from another one.

pub(crate) mod certificate;
pub(crate) mod checksums;
pub(crate) mod fault_server;
pub(crate) mod files;
pub(crate) mod notes;
pub(crate) mod object;
pub(crate) mod presigned;
pub(crate) mod proxy;
pub(crate) mod run;
pub(crate) mod table;
