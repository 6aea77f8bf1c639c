//! The two AWS configuration files: where they are, and their text in whatever encoding.
//!
//! A file that does not exist is empty. One that cannot be read is empty too, because a run may not need it, but the
//! reason is kept and shown when a profile or credentials are missing.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::PathBuf;

use aws_credential_types::Credentials as Keys;
use aws_types::os_shim_internal::Env;

use crate::config::ini::{FileKind, Sections, without_comment};
use crate::config::profile::variable;
use crate::error::{Error, Result, shortage};
use crate::transport::bounded_file::read_bounded_soon;

/// The configuration file and the credentials file.
#[derive(Debug, Clone)]
pub(super) struct AwsFiles {
    pub(super) config: AwsFile,
    pub(super) credentials: AwsFile,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) enum AwsFile {
    /// It is read each time, so that keys rotated on disk are found. `None` without a home folder. The variable that
    /// names it, if one does.
    Path(Option<PathBuf>, Option<&'static str>),
    /// Its bytes, for tests.
    #[cfg(any(test, fuzzing))]
    Bytes(Vec<u8>),
}

/// Both files, parsed.
#[derive(Debug, Clone)]
pub(super) struct ParsedFiles {
    pub(super) config: Sections,
    pub(super) credentials: Sections,
    /// The paths that were looked into, each with the reason if it could not be read.
    pub(super) looked_into: Vec<(String, Option<String>)>,
}

/// The end of the reason for a missing file that is not at its usual place.
const NAMED: &str = " names it)";

impl AwsFiles {
    /// Returns the files that `env` names, otherwise those in `~/.aws`.
    pub(super) fn locate(env: &Env) -> Self {
        let home = home_folder(env);
        let file = |name: &'static str, default: &str| {
            let named = variable(env, name);
            let by = named.is_some().then_some(name);
            let path = named.map_or_else(|| default.to_owned(), |path| expand(env, &path));
            let path = match path.strip_prefix("~/") {
                Some(rest) => home.as_ref().map(|home| home.join(rest)),
                None => Some(PathBuf::from(path)),
            };
            AwsFile::Path(path, by)
        };
        Self {
            config: file("AWS_CONFIG_FILE", "~/.aws/config"),
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
        }
    }

    /// Reads and parses both files.
    pub(super) async fn read(&self) -> Result<ParsedFiles> {
        let mut looked_into = Vec::new();
        let mut parse = |(name, bytes): (String, Result<Vec<u8>, String>), kind| {
            let text = match bytes.and_then(|bytes| decode(&bytes).map(Cow::into_owned)) {
                Ok(text) => {
                    looked_into.push((name.clone(), None));
                    text
                }
                Err(reason) => {
                    looked_into.push((name.clone(), Some(reason)));
                    String::new()
                }
            };
            Sections::parse(&text, kind).map_err(|(line, reason)| {
                Error::usage(format!("cannot read the AWS configuration: line {line} of {name}: {reason}"))
            })
        };
        let config = parse(self.config.read().await?, FileKind::Config)?;
        let credentials = parse(self.credentials.read().await?, FileKind::Credentials)?;
        Ok(ParsedFiles { config, credentials, looked_into })
    }
}

impl AwsFile {
    /// Returns the name of the file, and its bytes or why there are none. Fails if that is no fault of the file.
    async fn read(&self) -> Result<(String, Result<Vec<u8>, String>)> {
        Ok(match self {
            Self::Path(Some(path), named_by) => {
                let read = read_bounded_soon(path.clone()).await;
                if let Err(e) = &read
                    && shortage::remedy(e).is_some()
                {
                    let what = format!("cannot read the AWS configuration {}", path.display());
                    return Err(Error::usage(what).with_source(shortage::copy_of(e)));
                }
                let bytes = read.map_err(|e| match (e.kind(), named_by) {
                    (ErrorKind::NotFound, None) => "does not exist".to_owned(),
                    (ErrorKind::NotFound, Some(variable)) => format!("does not exist ({variable}{NAMED}"),
                    _ => format!("cannot be read: {e}"),
                });
                (path.display().to_string(), bytes)
            }
            Self::Path(None, _) => {
                ("~/.aws".to_owned(), Err("cannot be found: this user has no home folder".to_owned()))
            }
            #[cfg(any(test, fuzzing))]
            Self::Bytes(bytes) => ("a test's file".to_owned(), Ok(bytes.clone())),
        })
    }
}

impl ParsedFiles {
    /// Returns a setting of a profile; the credentials file takes precedence, as in the AWS CLI.
    pub(super) fn get(&self, profile: &str, key: &str) -> Option<&str> {
        [&self.credentials, &self.config].into_iter().find_map(|file| file.get("profile", profile, key))
    }

