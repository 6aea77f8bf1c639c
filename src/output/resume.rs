//! The point where a download continues, by the sidecar and the length of `FILE.part`.
//!
//! Nothing of a sidecar is trusted that does not fit: then a download starts over. The length that counts is that of
//! the part file, as long as the system that wrote it is still up: what a process has written outlives it. After a
//! crash of the system, or on another machine that shares the folder, only what was known to be on disk then (`synced`)
//! counts: some file systems show zeros after it. Bytes that somebody else has appended are not the object's: a run that
//! comes to its end notes the file as it is then (`stopped`), and after one that was killed the last bytes are compared
//! with the object.

use crate::output::run_files::RunFiles;
#[cfg(any(test, fuzzing))]
use crate::output::sidecar::boot;
use crate::output::sidecar::{SidecarObject, SidecarState};
use crate::s3::address::source::Source;
use crate::s3::etag::ETag;
use crate::s3::object::ObjectInfo;
use crate::s3::range_spec::RangeSpec;

/// The bytes to download, and their origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DownloadRequest<'a> {
    pub(crate) sources: &'a [Source],
    /// The range of each that the user named.
    pub(crate) asked: Option<RangeSpec>,
    /// Identity of the store that is asked for S3 objects. A URL has its own in it.
    pub(crate) endpoint: &'a str,
    /// The files of the run that are finished, if it has several.
    pub(crate) run_files: Option<&'a RunFiles>,
}

/// The point where a download continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResumePoint {
    /// Number of bytes of the file that stay.
    pub(crate) length: u64,
    /// Number of objects that are complete.
    pub(crate) complete: usize,
    /// The next object, if bytes of it are there, and how many.
    pub(crate) within: Option<(SidecarObject, u64)>,
    /// Set if nobody has written to the file since a run noted it at its end.
    pub(crate) is_untouched: bool,
}

impl SidecarState {
    /// Returns where the download of `request` continues when the part file has `length` bytes; `None` at the
    /// beginning. An error says why the bytes cannot be used.
    pub(super) fn resume(
        &self,
        length: u64,
        request: DownloadRequest<'_>,
    ) -> Result<Option<ResumePoint>, &'static str> {
        if length == 0 {
            return Ok(None);
        }
        let length = if self.is_of_this_boot() { length } else { length.min(self.synced) };
        if length == 0 && self.boot.is_none() {
            return Err("none of its bytes are certain to be on disk");
        }
        if length == 0 {
            return Err("the system has restarted since, and none of its bytes are certain to be on disk");
        }
        let mut before = 0;
        for (complete, source) in request.sources.iter().enumerate() {
            let Some(piece) = self.objects.get(complete) else {
                let at_end = ResumePoint { length, complete, within: None, is_untouched: false };
                return if length == before {
                    Ok(Some(at_end))
                } else {
                    Err("it is longer than the note beside it says")
                };
            };
            self.check(piece, source, request)?;
            if piece.at.is_some_and(|at| at != before) {
                return Err("the note beside it contradicts itself");
            }
            // An object is proven to be whole before the next one begins, and not by its length: the run may have ended
            // because the proof failed.
            let is_last = complete + 1 == request.sources.len() || complete + 1 == self.objects.len();
            let (written, len) = (length - before, piece.len());
            if written < len || is_last {
                if written > len {
                    return Err("it is longer than what was requested");
                }
                if !piece.is_pinned(source) {
                    return Err("nothing shows whether the object is still the same");
                }
                // If all bytes are there, the last one is fetched again: the store confirms that they are still of the
                // object by that name.
                let written = if written == len { written.saturating_sub(1) } else { written };
                let within = (written > 0).then(|| (piece.clone(), written));
                let length = before + written;
                return Ok(Some(ResumePoint { length, complete, within, is_untouched: false }));
            }
            before += len;
        }
        Ok(None)
    }

    fn check(
        &self,
        piece: &SidecarObject,
        source: &Source,
        request: DownloadRequest<'_>,
    ) -> Result<(), &'static str> {
        if piece.size == ObjectInfo::SIZE_UNKNOWN {
            return Err("the size of the object was not known");
        }
        if piece.uri != source.identity() || piece.asked != request.asked.map(|range| range.to_string()) {
            return Err("it belongs to another object or range");
        }
        if source.url().is_none() {
            match &self.endpoint {
                None => return Err("an older s3fcp made it, which did not record the endpoint"),
                Some(endpoint) if endpoint != request.endpoint => {
                    return Err("it was downloaded from another endpoint");
                }
                Some(_) => {}
            }
        }
        if piece.fits(request.asked) { Ok(()) } else { Err("the note beside it contradicts itself") }
    }

    /// Returns whether the sidecar names exactly the objects of `request`, each with all of its bytes.
    pub(super) fn is_all_of(&self, request: DownloadRequest<'_>) -> bool {
        self.objects.len() == request.sources.len()
            && self
                .objects
                .iter()
                .zip(request.sources)
                .all(|(piece, source)| self.check(piece, source, request).is_ok())
    }
}

