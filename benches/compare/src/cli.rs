//! The command line, and the defaults of what it leaves open.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use clap::Parser;

use crate::tool::Tool;
use crate::workload::Workload;
use crate::{link, sweep};

/// Download the same object with several clients from a loopback server that behaves like S3, and print what each costs
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "a flag is a bool")]
#[command(name = "compare", max_term_width = 100)]
pub(crate) struct Args {
    /// What to download, one or more [default: raw,s3like,small, or none with one of the next three]
    #[arg(short, long, value_enum, value_delimiter = ',', value_name = "LIST")]
    workloads: Option<Vec<Workload>>,

    /// The cost over the object's size, from 64 MiB to 8 GiB: s3fcp, or the tools named
    #[arg(long)]
    pub(crate) sizes: bool,

    /// The throughput over the number of connections, from 1 to 64: s3fcp and sdk
    #[arg(long)]
    pub(crate) concurrency: bool,

    /// The instructions of s3fcp for each GiB, by crate (needs valgrind)
    #[arg(long)]
    pub(crate) instructions: bool,

    /// The links of the workload link, in Mbit/s
    #[arg(long, value_delimiter = ',', value_name = "LIST", value_parser = clap::value_parser!(u32).range(1..=100_000),
        default_values_t = link::RATES)]
    pub(crate) rates: Vec<u32>,

    /// Instead of all that: so many GiB by s3fcp from a server with a fault every few hundred requests,
    /// every byte compared, and memory that must not grow
    #[arg(long, value_name = "GIB", num_args = 0..=1, default_missing_value = "100")]
    pub(crate) soak: Option<NonZeroU64>,

    /// The clients, in the order of the rounds [default: all]
    #[arg(short, long, value_enum, value_delimiter = ',', value_name = "LIST")]
    tools: Option<Vec<Tool>>,

    /// Rounds that count, after one in which every byte is checked
    #[arg(short = 'n', long, value_name = "N", default_value = "3")]
    pub(crate) rounds: NonZeroU32,

    /// Serve over TLS 1.3, by a certificate authority made on the spot
    #[arg(long)]
    pub(crate) tls: bool,

    /// Draw CPU time by client (of the first workload of one object), throughput over connections and over cores, and
    /// delivered bytes over time on the first and the last link
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// Print Markdown
    #[arg(long)]
    pub(crate) markdown: bool,

    /// More words for the command line of s3fcp, after `--`
    #[arg(last = true, value_name = "S3FCP ARGS")]
    pub(crate) extra: Vec<String>,
}

impl Args {
    /// The workloads to run.
    pub(crate) fn workloads(&self) -> Vec<Workload> {
        match &self.workloads {
            Some(workloads) => workloads.clone(),
            None if self.sizes || self.concurrency || self.instructions => Vec::new(),
            None => vec![Workload::Raw, Workload::S3like, Workload::Small],
        }
    }

    /// The clients that were named, or else these.
    pub(crate) fn tools_or(&self, default: &[Tool]) -> Vec<Tool> {
        self.tools.clone().unwrap_or_else(|| default.to_vec())
    }

    /// All clients that are needed, each once.
    pub(crate) fn tools(&self) -> Vec<Tool> {
        let workloads = self.workloads().into_iter().map(Workload::tools);
        let sizes = self.sizes.then_some(sweep::TOOLS_FOR_SIZES);
        let connections = self.concurrency.then_some(sweep::TOOLS_FOR_CONNECTIONS);
        let mut tools = Vec::new();
        for tool in workloads.chain(sizes).chain(connections).flat_map(|tools| self.tools_or(tools)) {
            if !tools.contains(&tool) {
                tools.push(tool);
            }
        }
        tools
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Args {
        Args::try_parse_from(words.split(' ')).unwrap()
    }

    #[test]
    fn workloads_are_left_out_when_something_else_is_asked_for() {
        assert_eq!(parse("compare").workloads().len(), 3);
        assert_eq!(parse("compare --sizes").workloads(), []);
        assert_eq!(parse("compare --sizes -w far").workloads(), [Workload::Far]);
    }

    #[test]
    fn only_the_clients_that_are_needed_are_looked_for() {
        assert_eq!(parse("compare --instructions").tools(), []);
        assert_eq!(parse("compare --sizes --concurrency").tools(), [Tool::S3fcp, Tool::Sdk]);
        assert_eq!(parse("compare -w many,cores").tools(), [Tool::S3fcp, Tool::Curl, Tool::Sdk]);
        assert_eq!(parse("compare --sizes -t curl").tools(), [Tool::Curl]);
        assert_eq!(parse("compare").tools(), Tool::ALL);
    }

    #[test]
    fn words_behind_the_dashes_are_for_s3fcp() {
        let args = parse("compare -w raw -t s3fcp,curl -- -c 4");
        assert_eq!(args.tools(), [Tool::S3fcp, Tool::Curl]);
        assert_eq!(args.extra, ["-c", "4"]);
    }
}
