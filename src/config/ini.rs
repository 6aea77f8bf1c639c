//! The AWS configuration files as the AWS CLI reads them.
//!
//! The CLI uses Python's `configparser`: keys and section headers may be indented, text after a header is ignored, `:`
//! separates like `=`, comment lines may be anywhere, `[DEFAULT]` holds for every section, and a carriage return ends a
//! line. The AWS crates' parser refuses all that, and ignores profiles whose names have spaces or other unusual
//! characters.
//!
//! Sources: Python's documentation of `configparser`; botocore, `configloader.py`.

use std::collections::BTreeMap;

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

/// Keys whose values name another section, whose name may have a `#`.
const REFERENCES: [&str; 3] = ["source_profile", "sso_session", "services"];
/// The kinds of sections that have names.
const KINDS: [&str; 3] = ["profile", "sso-session", "services"];
/// The kind of any other section.
const OTHER: &str = "";
/// The section whose settings hold for all of them (`configparser`, `default_section`).
const FOR_ALL: &str = "DEFAULT";
/// A command, which is split into words with the comments in it.
const PROCESS: &str = "credential_process";
/// An older name of the session token, which some tools still write, and the present one.
const TOKEN: [&str; 2] = ["aws_security_token", "aws_session_token"];

impl Sections {
    /// Parses a file. A header that comes again continues its section; another one with the same name, such as
    /// `[profile default]` after `[default]`, replaces it.
    pub(super) fn parse(text: &str, kind: FileKind) -> Result<Self, ParseError> {
        let mut sections = Vec::<(String, Properties)>::new();
        let mut current: Option<usize> = None;
        let mut key: Option<String> = None;
        let mut key_indent = 0;
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        for (number, line) in text.lines().enumerate() {
            let content = line.trim();
            if content.is_empty() || content.starts_with(['#', ';']) {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            let section = current.and_then(|at| sections.get_mut(at)).map(|(_, properties)| properties);
            if let (Some(section), Some(key)) = (section, &key)
                && indent > key_indent
            {
                let value = section.entry(key.clone()).or_default();
                value.push('\n');
                value.push_str(value_of(key, content));
                continue;
            }
            key_indent = indent;
            if let Some(header) = content.strip_prefix('[') {
                let (header, _) =
                    header.rsplit_once(']').ok_or((number + 1, "the section has no closing `]`"))?;
                let header = header.trim();
                let known = sections.iter().position(|(other, _)| other == header);
                if known.is_none() {
                    sections.push((header.to_owned(), Properties::new()));
                }
                (current, key) = (known.or(sections.len().checked_sub(1)), None);
                continue;
            }
            let Some((_, section)) = current.and_then(|at| sections.get_mut(at)) else {
                return Err((number + 1, "it is before the first section, such as [default]"));
            };
            let (name, value) =
                content.split_once(['=', ':']).ok_or((number + 1, "it is not of the form `key = value`"))?;
            let name = name.trim().to_ascii_lowercase();
            if name.is_empty() {
                return Err((number + 1, "it has no key before the `=`"));
            }
            section.insert(name.clone(), value_of(&name, value.trim()).to_owned());
            key = Some(name);
        }
        let named =
            sections.into_iter().map(|(header, properties)| (section_name(&header, kind), properties));
        Ok(Self(named.collect()).with_defaults())
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

    /// Returns a setting of the section of this kind and name; an empty one counts as unset.
    pub(super) fn get(&self, kind: &str, name: &str, key: &str) -> Option<&str> {
        let section = self.0.get(&(kind.to_owned(), name.to_owned()))?;
        section.get(key).map(String::as_str).filter(|value| !value.is_empty())
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

/// Returns a value without its comment, unless a `#` in it may be a part of it.
fn value_of<'a>(key: &str, value: &'a str) -> &'a str {
    if key == PROCESS || REFERENCES.contains(&key) { value } else { without_comment(value) }
}

/// Removes a comment that follows white space, as AWS's SDKs do.
pub(super) fn without_comment(value: &str) -> &str {
    let comment = value
        .char_indices()
        .zip(value.chars().skip(1))
        .find(|((_, before), mark)| before.is_whitespace() && matches!(mark, '#' | ';'));
    comment.map_or(value, |((at, _), _)| &value[..at]).trim_end()
}

/// Returns a setting in a block, which is a value of several lines; an empty one counts as unset.
pub(super) fn setting_in_block<'a>(block: &'a str, key: &str) -> Option<&'a str> {
    let pairs = block.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(k, v)| (k.trim(), v.trim())).find(|(k, v)| *k == key && !v.is_empty()).map(|(_, v)| v)
}
