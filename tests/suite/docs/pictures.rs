//! The pictures of the documentation: they are there, they are text without scripts, and plots say what their tables
//! say.

use std::path::Path;
use std::process::Command;

use super::{pages, root, text};
use crate::support::notes::tell;

/// Returns the pictures that the pages show, by their paths below the root.
fn shown() -> Vec<String> {
    let mut shown = Vec::new();
    for page in pages() {
        for part in text(&page).split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            if Path::new(target).extension().is_some_and(|extension| extension == "svg") {
                let folder = page.parent().unwrap_or(Path::new(""));
                shown.push(folder.join(target).display().to_string());
            }
        }
    }
    shown.sort();
    shown.dedup();
    shown
}

#[test]
fn each_is_shown_and_has_no_script() {
    let shown = shown();
    for picture in
        ["clients", "cores", "cost", "delivered", "progress"].map(|name| format!("docs/{name}.svg"))
    {
        assert!(shown.contains(&picture), "{picture} is on no page");
    }
    for picture in shown {
        let svg = text(Path::new(&picture));
        assert!(svg.starts_with("<svg ") && !svg.contains("<script") && !svg.contains("href"), "{picture}");
        assert!(svg.len() < 100_000, "{picture} has {} bytes", svg.len());
    }
}

#[test]
fn the_recording_ends_in_the_summary_of_the_run() {
    let svg = text(Path::new("docs/progress.svg"));
    let last = svg.lines().rfind(|line| line.starts_with("<g ")).expect("a frame");
    assert!(last.contains("s3://bucket/disk.img: 64.0 MiB in "), "{last}");
    assert!(svg.matches("<g ").count() > 10);
}

#[test]
fn plots_say_what_their_tables_say() {
    match Command::new("python3").arg(root().join("benches/plots.py")).arg("--check").output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            tell("TESTED plots: they are drawn from the tables of their pages");
        }
        Err(_) => tell("SKIPPED plots: no python3"),
    }
}
