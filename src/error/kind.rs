//! The kinds of failure, their names in JSON and their exit codes.

/// The kind of an [`Error`](crate::Error); it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bad arguments or configuration, a range beyond the end of the object, or an object without the checksum that is
    /// required.
    Usage,
    /// No such bucket, key or version; also a delete marker.
    NotFound,
    /// Credentials missing, wrong or expired; access denied; an archived object.
    Access,
    /// The network failed: name resolution, connection, TLS, a cut or stalled body.
    Network,
    /// The server failed, or sent a response that S3 does not send.
    Server,
    /// The object changed while it was being downloaded.
    Changed,
    /// The delivered bytes do not match the object's checksum.
    Integrity,
    /// The output could not be written.
    Output,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Returns the name of the kind, as JSON output has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Access => "access",
            Self::Network => "network",
            Self::Server => "server",
            Self::Changed => "changed",
            Self::Integrity => "integrity",
            Self::Output => "output",
            Self::Other => "other",
        }
    }

    /// Returns the exit status of a process that ends with an error of this kind.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Access => 4,
            Self::Network | Self::Server => 5,
            Self::Changed => 6,
            Self::Integrity => 7,
            Self::Output => 8,
        }
    }
}
