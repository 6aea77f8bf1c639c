//! The AWS configuration files as the AWS CLI reads them, and written again as the AWS crates want them.
//!
//! The CLI uses Python's `configparser`: keys and section headers may be indented, text after a header is ignored, `:`
//! separates like `=`, comment lines may be anywhere, `[DEFAULT]` holds for every section, and a carriage return ends a
//! line. The crates' own parser refuses all that, and ignores profiles whose names have spaces or other unusual
//! characters. So the files are parsed here and passed on in one form, with such names percent-encoded.
//!
//! Sources: Python's documentation of `configparser`; botocore, `configloader.py`.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Which of the two files a text comes from; they name profiles differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// `~/.aws/config`: `[default]`, `[profile NAME]`, `[sso-session NAME]`, `[services NAME]`.
    Config,
    /// `~/.aws/credentials`: `[NAME]`.
    Credentials,
}

/// The settings of a section: keys in lower case, values of several lines joined by line breaks.
pub(super) type Properties = BTreeMap<String, String>;

/// The sections of one file, by their kind (`profile`, `sso-session`, `services`) and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sections(pub(super) BTreeMap<(String, String), Properties>);

/// A line that cannot be read, with its number and the reason.
pub(super) type ParseError = (usize, &'static str);

/// Keys whose values name another section.
const REFERENCES: [&str; 3] = ["source_profile", "sso_session", "services"];
/// The kinds of sections that the AWS crates read.
const KINDS: [&str; 3] = ["profile", "sso-session", "services"];
/// The kind of any other section.
const OTHER: &str = "";
/// The section whose settings hold for all of them (`configparser`, `default_section`).
const FOR_ALL: &str = "DEFAULT";
/// A command: comments in it are the shell's. It is not passed to the AWS crates, because it is run here.
const PROCESS: &str = "credential_process";
/// An older name of the session token, which some tools still write, and the present one.
const TOKEN: [&str; 2] = ["aws_security_token", "aws_session_token"];

impl Sections {
    /// Parses a file.
    pub(super) fn parse(text: &str, kind: FileKind) -> Result<Self, ParseError> {
        let mut sections = BTreeMap::<(String, String), Properties>::new();
        let mut section: Option<(String, String)> = None;
        let mut key: Option<String> = None;
        let mut key_indent = 0;
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        for (number, line) in text.lines().enumerate() {
            let content = line.trim();
            if content.is_empty() || content.starts_with(['#', ';']) {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            if let (Some(section), Some(key)) = (&section, &key)
                && indent > key_indent
            {
                let value = sections.entry(section.clone()).or_default().entry(key.clone()).or_default();
                value.push('\n');
                value.push_str(without_comment(key, content));
                continue;
            }
            key_indent = indent;
            if let Some(header) = content.strip_prefix('[') {
                let (header, _) =
                    header.rsplit_once(']').ok_or((number + 1, "the section has no closing `]`"))?;
                let name = section_name(header.trim(), kind);
                sections.entry(name.clone()).or_default();
                (section, key) = (Some(name), None);
                continue;
            }
            let Some(section) = &section else {
                return Err((number + 1, "it is before the first section, such as [default]"));
            };
            let (name, value) =
                content.split_once(['=', ':']).ok_or((number + 1, "it is not of the form `key = value`"))?;
            let name = name.trim().to_ascii_lowercase();
            if name.is_empty() {
                return Err((number + 1, "it has no key before the `=`"));
            }
            let value = without_comment(&name, value.trim()).to_owned();
            sections.entry(section.clone()).or_default().insert(name.clone(), value);
            key = Some(name);
        }
        Ok(Self(sections).with_defaults())
    }

    /// Gives every section what is for all of them, and the session token its present name.
    fn with_defaults(mut self) -> Self {
        let for_all = self.0.remove(&(OTHER.to_owned(), FOR_ALL.to_owned())).unwrap_or_default();
        for properties in self.0.values_mut() {
            for (key, value) in &for_all {
                properties.entry(key.clone()).or_insert_with(|| value.clone());
            }
            if let Some(token) = properties.remove(TOKEN[0]) {
                properties.entry(TOKEN[1].to_owned()).or_insert(token);
            }
        }
        self
    }

    /// Returns whether there is a section with this header that is of no known kind.
    pub(super) fn has_other(&self, header: &str) -> bool {
        self.0.contains_key(&(OTHER.to_owned(), header.to_owned()))
    }

    /// Returns the settings of a profile.
    pub(super) fn profile(&self, name: &str) -> Option<&Properties> {
        self.0.get(&("profile".to_owned(), name.to_owned()))
    }

    /// Writes the file for the AWS crates' parser.
    pub(super) fn render(&self, file: FileKind) -> String {
        let mut text = String::new();
        for ((kind, name), properties) in &self.0 {
            if kind == OTHER {
                continue;
            }
            let name = encode_name(name);
            let _ = match (file, kind.as_str(), name.as_str()) {
                (FileKind::Credentials, ..) | (_, "profile", "default") => writeln!(text, "[{name}]"),
                _ => writeln!(text, "[{kind} {name}]"),
            };
            // Empty settings count as unset.
            for (key, value) in properties.iter().filter(|(key, value)| *key != PROCESS && !value.is_empty())
            {
                let value =
                    if REFERENCES.contains(&key.as_str()) { encode_name(value) } else { value.clone() };
                let mut lines = value.split('\n');
                let _ = writeln!(text, "{key} = {}", lines.next().unwrap_or_default());
                for line in lines {
                    // The crates insist on `key = value` below an empty value.
                    if !value.starts_with('\n') || line.contains('=') {
                        let _ = writeln!(text, "  {line}");
                    }
                }
            }
        }
        text
    }
}

/// Returns the kind and the name of a section.
fn section_name(header: &str, file: FileKind) -> (String, String) {
    let other = || (OTHER.to_owned(), header.to_owned());
    if header == FOR_ALL {
        return other();
    }
    if file == FileKind::Credentials || header == "default" {
        return ("profile".to_owned(), header.to_owned());
    }
    let mut words = shlex::split(header).unwrap_or_default().into_iter();
    match (words.next(), words.next(), words.next()) {
        (Some(kind), Some(name), None) if KINDS.contains(&kind.as_str()) => (kind, name),
        _ => other(),
    }
}

/// Removes a comment that follows white space, as AWS's SDKs do.
fn without_comment<'a>(key: &str, value: &'a str) -> &'a str {
    if key == PROCESS {
        return value;
    }
    let comment = value
        .char_indices()
        .zip(value.chars().skip(1))
        .find(|((_, before), mark)| before.is_whitespace() && matches!(mark, '#' | ';'));
    comment.map_or(value, |((at, _), _)| &value[..at]).trim_end()
}

/// Returns `name` in the characters that the AWS crates allow in the name of a section.
pub(super) fn encode_name(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-/.@:+".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Returns the name that [`encode_name`] encoded.
pub(super) fn decode_name(name: &str) -> String {
    percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned()
}
