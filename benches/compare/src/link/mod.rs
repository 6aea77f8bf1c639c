//! Bytes that the reader has, second by second, on a real link of a given speed: s3fcp and others beside curl's single GET.
//!
//! The server is in another network namespace, after a token bucket (`tc`); it takes 25 ms to a response and sends 90 MiB/s on
//! each connection. A client that is good on every link never gives the reader much less than one plain connection would.

mod namespace;

use std::io::{PipeReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::drain::PIPE;
use crate::object::Source;
use crate::run::LIMIT;
use crate::server::{MIB, Server};
use crate::table::Table;
use crate::tool::{Installed, Tool};
use crate::workload::Workload;

use namespace::Namespace;
pub(crate) use namespace::obstacle;

/// The links, in Mbit/s.
pub(crate) const RATES: [u32; 4] = [16, 100, 300, 1000];
/// The clients that are compared unless others are named.
pub(crate) const TOOLS: &[Tool] = &[Tool::S3fcp, Tool::Curl, Tool::S5cmd, Tool::Aws];
/// The largest object, for the fastest link.
pub(crate) const LARGEST: u64 = 1024 * MIB;
/// The moments at which the delivered bytes are compared, in seconds.
const MARKS: [f64; 5] = [0.5, 1.0, 2.0, 5.0, 10.0];
/// How long a link is busy with its object.
const SECONDS: u64 = 12;
/// How close together the points of a curve are.
const STEP: Duration = Duration::from_millis(20);

/// What the clients did on one link.
pub(crate) struct LinkRun {
    /// Mbit/s.
    pub(crate) rate: u32,
    pub(crate) curves: Vec<Curve>,
}

/// The bytes that one client had delivered over time.
pub(crate) struct Curve {
    pub(crate) tool: Tool,
    /// Time from the start of the process, and bytes.
    pub(crate) points: Vec<(Duration, u64)>,
    pub(crate) connections: u64,
    pub(crate) failure: Option<String>,
}

impl Curve {
    /// The bytes delivered after so many seconds; `None` if the download was over before.
    fn at(&self, seconds: f64) -> Option<u64> {
        let (end, _) = self.points.last()?;
        let time = Duration::from_secs_f64(seconds);
        let before = self.points.iter().rfind(|(at, _)| *at <= time).map_or(0, |(_, bytes)| *bytes);
        (*end >= time).then_some(before)
    }

    fn wall(&self) -> f64 {
        self.points.last().map_or(0.0, |(end, _)| end.as_secs_f64())
    }
}

/// Downloads over each link with each client.
pub(crate) fn links(source: &Source, tools: &[Installed], rates: &[u32]) -> Result<Vec<LinkRun>> {
    let namespace = Namespace::new()?;
    let mut runs = Vec::new();
    for &rate in rates {
        namespace.shape(rate)?;
        let size = (u64::from(rate) * 125_000 * SECONDS).min(LARGEST);
        let server = Server::listen(namespace.listener()?, source.object(size), Workload::Link.pace(), None)?;
        let mut curves = Vec::new();
        for tool in tools {
            eprintln!("link of {rate} Mbit/s: {}", tool.tool.name());
            curves.push(record(tool.tool, tool.command(&server, None), &server)?);
        }
        runs.push(LinkRun { rate, curves });
    }
    Ok(runs)
}

fn record(tool: Tool, mut command: Command, server: &Server) -> Result<Curve> {
    let counts = server.count_anew();
    let (pipe, stdout) = std::io::pipe()?;
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null()).spawn()?;
    drop(command);
    let (points, is_late) = read(pipe, began)?;
    if is_late {
        child.kill()?;
    }
    let status = child.wait()?;
    let bytes = points.last().map_or(0, |(_, bytes)| *bytes);
    let size = server.object().size;
    let failure = if status.success() {
        (bytes != size).then(|| format!("{bytes} bytes of {size}"))
    } else {
        Some(status.to_string())
    };
    Ok(Curve { tool, points, connections: counts.seen().connections, failure })
}

/// Reads to the end, or for so long as a run may take.
fn read(mut pipe: PipeReader, began: Instant) -> Result<(Vec<(Duration, u64)>, bool)> {
    let (mut points, mut bytes, mut buffer) = (vec![(Duration::ZERO, 0)], 0, vec![0; PIPE]);
    loop {
        let read = pipe.read(&mut buffer)?;
        let now = began.elapsed();
        bytes += read as u64;
        match points.last_mut() {
            Some(last) if points_are_close(last.0, now) => last.1 = bytes,
            _ => points.push((now, bytes)),
        }
        if read == 0 || now > LIMIT {
            points.push((now, bytes));
            return Ok((points, read > 0));
        }
    }
}

fn points_are_close(last: Duration, now: Duration) -> bool {
    last > Duration::ZERO && now.saturating_sub(last) < STEP
}

/// A line for each link and client: its share of what curl had delivered, and of curl's time.
pub(crate) fn table(runs: &[LinkRun], markdown: bool) -> Table {
    let marks = MARKS.map(|mark| format!("{mark} s"));
    let heads: Vec<&str> = ["tool", "Mbit/s"]
        .into_iter()
        .chain(marks.iter().map(String::as_str))
        .chain(["end", "conns"])
        .collect();
    let mut table = Table::new(markdown, &heads);
    for run in runs {
        let plain = run.curves.iter().find(|curve| curve.tool == Tool::Curl);
        for curve in &run.curves {
            let mut cells = vec![curve.tool.name().to_owned(), run.rate.to_string()];
            if let Some(failure) = &curve.failure {
                cells.push(failure.clone());
                table.push(cells);
                continue;
            }
            for mark in MARKS {
                let shares = curve.at(mark).zip(plain.and_then(|plain| plain.at(mark)));
                cells.push(shares.map_or_else(String::new, |(ours, theirs)| ratio(ours, theirs)));
            }
            let end = plain.map_or(f64::NAN, |plain| curve.wall() / plain.wall());
            cells.extend([format!("{end:.2}"), curve.connections.to_string()]);
            table.push(cells);
        }
    }
    table
}

#[expect(clippy::cast_precision_loss, reason = "objects are far below 2^53 bytes")]
fn ratio(ours: u64, theirs: u64) -> String {
    format!("{:.2}", ours as f64 / theirs.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(tool: Tool, per_second: u64) -> Curve {
        let points = (0..=20).map(|n| (Duration::from_millis(500 * n), per_second * n / 2)).collect();
        Curve { tool, points, connections: 1, failure: None }
    }

    #[test]
    fn shares_are_of_what_one_plain_connection_has_delivered() {
        let runs = [LinkRun { rate: 100, curves: vec![curve(Tool::S3fcp, 90), curve(Tool::Curl, 100)] }];
        let table = table(&runs, true).to_string();
        assert!(
            table.contains("| s3fcp |    100 |  0.90 | 0.90 | 0.90 | 0.90 | 0.90 | 1.00 |     1 |"),
            "{table}"
        );
        assert_eq!(curve(Tool::Curl, 100).at(11.0), None);
    }

    #[test]
    fn a_pipe_becomes_a_curve() {
        let (pipe, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, &[1; 1000]).unwrap();
        drop(writer);
        let (points, is_late) = read(pipe, Instant::now()).unwrap();
        assert_eq!((points.first().unwrap().1, points.last().unwrap().1, is_late), (0, 1000, false));
    }
}
