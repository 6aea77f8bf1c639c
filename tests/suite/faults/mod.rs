//! Servers and networks that fail: the table of every fault, and tests of what the table cannot say about one.

mod final_errors;
mod lies;
mod resume;
mod retry;
mod table;