    /// Returns a setting of a profile that names a section of this kind. If there is no such section, the name ends before
    /// a comment.
    pub(super) fn reference(&self, profile: &str, key: &str, kind: &str) -> Option<&str> {
        let name = self.get(profile, key)?;
        let exists = if kind == "profile" { self.has_profile(name) } else { self.has_section(kind, name) };
        Some(if exists { name } else { without_comment(name) })
    }

    /// Returns whether the configuration file has a section of this kind and name.
    pub(super) fn has_section(&self, kind: &str, name: &str) -> bool {
        self.config.0.contains_key(&(kind.to_owned(), name.to_owned()))
    }

    /// Returns whether a profile exists.
    pub(super) fn has_profile(&self, name: &str) -> bool {
        self.config.profile(name).is_some() || self.credentials.profile(name).is_some()
    }

    /// Returns the keys of a profile in one of the files: an ID of one and a secret or a token of the other do not belong
    /// together. An ID without a secret is an error.
    pub(super) fn keys(&self, file: FileKind, profile: &str) -> Result<Option<Keys>, String> {
        const PARTS: [&str; 3] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];
        let (sections, name) = match file {
            FileKind::Credentials => (&self.credentials, "the credentials file"),
            FileKind::Config => (&self.config, "the configuration file"),
        };
        match PARTS.map(|part| sections.get("profile", profile, part)) {
            [None, ..] => Ok(None),
            [Some(_), None, _] => Err(format!("{} is missing beside {} in {name}", PARTS[1], PARTS[0])),
            [Some(id), Some(secret), token] => {
                Ok(Some(Keys::new(id, secret, token.map(str::to_owned), None, "Profile")))
            }
        }
    }

    /// Returns how the header of a profile's section has to be written, if one has the form of the other file.
    pub(super) fn misnamed(&self, name: &str) -> Option<String> {
        let of_credentials = format!("profile {name}");
        if self.config.has_other(name) {
            Some(format!("in the configuration file the section [{name}] must be called [profile {name}]"))
        } else if self.credentials.profile(&of_credentials).is_some() {
            Some(format!("in the credentials file the section [{of_credentials}] must be called [{name}]"))
        } else {
            None
        }
    }

    /// Describes the files, for a message about something that is in neither.
    pub(super) fn describe(&self) -> String {
        let file = |(name, problem): &(String, Option<String>)| match problem {
            Some(reason) => format!("{name} {reason}"),
            None => format!("{name} was read"),
        };
        self.looked_into.iter().map(file).collect::<Vec<_>>().join("; ")
    }

    /// Describes the files that were named or exist, and cannot be read.
    pub(super) fn unreadable(&self) -> Option<String> {
        let problems: Vec<_> = (self.looked_into.iter())
            .filter_map(|(name, problem)| Some((name, problem.as_ref()?)))
            .filter(|(_, reason)| reason.starts_with("cannot be read") || reason.ends_with(NAMED))
            .map(|(name, reason)| format!("{name} {reason}"))
            .collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

/// Returns the folder that `HOME` names, otherwise that of this user in the system's database: a service of systemd has no
/// `HOME`.
pub(super) fn home_folder(env: &Env) -> Option<PathBuf> {
    let of_user = || std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    variable(env, "HOME").map(PathBuf::from).or_else(of_user)
}

/// Replaces `$NAME` and `${NAME}` by the values of variables; those that are not set stay (Python,
/// `os.path.expandvars`).
fn expand(env: &Env, path: &str) -> String {
    let mut expanded = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let braced = after.strip_prefix('{').and_then(|braced| braced.split_once('}'));
        let (name, following) = braced.unwrap_or_else(|| {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
            after.split_at(after.find(|c| !is_letter(c)).unwrap_or(after.len()))
        });
        if let Ok(value) = env.get(name) {
            expanded.push_str(&value);
        } else {
            expanded.push('$');
            expanded.push_str(after.strip_suffix(following).unwrap_or(after));
        }
        rest = following;
    }
    expanded + rest
}

/// One zero in so many bytes is an accident, as in a comment that a tool has damaged. UTF-16 has one in two letters.
const BYTES_PER_ZERO_MIN: usize = 16;

/// Decodes a file: UTF-8, with or without a byte order mark, otherwise Latin-1, in which any byte is a letter. A zero is
/// read as any other character, and refused where it is in a key.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let zeros = bytes.split(|byte| *byte == 0).count() - 1;
    let is_wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if is_wide || zeros > bytes.len() / BYTES_PER_ZERO_MIN {
        return Err("cannot be read: it is UTF-16 or binary; save it as UTF-8".to_owned());
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    })
}
