//! The secrets of a request, blanked out of whatever a server echoes.
//!
//! A debugging proxy or a gateway may repeat request headers in its response, perhaps encoded (`echo_encodings.rs`) or
//! cut.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::s3::echo_encodings::{
    DecodedByte, as_it_is, bytes_of, bytes_of_base64, decoded, encoded, layers, lower_case,
};
use crate::s3::text_pieces::{BLANKED_MIN, RUN_MIN, TextPieces, holds_run};

/// The text in the place of a secret.
pub(crate) const BLANK: &str = "[hidden]";
/// A shorter secret may be a name, such as a bucket's, that a host begins with.
const NAME_BYTES_MAX: usize = 16;
/// Only the beginning of a text is ever shown.
const TEXT_BYTES_MAX: usize = 4096;

/// The secrets that a request carries: keys, tokens, a signature, the query of a presigned URL.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<Arc<Secret>>);

/// One secret, and what is looked for.
struct Secret {
    /// As it is sent, perhaps encoded.
    sent: String,
    forms: Vec<Vec<u8>>,
    /// All forms and their encodings, in lower case: a server may change the case of letters. They are made when they are
    /// first needed, and most secrets are those of many requests.
    lower: OnceLock<Vec<Vec<u8>>>,
}

impl Secret {
    fn new(sent: &str) -> Self {
        // A key of printable characters is sent in base64.
        let text = bytes_of_base64(sent.as_bytes())
            .filter(|bytes| bytes.iter().all(|byte| (b' '..=b'~').contains(byte)));
        let mut forms = Vec::new();
        for form in [bytes_of(&decoded(&as_it_is(sent))), sent.as_bytes().to_vec()].into_iter().chain(text) {
            if !form.is_empty() && !forms.contains(&form) {
                forms.push(form);
            }
        }
        Self { sent: sent.to_owned(), forms, lower: OnceLock::new() }
    }

