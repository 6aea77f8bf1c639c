//! The output of `--stats`: what a download cost and what limited it, as text or as one line of JSON with stable keys.
//!
//! The figures are the counters of the download and of the output, and the process's CPU time and peak memory.

use std::fmt::Write;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;

use crate::cli::report::end::EndReport;
use crate::cli::report::format::{json_line, size};
use crate::download::transfer_stats::TransferStats;
use crate::download::verdict::Verdict;
use crate::output::write_progress::WriteProgress;

/// The figures of one download, from the start of the process to its end.
///
/// Its fields are the keys of `--stats=json`, which are stable; all are numbers but `checksum`, `validator` and
/// `bottleneck`. What is counted from the first response on is `null` in a run that had none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Stats {
    /// Bytes delivered.
    pub(crate) bytes: u64,
    /// From the start of the process.
    pub(crate) seconds: f64,
    /// `bytes` over `seconds`, in MiB/s.
    pub(crate) mib_per_second: f64,
    /// Time until the source of the credentials returned the first ones; `null` if requests are unsigned.
    pub(crate) credentials_seconds: Option<f64>,
    /// From the start of the process to the first byte written; `null` if there was none.
    pub(crate) first_byte_seconds: Option<f64>,
    /// Requests sent, each attempt counted.
    pub(crate) requests: Option<u64>,
    /// Connections opened.
    pub(crate) connections: Option<u64>,
    /// Attempts at ranges that failed and were repeated; not all of them got as far as a request.
    pub(crate) retries: Option<u64>,
    /// Second requests for the rest of a range that was late.
    pub(crate) hedges: Option<u64>,
    /// Hedges that were faster than the first request.
    pub(crate) hedges_won: Option<u64>,
    /// Answers by which the server asked for fewer requests.
    pub(crate) throttled: Option<u64>,
    /// Body bytes received but not delivered: received twice, or when the run ended.
    pub(crate) bytes_beyond: Option<u64>,
    /// The largest number of ranges that were fetched at the same time.
    pub(crate) concurrency: Option<usize>,
    /// The most threads that fetched ranges.
    pub(crate) threads: Option<usize>,
    /// The most body bytes that could be held at the same time.
    pub(crate) window: Option<u64>,
    /// Peak resident memory in bytes; `null` if the system does not report it.
    pub(crate) peak_memory: Option<u64>,
    /// The stored checksum that the bytes match, such as `crc64nvme`; `null` if none was verified.
    pub(crate) checksum: Option<&'static str>,
    /// The validator that shows that all responses were of one version: `strong`, `weak` or `none`; `null` if the run
    /// is incomplete.
    pub(crate) validator: Option<&'static str>,
    /// CPU time of the whole process, user and system.
    pub(crate) cpu_seconds: f64,
    /// The limit of the download: `network`, `reader` or `cpu`.
    pub(crate) bottleneck: Bottleneck,
}

/// The line of `--stats=json`.
#[derive(Serialize)]
struct StatsLine<'a> {
    #[serde(flatten)]
    stats: &'a Stats,
    #[serde(flatten)]
    end: &'a EndReport,
}

/// The limits of a run that the engine was given or found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EngineStats {
    /// The most threads that fetched ranges.
    pub(crate) threads: usize,
    /// The most body bytes that could be held at the same time.
    pub(crate) window: u64,
}

/// The resource that limited a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bottleneck {
    /// The store or the network: the process waited for bytes.
    Network,
    /// The reader of stdout: most of the time was spent in writes, and not on the processor.
    Reader,
    /// This process: it kept a processor busy.
    Cpu,
}

impl Stats {
    /// Collects the figures as they are now. `verdict` is there if the run is complete, and `credentials` is the time
    /// until the first credentials were there. Without a first response there is neither `traffic` nor an `engine`.
    #[must_use]
    pub(crate) fn collect(
        credentials: Option<Duration>,
        traffic: Option<TransferStats>,
        engine: Option<EngineStats>,
        verdict: Option<Verdict>,
        delivery: &WriteProgress,
    ) -> Self {
        let seconds = delivery.elapsed().as_secs_f64();
        let bytes = delivery.bytes();
        let cpu_seconds = cpu_seconds();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let mib_per_second = bytes as f64 / f64::from(1 << 20) / seconds.max(1e-9);
        Self {
            bytes,
            seconds,
            mib_per_second,
            credentials_seconds: credentials.map(|d| d.as_secs_f64()),
            first_byte_seconds: delivery.first_byte().map(|d| d.as_secs_f64()),
            requests: traffic.map(|traffic| traffic.requests),
            connections: traffic.map(|traffic| traffic.connections),
            retries: traffic.map(|traffic| traffic.retries),
            hedges: traffic.map(|traffic| traffic.hedges),
            hedges_won: traffic.map(|traffic| traffic.hedges_won),
            throttled: traffic.map(|traffic| traffic.throttled),
            bytes_beyond: traffic.map(|traffic| traffic.fetched.saturating_sub(bytes)),
            concurrency: traffic.map(|traffic| traffic.concurrency),
            threads: engine.map(|engine| engine.threads),
            window: engine.map(|engine| engine.window),
            peak_memory: peak_memory(),
            checksum: verdict.and_then(|verdict| verdict.checksum),
            validator: verdict.map(|verdict| verdict.validator.name()),
            cpu_seconds,
            bottleneck: bottleneck(seconds, cpu_seconds, delivery.writing().as_secs_f64()),
        }
    }

    /// Formats the figures, and how the run ended, as a line of JSON.
    #[must_use]
    pub(crate) fn json(&self, end: &EndReport) -> String {
        json_line(&StatsLine { stats: self, end })
    }

