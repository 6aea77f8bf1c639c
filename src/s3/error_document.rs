//! The document of an error response, read leniently: what real servers send is often not well-formed.
//!
//! S3's form is `<Error><Code>..</Code><Message>..</Message>..</Error>` (Amazon S3 API Reference, "Error responses").
//! Read are also unescaped ampersands, unknown entities, Latin-1, repeated elements (the first counts), a wrapper such
//! as `<ErrorResponse>`, names in other cases or with a prefix, space around values, cut documents, and JSON. Nothing is
//! read from a comment.

use serde_json::Value;

/// The fields of an error document that are used, without the space around them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorDocument {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) region: Option<String>,
    /// The host that serves the bucket, which comes with a 301.
    pub(super) endpoint: Option<String>,
    /// The server's clock, which comes with `RequestTimeTooSkewed`.
    pub(super) server_time: Option<String>,
    pub(super) actual_object_size: Option<String>,
    /// `DeleteMarker` if the version requested is one.
    pub(super) resource_type: Option<String>,
    /// A session's token, which comes back with `ExpiredToken`. It is read to be blanked out of the rest.
    pub(super) token: Option<String>,
}

impl ErrorDocument {
    /// Reads `body`; returns `None` if it is not an error document, for example a web page.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let text = match std::str::from_utf8(body) {
            Ok(text) => text.to_owned(),
            // Cut within a character.
            Err(e) if e.error_len().is_none() => {
                String::from_utf8_lossy(&body[..e.valid_up_to()]).into_owned()
            }
            // Latin-1: every byte is the character of the same number.
            Err(_) => body.iter().map(|byte| char::from(*byte)).collect(),
        };
        let text = text.trim_start_matches('\u{feff}').trim();
        let read = |field: &dyn Fn(&str) -> Option<String>| Self {
            code: field("Code"),
            message: field("Message"),
            request_id: field("RequestId"),
            region: field("Region"),
            endpoint: field("Endpoint"),
            server_time: field("ServerTime"),
            actual_object_size: field("ActualObjectSize"),
            resource_type: field("ResourceType"),
            token: field("Token-0"),
        };
        if text.starts_with('{') {
            let value: Value = serde_json::from_str(text).ok()?;
            let document = read(&|name| json_field(&value, name));
            return document.code.is_some().then_some(document);
        }
        let error = ["Error", "ErrorResponse"].into_iter().find_map(|name| element(text, name))?;
        Some(read(&|name| element(error, name).map(unescape)))
    }
}

/// Returns what follows the first start tag `name` in `text`, up to its end tag or else to the end. The case of letters
/// and a prefix of the tag's name do not matter.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once('<')?;
        if let Some(end) = opaque_end(after) {
            rest = &after[end..];
            continue;
        }
        let (tag, content) = after.split_once('>')?;
        rest = after;
        if tag.ends_with('/') || !is_named(tag, name) {
            continue;
        }
        return Some(match end_of(content, name) {
            Some(end) => &content[..end],
            None => content,
        });
    }
}

/// Returns where a comment or a CDATA section ends, in which there are no tags, if `text`, which follows a `<`, begins with
/// one. One that is cut ends with the text.
fn opaque_end(text: &str) -> Option<usize> {
    [("!--", "-->"), ("![CDATA[", "]]>")].into_iter().find_map(|(start, end)| {
        let inside = text.strip_prefix(start)?;
        Some(inside.find(end).map_or(text.len(), |at| start.len() + at + end.len()))
    })
}

/// Returns the offset of the end tag `name`, outside of comments and CDATA sections.
fn end_of(content: &str, name: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let start = at + content[at..].find('<')?;
        let after = &content[start + 1..];
        if let Some(end) = opaque_end(after) {
            at = start + 1 + end;
            continue;
        }
        if after.strip_prefix('/').is_some_and(|tag| is_named(tag.split('>').next().unwrap_or(tag), name)) {
            return Some(start);
        }
        at = start + 1;
    }
}

/// Returns whether the inside of a tag, such as `ns:Code attribute="x"`, has this name.
fn is_named(tag: &str, name: &str) -> bool {
    let tag = tag.split_ascii_whitespace().next().unwrap_or_default();
    tag.rsplit(':').next().is_some_and(|local| local.eq_ignore_ascii_case(name))
}

/// Replaces entities and CDATA sections by their characters; an unknown entity stays as it is. Text ends at the first
/// tag.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(cdata) = rest.strip_prefix("<![CDATA[") {
            let (inside, after) = cdata.split_once("]]>").unwrap_or((cdata, ""));
            plain.push_str(inside);
            rest = after;
        } else if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
        } else if rest.starts_with('<') {
            return plain.trim().to_owned();
        } else if let Some((c, len)) = entity(rest) {
            plain.push(c);
            rest = &rest[len..];
        } else {
            plain.push('&');
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    plain.trim().to_owned()
}

/// Reads the entity at the start of `text` (XML 1.0, section 4.6): its character, and the entity's length in bytes.
pub(super) fn entity(text: &str) -> Option<(char, usize)> {
    const LEN_MAX: usize = 12;
    let end = text.as_bytes().iter().take(LEN_MAX).position(|byte| *byte == b';')?;
    let name = text.get(1..end)?;
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((c, end + 1))
}

/// Returns a field of a JSON document, at the top or in its object `error`; AWS's JSON services call the code `__type`.
fn json_field(value: &Value, name: &str) -> Option<String> {
    let object = value.as_object()?;
    let field =
        |name: &str| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let found = field(name).or_else(|| (name == "Code").then(|| field("__type"))?);
    match found {
        Some(Value::String(text)) if name == "Code" => Some(bare_code(text).to_owned()),
        Some(Value::String(text)) => Some(text.trim().to_owned()),
        Some(Value::Number(number)) if name != "Code" => Some(number.to_string()),
        _ => field("Error").and_then(|inner| json_field(inner, name)),
    }
}

