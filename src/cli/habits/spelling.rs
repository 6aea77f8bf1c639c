//! Misspelt options of ours.

use clap::Command;

/// Returns the option that `typed` is a misspelling or the beginning of. The parser's own measure finds too much:
/// `--continue` for `--content-disposition`.
pub(super) fn closest(option: &str, command: &Command) -> Option<String> {
    let typed = letters(option);
    let mut found: Option<(usize, &str)> = None;
    for argument in command.get_arguments() {
        for name in argument.get_long_and_visible_aliases().unwrap_or_default() {
            // With another word after it, it is another option.
            if option.trim_start_matches('-').strip_prefix(name).is_some_and(|rest| rest.starts_with('-')) {
                continue;
            }
            let ours = letters(name);
            let distance = if typed.len() >= 3 && ours.starts_with(&typed) {
                1
            } else {
                strsim::osa_distance(&typed, &ours)
            };
            // Two wrong letters in a short word are another word.
            let most = if typed.len() < 6 { 1 } else { 2 };
            if distance <= most && found.is_none_or(|(least, _)| distance < least) {
                found = Some((distance, name));
            }
        }
    }
    found.map(|(_, name)| format!("--{name}"))
}

/// Returns the letters of an option's name, without its value.
fn letters(option: &str) -> String {
    let name = option.split('=').next().unwrap_or(option);
    name.chars().filter(|letter| !matches!(letter, '-' | '_')).flat_map(char::to_lowercase).collect()
}
