//! Everything that was asked for, one after the other, printed as it is done.
//!
//! Gets the command line, hands on what the plot shows.

use crate::cli::Args;
use crate::compare::Comparison;
use crate::drain::Drain;
use crate::link::LinkRun;
use crate::object::Source;
use crate::server::Server;
use crate::sweep::Point;
use crate::tls::Tls;
use crate::tool::{Installed, Tool};
use crate::workload::Workload;
use crate::{Result, compare, instructions, link, machine, report, sweep, tool};

/// What all measurements share.
pub(crate) struct Bench<'a> {
    args: &'a Args,
    tools: Vec<Installed>,
    source: Source,
    tls: Option<Tls>,
}

impl<'a> Bench<'a> {
    /// Builds and finds the clients, and fills the object's file.
    pub(crate) fn new(args: &'a Args) -> Result<Self> {
        let tls = args.tls.then(Tls::new).transpose()?;
        Ok(Self { args, tools: find(args)?, source: Source::new(largest(args))?, tls })
    }

    /// The machine and the clients, a line each.
    pub(crate) fn describe(&self) -> String {
        let tools = self.tools.iter().map(|t| format!("{}: {}", t.tool.name(), t.version));
        let between = if self.args.markdown { "  \n" } else { "\n" };
        std::iter::once(machine::describe()).chain(tools).collect::<Vec<_>>().join(between)
    }

    /// The workloads, a table each.
    pub(crate) fn workloads(&self) -> Result<Vec<Comparison>> {
        let compare = |workload: Workload| {
            let config = self.tls.as_ref().map(|tls| tls.config.clone());
            let server = Server::start(self.source.object(workload.size()), workload.pace(), config)?;
            let scheme = if self.tls.is_some() { "TLS 1.3" } else { "plain HTTP" };
            let title = format!("{}: {}, {scheme}", workload.name(), workload.describe());
            let tools = self.those(&Tool::ALL);
            let reader = workload.reader().map_or(Drain::Discard, Drain::Paced);
            let comparison = compare::compare_by(
                reader,
                title,
                &server,
                self.tls.as_ref(),
                &tools,
                self.args.rounds.get(),
            )?;
            println!("\n{}", report::comparison(&comparison, self.args.markdown));
            Ok(comparison)
        };
        self.args.workloads().into_iter().map(compare).collect()
    }

    /// The sweep over sizes, where it was asked for.
    pub(crate) fn sizes(&self) -> Result<Option<Vec<Point>>> {
        if !self.args.sizes {
            return Ok(None);
        }
        let tools = self.those(sweep::TOOLS_FOR_SIZES);
        let points = sweep::sizes(&self.source, self.tls.as_ref(), &tools, self.args.rounds.get())?;
        println!("\n## over the object's size\n\n{}", sweep::sizes_table(&points, self.args.markdown));
        Ok(Some(points))
    }

    /// The sweep over connections, where it was asked for.
    pub(crate) fn connections(&self) -> Result<Option<Vec<Point>>> {
        if !self.args.concurrency {
            return Ok(None);
        }
        let tools = self.those(sweep::TOOLS_FOR_CONNECTIONS);
        let points = sweep::connections(&self.source, self.tls.as_ref(), &tools, self.args.rounds.get())?;
        let title = sweep::OVER_CONNECTIONS.describe();
        println!(
            "\n## over connections: {title}\n\n{}",
            sweep::connections_table(&points, self.args.markdown)
        );
        Ok(Some(points))
    }

    /// What the reader has on links of every speed, where it was asked for and namespaces can be made.
    pub(crate) fn links(&self) -> Result<Option<Vec<LinkRun>>> {
        if !self.args.link {
            return Ok(None);
        }
        if !link::is_possible() {
            eprintln!("skipped: link: it needs root, ip and tc");
            return Ok(None);
        }
        let runs = link::links(&self.source, &self.those(link::TOOLS))?;
        println!(
            "\n## over a link: delivered bytes, and the end, relative to curl's one GET\n\n{}",
            link::table(&runs, self.args.markdown)
        );
        Ok(Some(runs))
    }

    /// The count of instructions, where it was asked for and valgrind is here.
    pub(crate) fn instructions(&self) -> Result<()> {
        if !self.args.instructions {
            return Ok(());
        }
        if !instructions::is_possible() {
            eprintln!("skipped: instructions: valgrind is not installed");
            return Ok(());
        }
        let s3fcp = tool::s3fcp_with_lines()?.with(&instructions::steady()).with(&self.args.extra);
        let table = instructions::table(&self.source, &s3fcp, self.args.markdown)?;
        println!("\n## instructions in user mode, plain HTTP\n\n{table}");
        Ok(())
    }

    /// The clients named on the command line, or else `default`, where they are here.
    fn those(&self, default: &[Tool]) -> Vec<Installed> {
        let find = |tool: &Tool| self.tools.iter().find(|installed| installed.tool == *tool);
        self.args.tools_or(default).iter().filter_map(find).cloned().collect()
    }
}

/// The clients that are here; another's that is not is said and left out.
fn find(args: &Args) -> Result<Vec<Installed>> {
    let mut found = Vec::new();
    for tool in args.tools() {
        match tool.find(args.tls) {
            Ok(installed) if tool == Tool::S3fcp => found.push(installed.with(&args.extra)),
            Ok(installed) => found.push(installed),
            Err(error) if tool == Tool::S3fcp => return Err(error),
            Err(reason) => eprintln!("skipped: {}: {reason}", tool.name()),
        }
    }
    Ok(found)
}

/// The largest object that will be served, in bytes.
fn largest(args: &Args) -> u64 {
    let workloads = args.workloads().into_iter().map(Workload::size);
    let sizes = args.sizes.then_some(sweep::LARGEST);
    let connections = args.concurrency.then(|| sweep::OVER_CONNECTIONS.size());
    let instructions = args.instructions.then_some(instructions::LONG);
    let links = args.link.then_some(link::LARGEST);
    workloads.chain(sizes).chain(links).chain(connections).chain(instructions).max().unwrap_or(0)
}