/// Returns the code in a type of AWS's JSON services: `namespace#Code:address`, of which the code alone must be there (Smithy,
/// "AWS restJson1 protocol", operation error serialization).
pub(super) fn bare_code(kind: &str) -> &str {
    let name = kind.split(':').next().unwrap_or(kind);
    name.rsplit('#').next().unwrap_or(name).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_in_any_document_that_has_one() {
        for (kind, body) in [
            (
                "as S3 writes it",
                "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message>m</Message></Error>",
            ),
            ("unescaped ampersand", "<Error><Message>a&b</Message><Code>SlowDown</Code></Error>"),
            ("ampersand at the end", "<Error><Code>SlowDown</Code><Message>a &</Message></Error>"),
            ("unknown entity", "<Error><Message>&nbsp;</Message><Code>SlowDown</Code></Error>"),
            (
                "repeated elements",
                "<Error><RequestId>1</RequestId><RequestId>2</RequestId><Code>SlowDown</Code></Error>",
            ),
            ("repeated code", "<Error><Code>SlowDown</Code><Code>Other</Code></Error>"),
            (
                "wrapped",
                "<ErrorResponse xmlns=\"u\"><Error><Type>Sender</Type><Code>SlowDown</Code></Error></ErrorResponse>",
            ),
            ("wrapper only", "<ErrorResponse><Code>SlowDown</Code></ErrorResponse>"),
            ("lower case", "<error><code>SlowDown</code></error>"),
            ("prefixed", "<s3:Error><s3:Code>SlowDown</s3:Code></s3:Error>"),
            ("attributes", "<Error a=\"1\"><Code b='2'>SlowDown</Code></Error>"),
            ("spaces", "<Error>\n  <Code>\n SlowDown \t</Code>\n</Error>"),
            ("CDATA", "<Error><Code><![CDATA[SlowDown]]></Code></Error>"),
            (
                "after a comment",
                "<!-- <Error><Code>No</Code></Error> --><Error><Code>SlowDown</Code></Error>",
            ),
            ("beside a comment", "<Error><!-- <Code>No</Code> --><Code>SlowDown</Code></Error>"),
            ("around a comment", "<Error><Code>Slow<!-- </Code> -->Down</Code></Error>"),
            (
                "beside CDATA",
                "<Error><Message><![CDATA[<Code>No</Code>]]></Message><Code>SlowDown</Code></Error>",
            ),
            ("byte order mark", "\u{feff}<Error><Code>SlowDown</Code></Error>"),
            ("cut", "<Error><Code>SlowDown</Code><Message>Please red"),
            ("unclosed", "<Error><Code>SlowDown<Message>m"),
            ("JSON", "{\"Code\": \"SlowDown\", \"Message\": \"m\"}"),
            ("JSON in lower case", "{\"error\": {\"code\": \" SlowDown \"}}"),
            ("JSON of AWS", "{\"__type\": \"SlowDown\"}"),
            ("JSON of AWS with a namespace", "{\"__type\": \"com.amazonaws.s3#SlowDown\"}"),
            ("JSON of AWS with an address", "{\"__type\": \"com.amazonaws.s3#SlowDown:http://x/#y\"}"),
            ("JSON with a number", "{\"code\": 503, \"error\": {\"code\": \"SlowDown\"}}"),
        ] {
            let document = ErrorDocument::read(body.as_bytes());
            assert_eq!(document.and_then(|d| d.code).as_deref(), Some("SlowDown"), "{kind}");
        }
        let latin1 = b"<Error><Message>\xe9</Message><Code>SlowDown</Code></Error>";
        let document = ErrorDocument::read(latin1).unwrap();
        assert_eq!(
            (document.code.as_deref(), document.message.as_deref()),
            (Some("SlowDown"), Some("\u{e9}"))
        );
        let cut = "<Error><Code>SlowDown</Code><Message>\u{e9}\u{e9}".as_bytes();
        let document = ErrorDocument::read(&cut[..cut.len() - 1]).unwrap();
        assert_eq!(document.message.as_deref(), Some("\u{e9}"));
    }

    #[test]
    fn a_body_of_another_kind_is_not_an_error_document() {
        for body in [
            "",
            "<html><body><code>SlowDown</code></body></html>",
            "<!DOCTYPE html><title>Error</title>",
            "Not Found",
            "{\"status\": 404}",
            "{",
            "<Errors><Code>x</Code></Errors>",
            "<html><!-- <Error><Code>x</Code></Error> --></html>",
            "<!-- <Error><Code>x</Code></Error>",
            "\0\u{1}",
        ] {
            assert_eq!(ErrorDocument::read(body.as_bytes()), None, "{body}");
        }
        assert!(ErrorDocument::read(&b"<a>".repeat(10_000)).is_none());
    }

    #[test]
    fn entities_are_read_and_others_stay() {
        for (text, plain) in [
            ("a &lt;b&gt; &amp; &quot;c&quot; &apos;", "a <b> & \"c\" '"),
            ("&#27;[2J&#x1b;", "\u{1b}[2J\u{1b}"),
            ("&nbsp; & &#xd800; &#; &", "&nbsp; & &#xd800; &#; &"),
            ("<![CDATA[a<b&amp;]]> c", "a<b&amp; c"),
        ] {
            assert_eq!(unescape(text), plain);
        }
    }
}
