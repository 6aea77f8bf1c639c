//! Callgrind's output: how many instructions each source file cost.
//!
//! A `callgrind.out` file is read into sums by where the code is from. Source: Valgrind User Manual,
//! "Callgrind Format Specification"; only what `--tool=callgrind` writes by default is read.

use std::collections::{BTreeMap, HashMap};

/// Instructions, by the crate or library that their source belongs to.
pub(crate) type Costs = BTreeMap<String, u64>;

/// The name of this repository's code among the [`Costs`].
pub(crate) const OURS: &str = "s3fcp";
/// The name of copies by the C library, which count up to a whole instruction for each byte (`rep movsb`).
pub(crate) const COPIES: &str = "memcpy";
/// Where no source file is known: libraries without debug information.
const UNKNOWN: &str = "???";

/// Sums the instructions of `text`. Inlined code counts where its source is.
pub(crate) fn costs(text: &str) -> Costs {
    let mut costs = Costs::new();
    let mut names = Names::default();
    let (mut file, mut object, mut function) = (String::new(), String::new(), String::new());
    // The line after `calls=` is what the callee cost, which is counted there.
    let mut is_call = false;
    for line in text.lines() {
        match line.split_once('=') {
            Some(("fl" | "fi" | "fe", name)) => file = names.file(name),
            Some(("ob", name)) => object = names.object(name),
            Some(("fn", name)) => function = names.function(name),
            Some(("cfl" | "cfi", name)) => drop(names.file(name)),
            Some(("cob", name)) => drop(names.object(name)),
            Some(("cfn", name)) => drop(names.function(name)),
            Some(("calls", _)) => is_call = true,
            Some(_) => {}
            None if std::mem::take(&mut is_call) => {}
            None => {
                if let Some(cost) = cost(line) {
                    let is_copy = function.contains("memcpy") || function.contains("memmove");
                    let origin = if is_copy { COPIES.to_owned() } else { origin(&file, &object) };
                    *costs.entry(origin).or_default() += cost;
                }
            }
        }
    }
    costs
}

/// Names are written once, with a number, and then by the number alone: `(3) src/lib.rs`, `(3)`.
#[derive(Default)]
struct Names {
    files: HashMap<String, String>,
    objects: HashMap<String, String>,
    functions: HashMap<String, String>,
}

impl Names {
    fn file(&mut self, text: &str) -> String {
        Self::full(&mut self.files, text)
    }

    fn object(&mut self, text: &str) -> String {
        Self::full(&mut self.objects, text)
    }

    fn function(&mut self, text: &str) -> String {
        Self::full(&mut self.functions, text)
    }

    fn full(known: &mut HashMap<String, String>, text: &str) -> String {
        match text.split_once(' ') {
            Some((number, name)) => {
                known.insert(number.to_owned(), name.to_owned());
                name.to_owned()
            }
            None => known.get(text).cloned().unwrap_or_else(|| text.to_owned()),
        }
    }
}

/// The instructions of a line `POSITION COST`, where the position is a number, a difference or `*`.
fn cost(line: &str) -> Option<u64> {
    let (position, cost) = line.split_once(' ')?;
    let is_position = position.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*'));
    if is_position { cost.trim().parse().ok() } else { None }
}

/// The crate or library of a source file.
fn origin(file: &str, object: &str) -> String {
    let parts: Vec<&str> = file.split('/').collect();
    let position = |name: &str| parts.iter().position(|part| *part == name);
    if file == UNKNOWN {
        return object.rsplit('/').next().unwrap_or(object).to_owned();
    }
    if let Some(registry) = position("registry") {
        // registry/src/INDEX/CRATE-VERSION/...
        let package = parts.get(registry + 3).copied().unwrap_or(UNKNOWN);
        let version = package
            .match_indices('-')
            .find(|(at, _)| package[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
        return version.map_or(package, |(at, _)| &package[..at]).to_owned();
    }
    if position("rustc").is_some() || position("rustlib").is_some() {
        return "std".to_owned();
    }
    if parts.first() == Some(&"src") || file.contains("/s3fcp/src/") {
        return OURS.to_owned();
    }
    object.rsplit('/').next().unwrap_or(object).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: &str = "\
# callgrind format
version: 1
positions: line
events: Ir

ob=(1) /target/callgrind/s3fcp
fl=(1) src/fetch.rs
fn=(1) s3fcp::fetch::spawn
10 5
+2 7
cfi=(2) /home/u/.cargo/registry/src/index-1/bytes-1.12.0/src/bytes.rs
cfn=(2) bytes::split
calls=3 40
* 1000
fi=(3) /rustc/0123/library/core/src/option.rs
-1 2
fe=(1)
-1 1

fl=(2)
fn=(2)
40 1000

ob=(2) /lib/libc.so.6
fl=(4) ???
fn=(3) __memcpy_avx_unaligned_erms
0 3000
fn=(4) malloc
0 30

fl=(5) /home/u/.cargo/registry/src/index-1/aws-lc-sys-0.47.0/aws-lc/crypto/a.c
1 4
totals: 4049
";

    #[test]
    fn instructions_count_where_their_source_is_and_calls_only_once() {
        let want = [
            ("s3fcp", 13),
            ("bytes", 1000),
            ("std", 2),
            ("memcpy", 3000),
            ("libc.so.6", 30),
            ("aws-lc-sys", 4),
        ];
        assert_eq!(costs(OUT), want.map(|(name, cost)| (name.to_owned(), cost)).into());
    }
}
