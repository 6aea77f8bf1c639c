//! A typed text that is no source, as messages repeat it: it may be a presigned URL with a slip in it.

use std::borrow::Cow;

/// Returns `text` for a message: without what follows the first `?`, which may be a signature, and without a user name
/// and password.
pub(crate) fn without_secrets(text: &str) -> Cow<'_, str> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let login = path.rsplit_once('@').filter(|(before, _)| before.contains(':'));
    if query.is_empty() && login.is_none() {
        return text.into();
    }
    let path = match login {
        None => path.into(),
        Some((before, host)) => {
            let scheme = before.find("//").map_or(0, |slashes| slashes + 2);
            format!("{}...@{host}", &before[..scheme])
        }
    };
    if query.is_empty() { path.into() } else { format!("{path}?...").into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn queries_and_logins_are_left_out() {
        for (text, shown) in [
            ("", ""),
            ("bucket/key", "bucket/key"),
            ("htps://h/p?X-Amz-Signature=hunter2", "htps://h/p?..."),
            (" https://h/p?a#hunter2", " https://h/p?..."),
            ("https:/h/p?sig=a?hunter2@", "https:/h/p?..."),
            ("ftp://user:hunter2@h/p", "ftp://...@h/p"),
            ("user:hunter2@h/p?hunter2", "...@h/p?..."),
            ("s3://AKID:hunt@er2@h/b/k", "s3://...@h/b/k"),
            ("b/me@example.com", "b/me@example.com"),
            ("b/log.?", "b/log.?"),
        ] {
            assert_eq!(without_secrets(text), shown, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_loses_its_query(before in "\\PC*", query in "[a-z]{20}") {
            let text = format!("{before}?{query}");
            prop_assert!(!without_secrets(&text).contains(&query));
        }
    }
}
