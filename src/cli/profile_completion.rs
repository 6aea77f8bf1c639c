//! The names of profiles as completions of `--profile`: `clap_complete` knows fixed values only, so each shell reads
//! the AWS configuration files itself.
//!
//! Pure. A shell without a function here completes nothing, as for every value that is not known in advance.

use clap_complete::Shell;

/// Prints a profile's name a line, in any POSIX shell. `[default]` and, in the configuration file, `[profile NAME]`.
const NAMES: &str = "\
cat \"${AWS_CONFIG_FILE:-$HOME/.aws/config}\" \"${AWS_SHARED_CREDENTIALS_FILE:-$HOME/.aws/credentials}\" 2>/dev/null |
        sed -n -e '/^\\[sso-session /d' -e '/^\\[services /d' \
            -e 's/^\\[profile  *\\([^]]*\\)\\].*$/\\1/p' -e 's/^\\[\\([^]]*\\)\\].*$/\\1/p' |
        sort -u";

/// Returns the script of `shell` with the names of profiles after `--profile`.
pub(super) fn with_profiles(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => {
            let function = format!("_s3fcp_profiles() {{\n    {NAMES}\n}}\n\n");
            let indent = "--profile)\n                    ";
            let values = "local IFS=$'\\n'; COMPREPLY=($(compgen -W \"$(_s3fcp_profiles)\" -- \"${cur}\"))";
            let none = "COMPREPLY=(\"${cur}\")";
            function + &script.replace(&format!("{indent}{none}"), &format!("{indent}{values}"))
        }
        Shell::Zsh => {
            let values = format!("compadd -- ${{(f)\"$({NAMES})\"}}");
            let function = format!("_s3fcp_profiles() {{\n    {values}\n}}\n\n_s3fcp() {{");
            let action =
                script.replace("configuration files]:NAME:'", "configuration files]:NAME:_s3fcp_profiles'");
            action.replacen("_s3fcp() {", &function, 1)
        }
        Shell::Fish => {
            let function = format!("function __s3fcp_profiles\n    sh -c {}\nend\n", fish_quoted(NAMES));
            let option = "-l profile -d 'Profile in the AWS configuration files' -r -f";
            function + &script.replace(option, &format!("{option} -a '(__s3fcp_profiles)'"))
        }
        _ => script.to_owned(),
    }
}

/// Returns `text` as one word of fish, where `\\` and `'` are escaped within single quotes.
fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
