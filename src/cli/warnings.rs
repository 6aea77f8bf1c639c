//! Warnings on stderr without any option: the library's events at the level `warn` about credentials and certificates,
//! in the form of this program's messages.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::cli::stderr::Console;
use crate::error::printable::printable;
use crate::events::{CONNECTION, CREDENTIALS};

/// The targets whose warnings are shown. Retries and a busy server's pauses are not worth a line each.
pub(crate) const TARGETS: [&str; 2] = [CREDENTIALS, CONNECTION];

/// Writes each event that it gets as a line: `s3fcp: warning: message: reason`.
pub(crate) struct WarningLayer;

impl<S: Subscriber> Layer<S> for WarningLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = EventText::default();
        event.record(&mut text);
        let _ = Console.write_all(text.line().as_bytes());
    }
}

/// The message of an event and its reason.
#[derive(Debug, Default)]
struct EventText {
    message: String,
    reason: String,
}

impl EventText {
    fn line(&self) -> String {
        let separator = if self.reason.is_empty() { "" } else { ": " };
        format!("s3fcp: warning: {}{separator}{}\n", printable(&self.message), printable(&self.reason))
    }
}

impl Visit for EventText {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "reason" => value.clone_into(&mut self.reason),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => drop(write!(self.message, "{value:?}")),
            "reason" => drop(write!(self.reason, "{value:?}")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_one_printable_line() {
        for (message, reason, line) in [
            ("it happened", "", "s3fcp: warning: it happened\n"),
            ("it happened", "because", "s3fcp: warning: it happened: because\n"),
        ] {
            let text = EventText { message: message.to_owned(), reason: reason.to_owned() };
            assert_eq!(text.line(), line);
        }
        let text = EventText { message: "a\nb".to_owned(), reason: "\u{1b}[31m".to_owned() };
        assert_eq!(text.line().lines().count(), 1);
        assert!(!text.line().trim_end().contains(char::is_control));
    }
}
