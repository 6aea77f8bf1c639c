//! What the program prints about itself: its version, completions for shells, and its man page. The last two know
//! every option.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use crate::support::files::file;
use crate::support::notes::tell;
use crate::support::run::{S3fcp, URI};
use crate::support::table;

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

fn printed(arguments: &[&str]) -> String {
    let outcome = S3fcp::new().args(arguments).start().wait();
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    String::from_utf8(outcome.stdout).expect("text")
}

/// The options that `--help` describes, without their dashes.
fn options() -> Vec<String> {
    let help = printed(&["--help"]);
    let described = help.lines().filter_map(|line| {
        let option = line.trim_start().split(", ").find_map(|spelling| spelling.strip_prefix("--"))?;
        let is_end = |letter: char| !letter.is_ascii_alphanumeric() && letter != '-';
        line.starts_with("  ").then(|| option.split(is_end).next().unwrap_or(option).to_owned())
    });
    let options: Vec<String> = described.collect();
    assert!(options.len() > 20 && options.contains(&"quiet".to_owned()), "{options:?}");
    options
}

#[test]
fn the_completions_of_every_shell_know_every_option() {
    let options = options();
    for shell in SHELLS {
        let script = printed(&["--completions", shell]);
        for option in &options {
            let spelled = if shell == "fish" { format!("-l {option}") } else { format!("--{option}") };
            assert!(script.contains(&spelled), "{shell}: no {spelled}");
        }
    }
}

#[test]
fn shells_that_are_here_can_read_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let file = file(&printed(&["--completions", shell]));
        match Command::new(shell).arg("-n").arg(file.path()).output() {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                tell(&format!("SKIPPED completions of {shell}: it is not installed"));
            }
            Err(e) => panic!("{shell}: {e}"),
            Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}"),
        }
    }
}

#[test]
fn bash_completes_options_and_their_values() {
    let script = printed(&["--completions", "bash"]);
    let table = [
        ("a long option", "--chunk", "s3fcp", "--chunk-size"),
        ("all that begin alike", "--stall", "s3fcp", "--stall-timeout"),
        ("a value", "re", "--checksum", "require"),
        ("a style", "", "--addressing-style", "auto path virtual"),
        ("no file where none is meant", "/", "--region", "/"),
        ("only what may stand alone", "--inf", "s3fcp", "--info"),
        ("nor a format without its =", "t", "--info", ""),
    ];
    table::each(&table.map(|(name, word, before, is)| (name, (word, before, is))), |(word, before, is)| {
        // As bash calls it by Tab after `s3fcp ... BEFORE WORD`.
        let call = format!(
            "{script}\nCOMP_WORDS=(s3fcp {URI} '{before}' '{word}') COMP_CWORD=3\n\
             compopt() {{ :; }}\n_s3fcp s3fcp '{word}' '{before}'; echo \"${{COMPREPLY[*]}}\""
        );
        let bash = Command::new("bash").args(["--norc", "-c", &call]).stderr(Stdio::inherit()).output();
        let replied = bash.expect("bash").stdout;
        assert_eq!(String::from_utf8_lossy(&replied).trim_end(), *is, "{word:?} after {before}");
    });
}

/// Profiles as the AWS CLI writes them, and a section that is none.
const PROFILES: &str =
    "[default]\nregion = eu-west-1\n[profile research]\n[profile release-2]\n[sso-session retail]\n";

#[test]
fn bash_and_fish_complete_the_names_of_profiles() {
    let config = file(PROFILES);
    let script = printed(&["--completions", "bash"]);
    let bash = format!(
        "{script}\nCOMP_WORDS=(s3fcp --profile re) COMP_CWORD=2\ncompopt() {{ :; }}\n\
         _s3fcp s3fcp re --profile; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let fish = format!("{}\ncomplete -C 's3fcp --profile re'", printed(&["--completions", "fish"]));
    for (shell, call) in [("bash", bash), ("fish", fish)] {
        let mut command = Command::new(shell);
        command.args(["-c", &call]).env("AWS_CONFIG_FILE", config.path());
        let output = match command.env("AWS_SHARED_CREDENTIALS_FILE", "/none").output() {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                tell(&format!("SKIPPED profiles of {shell}: it is not installed"));
                continue;
            }
            output => output.expect("a shell"),
        };
        let replied = String::from_utf8_lossy(&output.stdout);
        let mut names: Vec<_> = replied.lines().map(|line| line.split('\t').next().unwrap_or(line)).collect();
        names.sort_unstable();
        assert_eq!(names, ["release-2", "research"], "{shell}: {output:?}");
    }
    let zsh = printed(&["--completions", "zsh"]);
    assert!(zsh.contains(":NAME:_s3fcp_profiles'") && zsh.contains("\n_s3fcp_profiles() {\n"), "{zsh}");
}

#[test]
fn the_man_page_has_every_option_and_every_part_of_the_help() {
    let page = printed(&["--man"]);
    assert!(page.contains("\n.TH S3FCP 1 "), "{page}");
    for option in options() {
        let escaped = format!("\\-\\-{}", option.replace('-', "\\-"));
        assert!(page.contains(&escaped), "no {option}");
    }
    let help = printed(&["--help"]);
    for section in ["EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES"] {
        assert!(
            page.contains(&format!(".SH {section}\n")) || page.contains(&format!(".SH \"{section}\"\n")),
            "{page}"
        );
    }
    for title in ["Transfer:", "Server and credentials:", "Examples:", "Environment:"] {
        assert!(help.contains(&format!("\n{title}\n")), "{title} in {help}");
        let section = title.trim_end_matches(':').to_uppercase();
        assert!(page.contains(&section), "{section}");
    }
    // A table that is not filled to a paragraph.
    assert!(
        page.contains("\n0  every byte was delivered\n1  any other failure, such as a bug in this program\n"),
        "{page}"
    );
    assert_eq!(page, printed(&["--man"]), "the same, whenever");
}

#[test]
fn the_version_is_a_line_or_what_a_report_needs() {
    let number = concat!("s3fcp ", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&["-V"]), format!("{number}\n"));
    let long = printed(&["--version"]);
    assert!(long.starts_with(concat!("s3fcp ", env!("S3FCP_VERSION"), "\ntarget: ")), "{long}");
    assert!(long.starts_with(number) && long.contains("\nTLS: rustls over ring\n"), "{long}");
    assert!(long.contains(std::env::consts::ARCH), "{long}");
}

#[test]
fn they_stand_alone_and_say_where_they_cannot_be_written() {
    for arguments in
        [&["--man", URI][..], &["--completions", "bash", URI], &["--completions", "tcsh"], &["--completions"]]
    {
        let outcome = S3fcp::new().args(arguments).start().wait();
        assert_eq!((outcome.code(), outcome.stdout.as_slice()), (Some(2), &[][..]), "{arguments:?}");
    }
    for arguments in [&["--man"][..], &["--completions", "zsh"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let Ok(full) = full else { return };
        S3fcp::new().args(arguments).stdout(full).start().wait().assert_failed(8, &[]);
    }
}