    /// Formats the figures as lines for people.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key:<13} {value}");
        };
        line(
            "delivered",
            format!("{} in {:.2} s, {:.1} MiB/s", size(self.bytes), self.seconds, self.mib_per_second),
        );
        if let Some(took) = self.credentials_seconds {
            line("credentials", format!("in {:.1} ms", took * 1000.0));
        }
        if let Some(first) = self.first_byte_seconds {
            line("first byte", format!("after {:.1} ms", first * 1000.0));
        }
        let count = |number: Option<u64>| number.unwrap_or_default();
        let beyond = size(count(self.bytes_beyond));
        line(
            "requests",
            format!(
                "{}; {} retries, {} hedges ({} won); {beyond} received but not delivered",
                count(self.requests),
                count(self.retries),
                count(self.hedges),
                count(self.hedges_won)
            ),
        );
        if let Some(throttled) = self.throttled.filter(|throttled| *throttled > 0) {
            line("throttled", format!("{throttled} times"));
        }
        let concurrency = self.concurrency.unwrap_or_default();
        let ranges = if concurrency == 1 { "range" } else { "ranges" };
        line(
            "connections",
            format!("{}, for at most {concurrency} {ranges} at the same time", count(self.connections)),
        );
        if let Some(threads) = self.threads {
            line("threads", threads.to_string());
        }
        if let Some(peak) = self.peak_memory {
            line(
                "peak memory",
                format!(
                    "{}; at most {} of the object may wait to be written",
                    size(peak),
                    size(count(self.window))
                ),
            );
        }
        line(
            "checksum",
            self.checksum.map_or_else(|| "not verified".to_owned(), |name| format!("{name} verified")),
        );
        if let Some(validator) = self.validator {
            line("validator", validator.to_owned());
        }
        line("CPU", format!("{:.2} s", self.cpu_seconds));
        line("limited by", format!("the {:?}", self.bottleneck).to_lowercase());
        text
    }
}

/// Names the bottleneck. One runtime thread can use one processor; a writer that is mostly blocked in writes while the
/// processors idle waits for its reader.
fn bottleneck(seconds: f64, cpu_seconds: f64, writing_seconds: f64) -> Bottleneck {
    if cpu_seconds > 0.8 * seconds {
        Bottleneck::Cpu
    } else if writing_seconds > 0.5 * seconds {
        Bottleneck::Reader
    } else {
        Bottleneck::Network
    }
}

fn cpu_seconds() -> f64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a process")]
        let seconds = (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6;
        seconds
    })
}

/// Returns the peak resident memory in bytes. `ru_maxrss` would include the memory of the parent before `exec`.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> Stats {
        Stats {
            bytes: 3 << 30,
            seconds: 2.0,
            mib_per_second: 1536.0,
            credentials_seconds: Some(0.25),
            first_byte_seconds: Some(0.0285),
            requests: Some(258),
            connections: Some(17),
            retries: Some(2),
            hedges: Some(3),
            hedges_won: Some(1),
            throttled: Some(5),
            bytes_beyond: Some(4096),
            concurrency: Some(16),
            threads: Some(2),
            window: Some(1 << 30),
            peak_memory: Some(90 << 20),
            checksum: Some("crc64nvme"),
            validator: Some("strong"),
            cpu_seconds: 0.5,
            bottleneck: Bottleneck::Network,
        }
    }

    #[test]
    fn json_is_one_line_with_stable_keys() {
        assert_eq!(
            stats().json(&EndReport::default()),
            "{\"bytes\":3221225472,\"seconds\":2.0,\"mib_per_second\":1536.0,\"credentials_seconds\":0.25,\
             \"first_byte_seconds\":0.0285,\
             \"requests\":258,\"connections\":17,\"retries\":2,\"hedges\":3,\"hedges_won\":1,\"throttled\":5,\
             \"bytes_beyond\":4096,\"concurrency\":16,\"threads\":2,\"window\":1073741824,\
             \"peak_memory\":94371840,\"checksum\":\"crc64nvme\",\"validator\":\"strong\",\
             \"cpu_seconds\":0.5,\"bottleneck\":\"network\",\
             \"exit_code\":0,\"error\":null,\"resume\":null}\n"
        );
    }

    #[test]
    fn text_is_aligned() {
        assert_eq!(
            stats().text(),
            "delivered     3.0 GiB in 2.00 s, 1536.0 MiB/s\n\
             credentials   in 250.0 ms\n\
             first byte    after 28.5 ms\n\
             requests      258; 2 retries, 3 hedges (1 won); 4.0 KiB received but not delivered\n\
             throttled     5 times\n\
             connections   17, for at most 16 ranges at the same time\n\
             threads       2\n\
             peak memory   90.0 MiB; at most 1.0 GiB of the object may wait to be written\n\
             checksum      crc64nvme verified\n\
             validator     strong\n\
             CPU           0.50 s\n\
             limited by    the network\n"
        );
    }

    #[test]
    fn the_bottleneck_is_what_took_most_of_the_time() {
        assert_eq!(bottleneck(10.0, 9.0, 9.0), Bottleneck::Cpu);
        assert_eq!(bottleneck(10.0, 1.0, 9.0), Bottleneck::Reader);
        assert_eq!(bottleneck(10.0, 1.0, 1.0), Bottleneck::Network);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_reports_memory_and_cpu_time() {
        assert!(peak_memory().is_some_and(|bytes| bytes > 1 << 20));
        assert!(cpu_seconds() >= 0.0);
    }
}
