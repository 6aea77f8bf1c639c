//! The version of the object that a download is pinned to, and the check of every later response
//! against it.

use crate::error::{Error, ErrorKind, Result};
use crate::s3::object::ObjectInfo;

/// What the first response to a GET showed.
#[derive(Debug, Clone)]
pub(crate) struct PinnedVersion {
    size: u64,
    etag: Option<String>,
    last_modified: Option<String>,
    version_id: Option<String>,
}

impl PinnedVersion {
    /// Pins to the object that `info`, from a GET, describes.
    pub(crate) fn new(info: &ObjectInfo) -> Self {
        Self {
            size: info.size,
            etag: info.etag.clone(),
            last_modified: info.last_modified.clone(),
            version_id: info.version_id.clone(),
        }
    }

    /// In bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The version's id, where the store showed one.
    pub(crate) fn version_id(&self) -> Option<&str> {
        self.version_id.as_deref()
    }

    /// What `If-Match` asks for. It compares strongly (RFC 9110, section 13.1.1): a weak `ETag` would
    /// never match, so it is compared here only.
    pub(crate) fn if_match(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/"))
    }

    /// Whether another response shows the same version. Not every server honours `If-Match`, and a
    /// store without `ETag` leaves only size and date to go by.
    pub(crate) fn check(&self, info: &ObjectInfo) -> Result<()> {
        let changed = |what: &str, was: &str, is: &str| {
            let what = format!("the object changed during the download: its {what} was {was} and is {is}");
            Err(Error::new(ErrorKind::Changed, what))
        };
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not told".to_owned());
        if self.etag != info.etag {
            return changed("ETag", &shown(&self.etag), &shown(&info.etag));
        }
        if self.size != info.size {
            return changed("size", &self.size.to_string(), &info.size.to_string());
        }
        if self.if_match().is_none() && self.last_modified != info.last_modified {
            return changed("date", &shown(&self.last_modified), &shown(&info.last_modified));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(etag: Option<&str>, size: u64, date: &str) -> ObjectInfo {
        ObjectInfo {
            size,
            etag: etag.map(str::to_owned),
            last_modified: Some(date.to_owned()),
            ..ObjectInfo::default()
        }
    }

    #[test]
    fn another_version_is_seen_by_etag_size_or_date() {
        let pin = PinnedVersion::new(&info(Some("\"a\""), 5, "Mon"));
        assert_eq!(pin.if_match(), Some("\"a\""));
        assert!(pin.check(&info(Some("\"a\""), 5, "Tue")).is_ok(), "a strong ETag says enough");
        for other in [info(Some("\"b\""), 5, "Mon"), info(None, 5, "Mon"), info(Some("\"a\""), 6, "Mon")] {
            assert_eq!(pin.check(&other).unwrap_err().kind(), ErrorKind::Changed);
        }
        let none = PinnedVersion::new(&info(None, 5, "Mon"));
        assert!(none.check(&info(None, 5, "Mon")).is_ok());
        assert!(none.check(&info(None, 5, "Tue")).is_err());
    }

    #[test]
    fn a_weak_etag_is_compared_but_not_asked_for() {
        let pin = PinnedVersion::new(&info(Some("W/\"a\""), 5, "Mon"));
        assert_eq!(pin.if_match(), None);
        assert!(pin.check(&info(Some("W/\"a\""), 5, "Mon")).is_ok());
        assert!(pin.check(&info(Some("W/\"b\""), 5, "Mon")).is_err());
    }
}
