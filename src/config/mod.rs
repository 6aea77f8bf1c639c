//! Configuration from the command line, the environment and the profile. The only module that uses
//! `aws_config`.

pub(crate) mod aws_files;
pub(crate) mod chain_error;
pub(crate) mod container;
pub(crate) mod credentials;
pub(crate) mod ini;
pub(crate) mod instance;
mod keys;
pub(crate) mod load;
pub(crate) mod process;
pub(crate) mod process_tree;
pub(crate) mod profile;
mod profile_keys;
pub(crate) mod provider_answer;
pub(crate) mod provider_chain;
pub(crate) mod provider_http;
mod provider_refusal;
pub(crate) mod running_command;
pub(crate) mod s3_block;
mod service_url;
pub(crate) mod settings;
pub(crate) mod sso;
mod sts;
pub(crate) mod web_identity;

pub use aws_smithy_runtime_api::client::identity::Identity;

pub use crate::config::credentials::Credentials;
pub use crate::config::load::load;
pub use crate::config::settings::{ChecksumValidation, Config, ProfileLimits, Settings};

pub use crate::s3::address::addressing::{Addressing, AddressingStyle, EndpointVariant};
pub use crate::s3::address::region::Region;
pub use crate::s3::sse_c::{CustomerKey, KeyText};
pub use crate::transport::proxy::Proxies;
pub use crate::transport::tls::{CaBundle, ClientCertificate, Tls};
