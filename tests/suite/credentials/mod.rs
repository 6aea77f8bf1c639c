//! Credentials and configuration: where they come from, which setting takes precedence, and what happens when access is
//! denied or credentials expire.

mod access;
mod expired;
mod files_as_people_have_them;
mod instance;
mod left_processes;
mod roles;
mod settings;
mod sources;
mod sso;