impl SidecarObject {
    /// Returns whether the noted bytes are those that `asked` selects of an object of the noted size.
    fn fits(&self, asked: Option<RangeSpec>) -> bool {
        let (start, end) = match asked {
            None => (0, self.size),
            Some(asked) => {
                let range = asked.of(self.size);
                (range.start(), range.end())
            }
        };
        (self.start, self.end) == (start, end)
    }

    /// Returns whether the rest of the object that `info` describes, up to `end`, continues these bytes.
    pub(super) fn is_of(&self, info: &ObjectInfo, end: u64) -> bool {
        self.etag == info.etag && self.size == info.size && self.end == end
    }

    /// Returns whether `info` describes the very version of the object that the bytes came from.
    pub(crate) fn is_version(&self, info: &ObjectInfo) -> bool {
        self.tag().is_some() && self.etag == info.etag && self.size == info.size
    }

    /// Returns the `ETag`, if it is strong and not blank: a blank one is the same for all versions.
    pub(crate) fn tag(&self) -> Option<ETag> {
        ETag::of_header(self.etag.as_deref()?)
    }

    /// Returns the version id, if no other object can get the same.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version_id.as_deref().filter(|id| *id != "null")
    }

    /// Returns whether a later run can insist on this version at `source`. A version id cannot be asked for by a URL.
    fn is_pinned(&self, source: &Source) -> bool {
        self.tag().is_some() || (source.url().is_none() && self.version().is_some())
    }
}

/// The size of an object, and the bytes of it that a sidecar notes.
#[cfg(any(test, fuzzing))]
pub(crate) type NotedBytes = (u64, std::ops::Range<u64>);

