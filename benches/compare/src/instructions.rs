//! The instructions that s3fcp executes, counted by callgrind: a figure that a busy machine does not change.
//!
//! Downloads of two sizes show what a GiB adds and what the start takes, by crate. Only user mode
//! is counted, so the kernel's copies, the larger part of the CPU time, do not show here; those by the C library do, on
//! a line of their own.

use std::fs;
use std::process::{Command, Stdio};

use crate::callgrind::{self, Costs};
use crate::drain::Drain;
use crate::object::Source;
use crate::run::{Setting, run};
use crate::server::{MIB, Pace, Server};
use crate::table::Table;
use crate::tool::{Installed, wrap};
use crate::{Result, compare};

/// Enough for the buffers to be in use, in bytes.
const SHORT: u64 = 64 * MIB;
/// The larger of the two objects, in bytes.
pub(crate) const LONG: u64 = 320 * MIB;
/// A number of connections: the level that s3fcp finds by itself depends on how fast the machine is.
const CONNECTIONS: &str = "4";
/// Crates with less than this share of a column are summed up in one line.
const SHARE_MIN: f64 = 0.01;

/// Whether valgrind is here.
pub(crate) fn is_possible() -> bool {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    valgrind.is_ok_and(|status| status.success())
}

/// What makes one run like the next.
pub(crate) fn steady() -> [String; 2] {
    ["--concurrency".to_owned(), CONNECTIONS.to_owned()]
}

/// A line for each crate: instructions for each GiB, and for the first [`SHORT`] with the start of the program.
pub(crate) fn table(source: &Source, s3fcp: &Installed, markdown: bool) -> Result<Table> {
    let short = count(source, s3fcp, SHORT)?;
    let long = count(source, s3fcp, LONG)?;
    let lines = long.iter().map(|(name, long)| {
        let short = short.get(name).copied().unwrap_or(0);
        let per_gib = millions(long.saturating_sub(short)) / compare::gib(LONG - SHORT);
        Line { name: name.clone(), per_gib, start: millions(short) }
    });
    let (copies, mut lines): (Vec<_>, Vec<_>) = lines.partition(|line| line.name == callgrind::COPIES);
    lines.sort_by(|a, b| b.per_gib.total_cmp(&a.per_gib));
    let all = Line::sum("all of these", &lines);
    let (shown, rest): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line.name == callgrind::OURS || line.matters_in(&all));

    let heads = ["source", "million a GiB", "%", "million for the first 64 MiB", "%"];
    let mut table = Table::new(markdown, &heads);
    let rest = Line::sum("others", &rest);
    for line in shown.iter().chain([&rest, &all]) {
        table.push(line.cells(&all));
    }
    for line in copies {
        let name = format!("{}, up to one a byte", line.name);
        table.push(vec![name, format!("{:.2}", line.per_gib), String::new(), format!("{:.2}", line.start)]);
    }
    Ok(table)
}

/// Instructions of one crate, in millions.
struct Line {
    name: String,
    per_gib: f64,
    start: f64,
}

impl Line {
    fn sum(name: &str, lines: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| lines.iter().map(figure).sum();
        Self { name: name.to_owned(), per_gib: of(|line| line.per_gib), start: of(|line| line.start) }
    }

    fn matters_in(&self, all: &Self) -> bool {
        self.per_gib > all.per_gib * SHARE_MIN || self.start > all.start * SHARE_MIN
    }

    fn cells(&self, all: &Self) -> Vec<String> {
        let percent = |part: f64, whole: f64| format!("{:.1}", 100.0 * part / whole);
        vec![
            self.name.clone(),
            format!("{:.2}", self.per_gib),
            percent(self.per_gib, all.per_gib),
            format!("{:.2}", self.start),
            percent(self.start, all.start),
        ]
    }
}

fn count(source: &Source, s3fcp: &Installed, size: u64) -> Result<Costs> {
    let server = Server::start(source.object(size), Pace::default(), None)?;
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--tool=callgrind").arg("--quiet").arg(format!("--callgrind-out-file={}", out.display()));
    let run = run(
        wrap(valgrind, &s3fcp.command(&server, None)),
        &server,
        Setting::from(Drain::Check(server.object())),
    )?;
    if let Some(failure) = run.failure {
        return Err(format!("s3fcp under valgrind: {failure}").into());
    }
    Ok(callgrind::costs(&fs::read_to_string(out)?))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn millions(instructions: u64) -> f64 {
    instructions as f64 / 1e6
}
