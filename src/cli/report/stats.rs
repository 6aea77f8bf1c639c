//! What a download cost and what held it back, for `--stats`.
//!
//! It gets the counters of a [`Download`](crate::Download) and of the sink, and asks the system for this
//! process's CPU time and peak memory. It hands on text or one line of JSON with stable keys; it never prints.

use std::fmt::Write;
use std::time::Duration;

use bytesize::ByteSize;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;

use crate::cli::report::format::Format;
use crate::download::stream::TransferStats;
use crate::output::written::WriteProgress;

/// The figures of one download, from the start of the process to its end.
///
/// Its fields are the keys of `--stats=json`, and stay as they are; all are numbers but `checksum` and `bottleneck`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub(crate) struct Stats {
    /// Bytes delivered.
    pub(crate) bytes: u64,
    /// From the start of the process.
    pub(crate) seconds: f64,
    /// `bytes` over `seconds`, in MiB/s.
    pub(crate) mib_per_second: f64,
    /// How long the source of the credentials took to hand out the first ones; `null` where requests are unsigned.
    pub(crate) credentials_seconds: Option<f64>,
    /// From the start of the process to the first byte written; `null` where none was.
    pub(crate) first_byte_seconds: Option<f64>,
    /// Requests sent, each try counted.
    pub(crate) requests: u64,
    /// Connections opened.
    pub(crate) connections: u64,
    /// Tries of ranges that failed and were made again.
    pub(crate) retries: u64,
    /// Requests for what was left of a range that was late.
    pub(crate) hedges: u64,
    /// Those of them that were faster than the first request.
    pub(crate) hedges_won: u64,
    /// Answers by which the server asked for fewer requests.
    pub(crate) throttled: u64,
    /// Body bytes received beyond those delivered: what retries brought twice, or an end came before.
    pub(crate) bytes_beyond: u64,
    /// The most ranges that were fetched at once.
    pub(crate) concurrency: usize,
    /// The most memory that was resident, in bytes; `null` where the system does not tell.
    pub(crate) peak_memory: Option<u64>,
    /// The checksum of the store that the bytes were found equal to, such as `crc64nvme`; `null` where none was.
    pub(crate) checksum: Option<&'static str>,
    /// Of the whole process, user and system.
    pub(crate) cpu_seconds: f64,
    /// What held the download back: `network`, `reader` or `cpu`.
    pub(crate) bottleneck: Bottleneck,
}

/// What held a download back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub(crate) enum Bottleneck {
    /// The store or the way to it: the process waited for bytes.
    Network,
    /// Who reads stdout: most of the time was spent in writing, and not on the processor.
    Reader,
    /// This process: it kept a processor busy.
    Cpu,
}

impl Stats {
    /// The figures as they are now; times are those of `delivery`. The bytes were found equal to the checksum
    /// `verified`, and `credentials` is what the first ones took.
    #[must_use]
    pub(crate) fn collect(
        credentials: Option<Duration>,
        traffic: TransferStats,
        verified: Option<&'static str>,
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
            requests: traffic.requests,
            connections: traffic.connections,
            retries: traffic.retries,
            hedges: traffic.hedges,
            hedges_won: traffic.hedges_won,
            throttled: traffic.throttled,
            bytes_beyond: traffic.fetched.saturating_sub(bytes),
            concurrency: traffic.concurrency,
            peak_memory: peak_memory(),
            checksum: verified,
            cpu_seconds,
            bottleneck: bottleneck(seconds, cpu_seconds, delivery.writing().as_secs_f64()),
        }
    }

    /// The figures in `format`; the text ends with a newline.
    #[must_use]
    pub(crate) fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            // Numbers and one word: there is nothing in it that could fail.
            Format::Json => serde_json::to_string(self).unwrap_or_default() + "\n",
        }
    }

    fn text(&self) -> String {
        let size = |bytes| ByteSize(bytes).display().iec();
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
        let beyond = size(self.bytes_beyond);
        line(
            "requests",
            format!(
                "{}, {} of them retries, {} hedges ({} won); {beyond} fetched beyond the object",
                self.requests, self.retries, self.hedges, self.hedges_won
            ),
        );
        if self.throttled > 0 {
            line("throttled", format!("{} times", self.throttled));
        }
        line("connections", format!("{}, at most {} ranges at once", self.connections, self.concurrency));
        if let Some(peak) = self.peak_memory {
            line("peak memory", size(peak).to_string());
        }
        line(
            "checksum",
            self.checksum.map_or_else(|| "not verified".to_owned(), |name| format!("{name}, as stored")),
        );
        line("CPU", format!("{:.2} s", self.cpu_seconds));
        line("held back by", format!("the {:?}", self.bottleneck).to_lowercase());
        text
    }
}

/// One busy processor is what one runtime thread can use; a writer that is mostly blocked in writing, while
/// the processors idle, waits for its reader.
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

/// `ru_maxrss` would count what the parent had before it started this program.
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
            requests: 258,
            connections: 17,
            retries: 2,
            hedges: 3,
            hedges_won: 1,
            throttled: 5,
            bytes_beyond: 4096,
            concurrency: 16,
            peak_memory: Some(90 << 20),
            checksum: Some("crc64nvme"),
            cpu_seconds: 0.5,
            bottleneck: Bottleneck::Network,
        }
    }

    #[test]
    fn json_is_one_line_with_stable_keys() {
        assert_eq!(
            stats().render(Format::Json),
            "{\"bytes\":3221225472,\"seconds\":2.0,\"mib_per_second\":1536.0,\"credentials_seconds\":0.25,\
             \"first_byte_seconds\":0.0285,\
             \"requests\":258,\"connections\":17,\"retries\":2,\"hedges\":3,\"hedges_won\":1,\"throttled\":5,\
             \"bytes_beyond\":4096,\"concurrency\":16,\
             \"peak_memory\":94371840,\"checksum\":\"crc64nvme\",\"cpu_seconds\":0.5,\"bottleneck\":\"network\"}\n"
        );
    }

    #[test]
    fn text_is_aligned() {
        assert_eq!(
            stats().render(Format::Text),
            "delivered     3.0 GiB in 2.00 s, 1536.0 MiB/s\n\
             credentials   in 250.0 ms\n\
             first byte    after 28.5 ms\n\
             requests      258, 2 of them retries, 3 hedges (1 won); 4.0 KiB fetched beyond the object\n\
             throttled     5 times\n\
             connections   17, at most 16 ranges at once\n\
             peak memory   90.0 MiB\n\
             checksum      crc64nvme, as stored\n\
             CPU           0.50 s\n\
             held back by  the network\n"
        );
    }

    #[test]
    fn what_held_it_back() {
        assert_eq!(bottleneck(10.0, 9.0, 9.0), Bottleneck::Cpu);
        assert_eq!(bottleneck(10.0, 1.0, 9.0), Bottleneck::Reader);
        assert_eq!(bottleneck(10.0, 1.0, 1.0), Bottleneck::Network);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells() {
        assert!(peak_memory().is_some_and(|bytes| bytes > 1 << 20));
        assert!(cpu_seconds() >= 0.0);
    }
}