/// Returns where the download of `request` continues by a sidecar of these bytes and a part file of `length` bytes, and
/// which bytes of which objects the file is said to hold.
#[cfg(any(test, fuzzing))]
pub(crate) fn resume_by(
    sidecar: &[u8],
    length: u64,
    request: DownloadRequest<'_>,
) -> Option<(ResumePoint, Vec<NotedBytes>)> {
    let mut state: SidecarState = serde_json::from_slice(sidecar).ok()?;
    state.boot = boot();
    let resume = state.resume(length, request).ok()??;
    Some((resume, state.objects.iter().map(|piece| (piece.size, piece.start..piece.end)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "http://h:9000";

    fn sources(keys: &[&str]) -> Vec<Source> {
        keys.iter().map(|key| format!("s3://b/{key}").parse().unwrap()).collect()
    }

    fn info(size: u64, etag: &str) -> ObjectInfo {
        ObjectInfo { size, etag: Some(etag.to_owned()), ..ObjectInfo::default() }
    }

    fn request(sources: &[Source]) -> DownloadRequest<'_> {
        DownloadRequest { sources, asked: None, endpoint: ENDPOINT, run_files: None }
    }

    fn state(pieces: &[(&str, u64)]) -> SidecarState {
        let mut state = SidecarState::new(ENDPOINT);
        for (key, size) in pieces {
            let piece = SidecarObject::new(&sources(&[key])[0], None, &info(*size, "\"e\""), &(0..*size));
            state.objects.push(piece);
        }
        state.synced = 1 << 40;
        state
    }

    #[test]
    fn a_download_continues_after_the_bytes_that_are_there() {
        for (pieces, asked, length, want) in [
            (&[("a", 100)][..], &["a"][..], 0, Ok(None)),
            (&[("a", 100)], &["a"], 7, Ok(Some((7, 0, 7)))),
            (&[("a", 100)], &["a"], 100, Ok(Some((99, 0, 99)))),
            (&[("a", 1)], &["a"], 1, Ok(Some((0, 0, 0)))),
            (&[("a", 100)], &["a"], 101, Err("longer")),
            (&[("a", 100)], &["b"], 7, Err("another object")),
            (&[], &["a"], 7, Err("than the note beside it says")),
            (&[("a", 10), ("b", 20)], &["a", "b"], 7, Ok(Some((7, 0, 7)))),
            // The run may have ended because the first one was not whole, or not proven to be.
            (&[("a", 10)], &["a", "b"], 10, Ok(Some((9, 0, 9)))),
            (&[("a", 10), ("b", 20)], &["a", "b"], 10, Ok(Some((10, 1, 0)))),
            (&[("a", 10), ("b", 20)], &["a", "b"], 15, Ok(Some((15, 1, 5)))),
            (&[("a", 10), ("b", 20)], &["a", "b"], 30, Ok(Some((29, 1, 19)))),
            (&[("a", 10), ("b", 20)], &["a", "b"], 31, Err("longer")),
            (&[("a", 10), ("b", 20)], &["a", "c"], 15, Err("another object")),
            (&[("a", 10), ("b", 20)], &["a"], 15, Err("longer")),
            (&[("a", 10), ("b", 0), ("c", 5)], &["a", "b", "c"], 12, Ok(Some((12, 2, 2)))),
            (&[("a", 10)], &["a", "b"], 12, Err("longer")),
        ] {
            let found = state(pieces).resume(length, request(&sources(asked)));
            let found = found.map(|r| r.map(|r| (r.length, r.complete, r.within.map_or(0, |w| w.1))));
            match (&found, want) {
                (Err(why), Err(part)) => assert!(why.contains(part), "{asked:?} {length}: {why}"),
                (found, want) => assert_eq!(*found, want, "{asked:?} {length}"),
            }
        }
    }

    #[test]
    fn after_a_restart_only_what_is_on_disk_counts() {
        let mut state = state(&[("a", 100)]);
        (state.boot, state.synced) = (Some("another".to_owned()), 0);
        assert!(state.resume(50, request(&sources(&["a"]))).unwrap_err().contains("restarted"));
        state.synced = 40;
        for (length, want) in [(50, 40), (30, 30)] {
            let found = state.resume(length, request(&sources(&["a"])));
            assert_eq!(found.unwrap().unwrap().length, want);
        }
        // So it is where a sync has failed.
        (state.boot, state.synced) = (boot(), 40);
        state.distrust();
        assert_eq!(state.resume(50, request(&sources(&["a"]))).unwrap().unwrap().length, 40);
        state.synced = 0;
        assert!(state.resume(50, request(&sources(&["a"]))).unwrap_err().contains("certain to be on disk"));
    }

    #[test]
    fn a_part_of_another_range_or_without_a_pinned_version_is_not_resumed() {
        let mut state = state(&[("a", 100)]);
        let asked = Some("5-".parse().unwrap());
        let sources = sources(&["a"]);
        let of_range = DownloadRequest { asked, ..request(&sources) };
        assert!(state.resume(7, of_range).unwrap_err().contains("another object"));
        for (etag, version, is_pinned) in
            [("W/\"e\"", None, false), ("W/\"e\"", Some("null"), false), ("W/\"e\"", Some("v1"), true)]
        {
            state.objects[0].etag = Some(etag.to_owned());
            state.objects[0].version_id = version.map(str::to_owned);
            assert_eq!(state.resume(7, request(&sources)).is_ok(), is_pinned, "{etag} {version:?}");
        }
    }

    /// Each number is noted so that the others prove it.
    #[test]
    fn a_sidecar_that_contradicts_itself_is_not_used() {
        let sources = sources(&["a"]);
        for (asked, start, end) in [
            (None, 0, 100),
            (Some("10-19"), 10, 20),
            (Some("90-200"), 90, 100),
            (Some("40-"), 40, 100),
            (Some("-30"), 70, 100),
        ] {
            let asked: Option<RangeSpec> = asked.map(|asked| asked.parse().unwrap());
            let request = DownloadRequest { asked, ..request(&sources) };
            let mut right = state(&[]);
            right.objects.push(SidecarObject::new(&sources[0], asked, &info(100, "\"e\""), &(start..end)));
            assert!(right.resume(7, request).is_ok() && right.is_all_of(request), "{asked:?}");
            let damages: [fn(&mut SidecarObject); 5] = [
                |piece| piece.start += 1,
                |piece| piece.start = piece.start.wrapping_sub(1),
                |piece| piece.end += 1,
                |piece| piece.end -= 1,
                |piece| piece.end = piece.start,
            ];
            for (number, damage) in damages.iter().enumerate() {
                let mut state = right.clone();
                damage(&mut state.objects[0]);
                let why = state.resume(7, request).unwrap_err();
                assert!(why.contains("contradicts itself"), "{asked:?} {number}: {why}");
                assert!(!state.is_all_of(request));
            }
        }
    }

    #[test]
    fn a_part_of_another_endpoint_is_not_resumed() {
        let sources = sources(&["a"]);
        let mut state = state(&[("a", 100)]);
        let elsewhere = DownloadRequest { endpoint: "http://h:9001", ..request(&sources) };
        assert!(state.resume(7, elsewhere).unwrap_err().contains("another endpoint"));
        state.endpoint = None;
        assert!(state.resume(7, request(&sources)).unwrap_err().contains("older"));
    }

    #[test]
    fn a_url_that_is_presigned_again_is_resumed_and_only_an_etag_pins_it() {
        let url = |text: &str| vec![text.parse::<Source>().unwrap()];
        let (old, new) = (url("https://h/a%20b?sig=hunter2old"), url("https://h/a%20b?sig=hunter2new"));
        let mut state = state(&[]);
        state.objects.push(SidecarObject::new(&old[0], None, &info(100, "\"e\""), &(0..100)));
        assert!(!serde_json::to_string(&state).unwrap().contains("hunter2"));
        assert_eq!(state.resume(7, request(&new)).unwrap().unwrap().length, 7);
        for other in ["https://h/a%20c?sig=hunter2old", "http://h/a%20b", "https://h:1/a%20b", "s3://h/a b"] {
            let found = state.resume(7, request(&url(other)));
            assert!(found.unwrap_err().contains("another object"), "{other}");
        }
        state.objects[0].etag = None;
        state.objects[0].version_id = Some("v1".to_owned());
        assert!(state.resume(7, request(&new)).unwrap_err().contains("nothing shows"));
    }
}