    fn lower(&self) -> &[Vec<u8>] {
        self.lower.get_or_init(|| {
            let short = self.forms.iter().filter(|form| form.len() <= TEXT_BYTES_MAX);
            let encoded = short.flat_map(|form| encodings(form));
            let mut lower: Vec<Vec<u8>> = Vec::new();
            for form in self.forms.iter().map(|form| form.to_ascii_lowercase()).chain(encoded) {
                if !lower.contains(&form) {
                    lower.push(form);
                }
            }
            lower
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Adds a secret as it is sent, perhaps encoded.
    pub(crate) fn add(&mut self, secret: &str) {
        self.add_as_in(secret, &Self::default());
    }

    /// Adds a secret as it is sent, for which nothing is computed again if it is one of the `earlier` ones.
    pub(crate) fn add_as_in(&mut self, secret: &str, earlier: &Self) {
        let is_same = |known: &&Arc<Secret>| known.sent == secret;
        if !secret.is_empty() && !self.0.iter().any(|known| is_same(&known)) {
            let known = earlier.0.iter().find(is_same).map(Arc::clone);
            self.0.push(known.unwrap_or_else(|| Arc::new(Secret::new(secret))));
        }
    }

    /// Returns the forms of all secrets that are looked for in texts, in lower case.
    fn lower(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.0.iter().flat_map(|secret| secret.lower())
    }

    /// Returns whether `host`, which a server named, holds a secret or a part of one, as it is or encoded. The case of
    /// letters does not matter.
    ///
    /// A redirect may rightly name a host or a bucket that the query names too. So a value that has a dot or a hyphen, only
    /// letters, or few characters, counts only where it is encoded; and a part of another one, only if it has a digit.
    pub(crate) fn are_in_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let plain = as_it_is(&host);
        let held = |secret: &[u8], least: usize| -> Vec<u8> {
            let mut hidden = vec![false; host.len()];
            mark(&secret.to_ascii_lowercase(), &plain, least, &mut hidden);
            host.bytes().zip(hidden).filter(|(_, is_hidden)| *is_hidden).map(|(byte, _)| byte).collect()
        };
        let holds = |secret: &[u8], least: usize| !held(secret, least).is_empty();
        let holds_run = |secret: &[u8]| held(secret, RUN_MIN).iter().any(u8::is_ascii_digit);
        let may_be_name = |secret: &[u8]| {
            let is_word = secret.iter().all(u8::is_ascii_alphabetic);
            secret.len() < NAME_BYTES_MAX || is_word || secret.iter().any(|byte| b".-".contains(byte))
        };
        let forms = self.0.iter().flat_map(|secret| &secret.forms);
        let mut all = forms.filter(|form| (BLANKED_MIN..=TEXT_BYTES_MAX).contains(&form.len()));
        all.any(|secret| {
            (!may_be_name(secret) && (holds(secret, secret.len()) || holds_run(secret)))
                || encodings(secret).iter().any(|form| holds(form, form.len().min(RUN_MIN)))
        })
    }

    /// Returns `text` without the secrets, or `None` if a secret is too short to be distinguished from the text around
    /// it.
    pub(crate) fn redact(&self, text: &str) -> Option<String> {
        let text = beginning(text);
        let mut hidden = vec![false; text.len()];
        for plain in layers(text).into_iter().map(lower_case) {
            for secret in self.lower() {
                if secret.len() >= BLANKED_MIN {
                    mark(secret, &plain, secret.len().min(RUN_MIN), &mut hidden);
                } else if plain
                    .windows(secret.len())
                    .any(|w| w.iter().map(|(byte, _)| byte).eq(secret.iter()))
                {
                    return None;
                }
            }
        }
        let mut shown = String::with_capacity(text.len());
        let mut was_hidden = false;
        for (at, c) in text.char_indices() {
            let is_hidden = hidden[at..at + c.len_utf8()].contains(&true);
            if !is_hidden {
                shown.push(c);
            } else if !was_hidden {
                shown.push_str(BLANK);
            }
            was_hidden = is_hidden;
        }
        Some(shown)
    }

    /// Returns which of `texts` hold a secret or a run of it, encoded or not. Cheap where none does, for the headers of
    /// every response.
    pub(crate) fn are_in(&self, texts: &[&[u8]]) -> Vec<bool> {
        let layers: Vec<Vec<Vec<u8>>> = texts.iter().map(|text| lower_layers(text)).collect();
        let pieces = TextPieces::of(layers.iter().flatten());
        let near: Vec<_> = self.lower().filter(|secret| pieces.may_hold(secret)).collect();
        let is_in = |text: &Vec<u8>| near.iter().any(|secret| holds_run(text, secret));
        layers.iter().map(|layers| !near.is_empty() && layers.iter().any(is_in)).collect()
    }
}

/// Returns `text` in lower case, and with its encodings undone.
fn lower_layers(text: &[u8]) -> Vec<Vec<u8>> {
    if text.len() < BLANKED_MIN {
        return Vec::new();
    }
    let is_plain = |byte: &u8| byte.is_ascii() && !b"%&\\+".contains(byte);
    if text.iter().all(is_plain) {
        return vec![text.to_ascii_lowercase()];
    }
    layers(&String::from_utf8_lossy(text)).into_iter().map(|plain| bytes_of(&lower_case(plain))).collect()
}

/// Returns the encodings of `secret` that are looked for as such. In fewer characters than are blanked they may be a part of
/// any text.
fn encodings(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = encoded(secret);
    forms.retain(|form| form.len() >= BLANKED_MIN);
    forms
}

fn beginning(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Marks every run of at least `least` bytes of `secret` in `plain`.
fn mark(secret: &[u8], plain: &[DecodedByte], least: usize, hidden: &mut [bool]) {
    for at in 0..plain.len() {
        for from in 0..=secret.len() - least {
            if secret[from] != plain[at].0 {
                continue;
            }
            let run = secret[from..].iter().zip(&plain[at..]).take_while(|(a, (b, _))| *a == b).count();
            if run >= least {
                plain[at..at + run].iter().for_each(|(_, range)| hidden[range.clone()].fill(true));
            }
        }
    }
}

#[cfg(test)]
mod tests;
