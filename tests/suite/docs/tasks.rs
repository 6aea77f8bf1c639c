//! The tasks of a new user: for each a page has commands that do it, and the tests run them as they are typed.

use std::path::Path;

use super::markdown::{self, Condition};
use super::text;

/// A task, the page that shows it, and a part of the command that does it.
const TASKS: [(&str, &str, &str); 8] = [
    ("the first download", "README.md", "s3fcp -o disk.img s3://bucket/disk.img"),
    ("resume after a kill", "docs/resume.md", "timeout -s KILL"),
    ("the rest of a pipe", "docs/resume.md", "--if-match \"$etag\" >>"),
    ("a verified pipe", "docs/verify.md", "--checksum require s3://bucket/backup.tar.zst | zstd -d"),
    ("a job by GNU parallel", "docs/jobs/README.md", "docs/jobs/parallel.sh"),
    ("one object by several runs", "docs/jobs/README.md", "--shard \"$index/3\""),
    ("completions and the man page", "docs/install.md", "s3fcp --completions bash >"),
    ("a retrying job", "docs/failures.md", "--continue s3://bucket/disk.img || code=$?"),
];

#[test]
fn each_task_has_commands_that_are_run() {
    for (task, page, command) in TASKS {
        let blocks = markdown::blocks(&text(Path::new(page)));
        let block = blocks.iter().find(|block| block.commands.contains(command));
        let block = block.unwrap_or_else(|| panic!("{task}: {command:?} is not on {page}"));
        assert!(!matches!(block.condition, Condition::NotRun(_)), "{task}: {page} does not run it");
    }
}
