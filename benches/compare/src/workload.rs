//! What is downloaded, and how the server behaves meanwhile.
//!
//! The rate and the latencies are those that one connection to S3 shows: 85 to 90 MB/s in the same region, where the
//! first byte takes some 25 ms.

use std::time::Duration;

use clap::ValueEnum;

use crate::server::{MIB, Pace, Straggler};
use crate::tool::Tool;
use crate::{cores, link, many};

/// An object and a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// 2 GiB as fast as the machine can: what a client costs
    Raw,
    /// 1 GiB, 25 ms, 90 MiB/s a connection: S3 in the same region
    S3like,
    /// 512 MiB, 120 ms, 40 MiB/s a connection: S3 on another continent
    Far,
    /// s3like with every 23rd GET at 3 MiB/s
    Straggler,
    /// s3like from a server that keeps four connections and closes any others
    Few,
    /// s3like with a reader that takes 200 MiB/s
    Reader,
    /// 100 kB, 25 ms: what it takes to start
    Small,
    /// 400 objects of 100 KiB, 200 of 1 MiB and 48 of 8 MiB, one after the other on one command line (s3fcp and curl)
    Many,
    /// 512 MiB on one, two and four slow cores, over HTTP and TLS (s3fcp and sdk; needs root and cgroups)
    Cores,
    /// What the reader has over time on links of several speeds (s3fcp, curl, s5cmd, aws; needs root, ip and tc)
    Link,
}

impl Workload {
    /// As the command line has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::S3like => "s3like",
            Self::Far => "far",
            Self::Straggler => "straggler",
            Self::Few => "few",
            Self::Reader => "reader",
            Self::Small => "small",
            Self::Many => "many",
            Self::Cores => "cores",
            Self::Link => "link",
        }
    }

    /// Returns whether it is one object from one server; the others have modules and tables of their own.
    pub(crate) fn is_one_object(self) -> bool {
        !matches!(self, Self::Many | Self::Cores | Self::Link)
    }

    /// Returns the size of the object in bytes, or of the largest.
    pub(crate) fn size(self) -> u64 {
        match self {
            Self::Raw => 2048 * MIB,
            Self::S3like | Self::Straggler | Self::Few | Self::Reader => 1024 * MIB,
            Self::Far => 512 * MIB,
            Self::Small => 100_000,
            Self::Many => many::LARGEST,
            Self::Cores => cores::SIZE,
            Self::Link => link::LARGEST,
        }
    }

    /// How the server behaves.
    pub(crate) fn pace(self) -> Pace {
        let s3 = Pace { latency: Duration::from_millis(25), rate: Some(90), ..Pace::default() };
        match self {
            Self::Raw | Self::Cores => Pace::default(),
            Self::S3like | Self::Reader | Self::Many | Self::Link => s3,
            Self::Far => Pace { latency: Duration::from_millis(120), rate: Some(40), ..s3 },
            Self::Straggler => Pace { straggler: Some(Straggler { every: 23, rate: 3 }), ..s3 },
            Self::Few => Pace { connections: Some(4), ..s3 },
            Self::Small => Pace { rate: None, ..s3 },
        }
    }

    /// Returns the clients that are compared unless others are named.
    pub(crate) fn tools(self) -> &'static [Tool] {
        match self {
            Self::Many => many::TOOLS,
            Self::Cores => cores::TOOLS,
            Self::Link => link::TOOLS,
            _ => &Tool::ALL,
        }
    }

    /// How many MiB a second the reader takes; `None` if as many as come.
    pub(crate) fn reader(self) -> Option<u32> {
        (self == Self::Reader).then_some(200)
    }

    /// The size and the server in words.
    pub(crate) fn describe(self) -> String {
        describe(self.size(), self.pace())
    }

    /// The server in words.
    pub(crate) fn describe_server(self) -> String {
        words(self.pace()).join(", ")
    }
}

/// An object's size and a server in words.
pub(crate) fn describe(size: u64, pace: Pace) -> String {
    std::iter::once(self::size(size)).chain(words(pace)).collect::<Vec<_>>().join(", ")
}

fn words(pace: Pace) -> Vec<String> {
    let mut words = Vec::new();
    if !pace.latency.is_zero() {
        words.push(format!("{} ms to a response", pace.latency.as_millis()));
    }
    match pace.rate {
        Some(rate) => words.push(format!("{rate} MiB/s a connection")),
        None => words.push("as fast as it can".to_owned()),
    }
    if let Some(slow) = pace.straggler {
        words.push(format!("every {}. GET at {} MiB/s", slow.every, slow.rate));
    }
    if let Some(most) = pace.connections {
        words.push(format!("{most} connections at a time"));
    }
    words
}

/// A size as people say it.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1024 * MIB && bytes.is_multiple_of(1024 * MIB) => {
            format!("{} GiB", bytes / (1024 * MIB))
        }
        _ if bytes >= MIB => format!("{} MiB", bytes / MIB),
        _ if bytes.is_multiple_of(1024) => format!("{} KiB", bytes / 1024),
        _ => format!("{} kB", bytes / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_in_words() {
        assert_eq!(Workload::Raw.describe(), "2 GiB, as fast as it can");
        assert_eq!(Workload::Small.describe(), "100 kB, 25 ms to a response, as fast as it can");
        assert_eq!(
            Workload::Straggler.describe(),
            "1 GiB, 25 ms to a response, 90 MiB/s a connection, every 23. GET at 3 MiB/s"
        );
    }
}
