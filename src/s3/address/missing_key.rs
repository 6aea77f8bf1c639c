//! What was probably meant by a key that does not exist. Keys are taken literally, so that each of these may exist,
//! too.
//!
//! Pure.

/// Returns a hint if `key` looks as if something else was meant.
pub(super) fn hint(key: &str) -> Option<String> {
    if let Some((_, version)) = key.split_once("?versionId=") {
        return Some(format!("a key is taken as it is typed: name a version by --version-id {version}"));
    }
    if key.contains(['*', '?', '[', '{']) {
        return Some(
            "* is an ordinary character, not a pattern: for many objects list their keys and pass them by --from".to_owned(),
        );
    }
    if key.ends_with('/') {
        return Some("it looks like a prefix: `aws s3 ls` lists the keys below it".to_owned());
    }
    if key.starts_with('/') {
        return Some("the key begins with a slash: leave it out if the object's key does not".to_owned());
    }
    if key != key.trim() {
        return Some("the key begins or ends with a space: is it meant to?".to_owned());
    }
    if key.split('%').skip(1).any(is_escape) || key.contains('+') {
        return Some(
            "a key is not percent-decoded: write it as it is stored, such as 'a b' for a%20b".to_owned(),
        );
    }
    None
}

fn is_escape(after_percent: &str) -> bool {
    let mut digits = after_percent.chars().take(2).filter(char::is_ascii_hexdigit);
    digits.next().is_some() && digits.next().is_some()
}

#[cfg(test)]
mod tests {
    use crate::error::{Error, ErrorKind, ServiceError};
    use crate::s3::address::s3_uri::S3Uri;

    #[test]
    fn a_key_that_is_missing_is_answered_by_what_was_probably_meant() {
        let not_found = || Error::new(ErrorKind::NotFound, "no such object");
        let code = |code: &str| ServiceError { code: Some(code.to_owned()), ..ServiceError::default() };
        for (uri, says) in [
            ("s3://b/k?versionId=abc", Some("--version-id abc")),
            ("s3://b/dir/", Some("a prefix")),
            ("s3://b/*.gz", Some("not a pattern")),
            ("s3://b/part-[0-9]", Some("not a pattern")),
            ("s3://b/{a,b}", Some("not a pattern")),
            ("s3://b//k", Some("begins with a slash")),
            ("s3://b/a%20b", Some("not percent-decoded")),
            ("s3://b/a+b", Some("not percent-decoded")),
            ("s3://b/k ", Some("ends with a space")),
            ("s3://b/100%", None),
            ("s3://b/5%ok", None),
            ("s3://b/k", None),
        ] {
            let uri: S3Uri = uri.parse().expect("a URI");
            for error in [not_found(), not_found().with_service(code("NoSuchKey"))] {
                let hinted = uri.explain(error);
                assert_eq!(hinted.hint().is_some(), says.is_some(), "{hinted}");
                assert!(hinted.hint().unwrap_or_default().contains(says.unwrap_or_default()), "{hinted}");
            }
            // Another failure says nothing about the key.
            let denied = uri.explain(Error::new(ErrorKind::Access, "access denied"));
            assert_eq!(denied.hint(), None, "{denied}");
            let bucket = uri.explain(not_found().with_service(code("NoSuchBucket")));
            assert_eq!(bucket.hint(), None, "{bucket}");
        }
    }
}
