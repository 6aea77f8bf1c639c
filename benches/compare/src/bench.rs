//! Everything that was asked for, one after the other, printed as it is done.

use crate::cli::Args;
use crate::compare::Comparison;
use crate::cores::WayRun;
use crate::drain::Drain;
use crate::link::LinkRun;
use crate::many::SetRun;
use crate::object::Source;
use crate::run::Setting;
use crate::server::Server;
use crate::sweep::Point;
use crate::tls::Tls;
use crate::tool::{Installed, Tool};
use crate::workload::Workload;
use crate::{Result, compare, cores, instructions, link, machine, many, report, sweep, tool};

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

    /// The workloads of one object, a table each.
    pub(crate) fn workloads(&self) -> Result<Vec<Comparison>> {
        let compare = |workload: Workload| {
            let config = self.tls.as_ref().map(|tls| tls.config.clone());
            let server = Server::start(self.source.object(workload.size()), workload.pace(), config)?;
            let scheme = if self.tls.is_some() { "TLS 1.3" } else { "plain HTTP" };
            let title = format!("{}: {}, {scheme}", workload.name(), workload.describe());
            let tools = self.those(&Tool::ALL);
            let reader = workload.reader().map_or(Drain::Discard, Drain::Paced);
            let comparison = compare::compare_in(
                Setting::from(reader),
                title,
                &server,
                self.tls.as_ref(),
                &tools,
                self.args.rounds.get(),
            )?;
            println!("\n{}", report::comparison(&comparison, self.args.markdown));
            Ok(comparison)
        };
        self.args.workloads().into_iter().filter(|workload| workload.is_one_object()).map(compare).collect()
    }

    /// The sweep over sizes, where it was asked for.
    pub(crate) fn sizes(&self) -> Result<Vec<Point>> {
        if !self.args.sizes {
            return Ok(Vec::new());
        }
        let tools = self.those(sweep::TOOLS_FOR_SIZES);
        let points = sweep::sizes(&self.source, self.tls.as_ref(), &tools, self.args.rounds.get())?;
        println!("\n## over the object's size\n\n{}", sweep::sizes_table(&points, self.args.markdown));
        Ok(points)
    }

    /// The sweep over connections, where it was asked for.
    pub(crate) fn connections(&self) -> Result<Vec<Point>> {
        if !self.args.concurrency {
            return Ok(Vec::new());
        }
        let tools = self.those(sweep::TOOLS_FOR_CONNECTIONS);
        let points = sweep::connections(&self.source, self.tls.as_ref(), &tools, self.args.rounds.get())?;
        let title = sweep::OVER_CONNECTIONS.describe();
        println!(
            "\n## over connections: {title}\n\n{}",
            sweep::connections_table(&points, self.args.markdown)
        );
        Ok(points)
    }

    /// Many objects, where they were asked for.
    pub(crate) fn many(&self) -> Result<Vec<SetRun>> {
        if !self.asks_for(Workload::Many, || None) {
            return Ok(Vec::new());
        }
        let mut tools = self.those(many::TOOLS);
        tools.retain(|tool| many::TOOLS.contains(&tool.tool));
        let runs = many::many(&self.source, &tools, self.args.rounds.get())?;
        println!(
            "\n## many objects: {}, plain HTTP\n\n{}",
            Workload::Many.describe_server(),
            many::table(&runs, self.args.markdown)
        );
        Ok(runs)
    }

    /// Throughput over cores, where it was asked for and slow cores can be made.
    pub(crate) fn cores(&self) -> Result<Vec<WayRun>> {
        if !self.asks_for(Workload::Cores, cores::obstacle) {
            return Ok(Vec::new());
        }
        let ways = cores::over_cores(&self.source, &self.those(cores::TOOLS), self.args.rounds.get())?;
        println!("\n## {}\n\n{}", cores::describe(), cores::table(&ways, self.args.markdown));
        Ok(ways)
    }

    /// Delivered bytes over time on links of every speed, where they were asked for and namespaces can be made.
    pub(crate) fn links(&self) -> Result<Vec<LinkRun>> {
        if !self.asks_for(Workload::Link, link::obstacle) {
            return Ok(Vec::new());
        }
        let runs = link::links(&self.source, &self.those(link::TOOLS), &self.args.rates)?;
        println!(
            "\n## over a link: delivered bytes, and the end, relative to curl's one GET\n\n{}",
            link::table(&runs, self.args.markdown)
        );
        Ok(runs)
    }

    /// Returns whether a workload was asked for and can be measured; an obstacle is said.
    fn asks_for(&self, workload: Workload, obstacle: impl FnOnce() -> Option<String>) -> bool {
        if !self.args.workloads().contains(&workload) {
            return false;
        }
        let reason = obstacle();
        if let Some(reason) = &reason {
            eprintln!("skipped: {}: {reason}", workload.name());
        }
        reason.is_none()
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
    workloads.chain(sizes).chain(connections).chain(instructions).max().unwrap_or(0)
}
