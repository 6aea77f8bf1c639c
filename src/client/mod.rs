//! One exchange with S3 or with a URL's server: a request is sent, corrected where the response asks for that, and
//! sent again.

pub(crate) mod correction;
pub(crate) mod exchange;
pub(crate) mod express_session;
pub(crate) mod metadata;
pub(crate) mod object_client;
pub(crate) mod origins;
pub(crate) mod part_sizes;
pub(crate) mod proxy_response;
pub(crate) mod request_log;
pub(crate) mod request_sender;
pub(crate) mod retry;
pub(crate) mod secrets;
pub(crate) mod session_slot;
pub(crate) mod shown_checksums;
pub(crate) mod site;
