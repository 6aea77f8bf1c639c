//! The language of the house: comments, messages and help texts are plain English, and documentation says what an item
//! does or is, in a sentence that stands alone in a hover.

use crate::support::sources::{Source, sources, sources_elsewhere};

/// Phrases that this code once used in a sense of its own, and how often each may stand in src/. Those above zero also
/// have a plain sense ("a slow reader behind TLS").
const PHRASES: [(&str, usize); 13] = [
    ("behind", 6),
    ("at once", 2),
    ("goes on", 0),
    ("go on", 0),
    ("went on", 0),
    ("tells", 2),
    ("told", 2),
    ("hands on", 0),
    ("handed on", 0),
    ("anew", 0),
    ("in vain", 0),
    ("has no say", 0),
    ("It gets", 0),
];

/// Phrases that tests, fixtures, benches and examples are rid of as well, and how often each may stand there.
const PHRASES_ELSEWHERE: [(&str, usize); 7] = [
    ("at once", 3),
    ("goes on", 3),
    ("go on", 3),
    ("hands on", 0),
    ("handed on", 0),
    ("in vain", 0),
    ("has no say", 0),
];

/// Beginnings of doc comments that name no thing and no action.
const BEGINNINGS: [&str; 4] = ["What ", "Whether ", "The same", "Who "];

/// Comments and texts of one line, without its code: names in code have their own rules.
fn prose(line: &str) -> String {
    let line = line.trim_start();
    if line.starts_with("//") {
        return line.to_owned();
    }
    let (code, comment) = line.split_once(" // ").unwrap_or((line, ""));
    let texts: Vec<_> = code.split('"').skip(1).step_by(2).collect();
    format!("{} {comment}", texts.join(" "))
}

fn count(text: &str, phrase: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(phrase)
        .filter(|(at, _)| {
            let (before, after) = (&text[..*at], &text[at + phrase.len()..]);
            !before.ends_with(is_word) && !after.starts_with(is_word)
        })
        .count()
}

#[test]
fn a_phrase_is_found_as_words_in_comments_and_texts_only() {
    let text = |line: &str| prose(line);
    assert_eq!(count(&text("// it goes on, and goes on"), "goes on"), 2);
    assert_eq!(count(&text("let told = anew(\"told\"); // told"), "told"), 2);
    assert_eq!(count(&text("// untold foretold told_by"), "told"), 0);
}

#[test]
fn words_are_used_in_their_plain_sense() {
    assert_plain(&sources(), &PHRASES);
    assert_plain(&sources_elsewhere(), &PHRASES_ELSEWHERE);
}

fn assert_plain(sources: &[Source], phrases: &[(&str, usize)]) {
    for &(phrase, allowed) in phrases {
        let mut places = Vec::new();
        for source in sources {
            for (number, line) in source.code.lines().enumerate() {
                if count(&prose(line), phrase) > 0 {
                    places.push(format!("{}:{}: {}", source.path.display(), number + 1, line.trim()));
                }
            }
        }
        assert!(
            places.len() <= allowed,
            "{phrase:?} stands in {} lines of at most {allowed}; say \"after\", \"immediately\", \"at the same time\", \
             \"continues\", \"reports\", \"passes on\" or \"again\":\n  {}",
            places.len(),
            places.join("\n  ")
        );
    }
}

#[test]
fn doc_comments_begin_with_a_verb_or_a_thing() {
    let mut wrong = Vec::new();
    for source in &sources() {
        let mut was_comment = false;
        for (number, line) in source.code.lines().enumerate() {
            let doc = line.trim_start().strip_prefix("/// ");
            if let Some(text) = doc.filter(|_| !was_comment)
                && BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
            {
                wrong.push(format!("{}:{}: {text}", source.path.display(), number + 1));
            }
            was_comment = line.trim_start().starts_with("///");
        }
    }
    assert!(
        wrong.is_empty(),
        "a doc comment says \"Returns whether ...\", \"Set if ...\" or names the thing:\n  {}",
        wrong.join("\n  ")
    );
}
