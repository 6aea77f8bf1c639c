//! What is kept beside `FILE.part`: of which objects its bytes are, so that a later run goes on where it ends.
//!
//! One line of JSON, replaced as a whole. What its length means is decided here, and nothing of it is trusted that does
//! not fit: then a download starts over. It never touches the bytes.
//!
//! The length that counts is that of `FILE.part`, as long as the system is still up that it was written by: what a
//! process has written outlives it. After a crash of the system, or on another machine that shares the folder, only what
//! was known to be on disk then (`synced`) is taken for the object's bytes: some file systems show zeros behind it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::s3::address::source::Source;
use crate::s3::etag::ETag;
use crate::s3::object::ObjectInfo;
use crate::s3::range_spec::RangeSpec;

const FORMAT: u32 = 1;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SidecarState {
    format: u32,
    /// Which run of which system wrote the bytes; `None` where it does not tell.
    boot: Option<String>,
    /// So many bytes are on disk.
    pub(super) synced: u64,
    /// In the order of their bytes; the last one's may be there in part.
    pub(super) objects: Vec<SidecarObject>,
}

/// The bytes of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SidecarObject {
    /// Its [identity](Source::identity), which has no secret.
    uri: String,
    /// The range as it was asked for; all of the object where `None`.
    asked: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) version_id: Option<String>,
    /// Of the whole object, in bytes.
    size: u64,
    /// The bytes wanted, by their offsets in the object.
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Where a download goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResumePoint {
    /// How many bytes of the file stay.
    pub(crate) length: u64,
    /// How many objects are complete.
    pub(crate) complete: usize,
    /// The next one, where bytes of it are there, and how many.
    pub(crate) within: Option<(SidecarObject, u64)>,
}

impl SidecarState {
    pub(super) fn new() -> Self {
        Self { format: FORMAT, boot: boot(), synced: 0, objects: Vec::new() }
    }

    /// The same, as of now: its bytes were checked by [`SidecarState::resume`] and are written on from here.
    pub(super) fn of_this_boot(mut self) -> Self {
        self.boot = boot();
        self
    }

    /// Where a download of `range` of the objects `uris` goes on, `length` bytes being there; `None` where nothing is,
    /// an error says why what is there cannot be used.
    pub(super) fn resume(
        &self,
        length: u64,
        uris: &[Source],
        range: Option<RangeSpec>,
    ) -> Result<Option<ResumePoint>, &'static str> {
        if length == 0 {
            return Ok(None);
        }
        let is_same_boot = self.boot.is_some() && self.boot == boot();
        let length = if is_same_boot { length } else { length.min(self.synced) };
        if length == 0 {
            return Err("the system was restarted since, and nothing of it is certain to be on disk");
        }
        let asked = range.map(|range| range.to_string());
        let mut before = 0;
        for (complete, uri) in uris.iter().enumerate() {
            let Some(piece) = self.objects.get(complete) else {
                let at_end = ResumePoint { length, complete, within: None };
                return if length == before { Ok(Some(at_end)) } else { Err("it has more than it says") };
            };
            if piece.uri != uri.identity() || piece.asked != asked {
                return Err("it is of something else");
            }
            let is_last = complete + 1 == uris.len();
            let (had, len) = (length - before, piece.end.saturating_sub(piece.start));
            if had < len || is_last {
                if had > len {
                    return Err("it is longer than what was asked for");
                }
                if !piece.is_pinned(uri) {
                    return Err("nothing shows whether the object is still the same");
                }
                // Where all are there, the last byte is fetched again: the store confirms that they are still of the
                // object by that name.
                let had = if had == len { had.saturating_sub(1) } else { had };
                let within = (had > 0).then(|| (piece.clone(), had));
                return Ok(Some(ResumePoint { length: before + had, complete, within }));
            }
            before += len;
        }
        Ok(None)
    }

    /// Whether a file of `length` bytes is all of `range` of the objects `uris`: one that was renamed a moment
    /// before the end.
    pub(super) fn is_all(&self, length: u64, uris: &[Source], range: Option<RangeSpec>) -> bool {
        let asked = range.map(|range| range.to_string());
        // Nobody is asked here: a query may name something else.
        let same = |(piece, uri): (&SidecarObject, &Source)| {
            uri.is_known_by_identity() && piece.uri == uri.identity() && piece.asked == asked
        };
        self.objects.len() == uris.len()
            && self.objects.iter().zip(uris).all(same)
            && length == self.objects.iter().map(|piece| piece.end.saturating_sub(piece.start)).sum::<u64>()
    }
}

impl SidecarObject {
    pub(super) fn new(
        uri: &Source,
        asked: Option<RangeSpec>,
        info: &ObjectInfo,
        range: &std::ops::Range<u64>,
    ) -> Self {
        Self {
            uri: uri.identity(),
            asked: asked.map(|range| range.to_string()),
            etag: info.etag.clone(),
            version_id: info.version_id.clone(),
            size: info.size,
            start: range.start,
            end: range.end,
        }
    }

    /// Whether the rest of the object that `info` describes, up to `end`, follows on what is there.
    pub(super) fn is_of(&self, info: &ObjectInfo, end: u64) -> bool {
        self.etag == info.etag && self.size == info.size && self.end == end
    }

    /// A strong `ETag`.
    pub(crate) fn tag(&self) -> Option<ETag> {
        self.etag.as_deref()?.parse().ok()
    }

    /// A version id that no other object can get.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version_id.as_deref().filter(|id| *id != "null")
    }

    /// Whether a later run can ask for no other object; `source` is where it asks.
    fn is_pinned(&self, source: &Source) -> bool {
        self.tag().is_some() || (source.url().is_none() && self.version().is_some())
    }
}

/// Where the state of `part` is kept.
pub(super) fn path(part: &Path) -> PathBuf {
    let mut name = part.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

/// What is kept at `path`; `None` where there is nothing that can be read.
pub(super) fn load(path: &Path) -> Option<SidecarState> {
    let state: SidecarState = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (state.format == FORMAT).then_some(state)
}

/// Replaces what is kept at `path`; with `sync` it is on disk then.
pub(super) fn save(path: &Path, state: &SidecarState, sync: bool) -> io::Result<()> {
    let new = path.with_extension("json~");
    let mut file = File::create(&new)?;
    let mut line = serde_json::to_vec(state)?;
    line.push(b'\n');
    file.write_all(&line)?;
    if sync {
        file.sync_data()?;
    }
    fs::rename(&new, path)
}

/// Removes what is kept at `path`.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    // A run that was killed may have left it.
    let _ = fs::remove_file(path.with_extension("json~"));
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// A name of this run of this system: Linux has one for each.
fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uris(keys: &[&str]) -> Vec<Source> {
        keys.iter().map(|key| format!("s3://b/{key}").parse().unwrap()).collect()
    }

    fn info(size: u64, etag: &str) -> ObjectInfo {
        ObjectInfo { size, etag: Some(etag.to_owned()), ..ObjectInfo::default() }
    }

    fn state(pieces: &[(&str, u64)]) -> SidecarState {
        let mut state = SidecarState::new();
        for (key, size) in pieces {
            let piece = SidecarObject::new(&uris(&[key])[0], None, &info(*size, "\"e\""), &(0..*size));
            state.objects.push(piece);
        }
        state
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn where_it_goes_on() {
        for (pieces, asked, length, want) in [
            (&[("a", 100)][..], &["a"][..], 0, Ok(None)),
            (&[("a", 100)], &["a"], 7, Ok(Some((7, 0, 7)))),
            (&[("a", 100)], &["a"], 100, Ok(Some((99, 0, 99)))),
            (&[("a", 1)], &["a"], 1, Ok(Some((0, 0, 0)))),
            (&[("a", 100)], &["a"], 101, Err("longer")),
            (&[("a", 100)], &["b"], 7, Err("something else")),
            (&[], &["a"], 7, Err("more than it says")),
            (&[("a", 10), ("b", 20)], &["a", "b"], 7, Ok(Some((7, 0, 7)))),
            (&[("a", 10)], &["a", "b"], 10, Ok(Some((10, 1, 0)))),
            (&[("a", 10), ("b", 20)], &["a", "b"], 10, Ok(Some((10, 1, 0)))),
            (&[("a", 10), ("b", 20)], &["a", "b"], 15, Ok(Some((15, 1, 5)))),
            (&[("a", 10), ("b", 20)], &["a", "b"], 30, Ok(Some((29, 1, 19)))),
            (&[("a", 10), ("b", 20)], &["a", "b"], 31, Err("longer")),
            (&[("a", 10), ("b", 20)], &["a", "c"], 15, Err("something else")),
            (&[("a", 10), ("b", 20)], &["a"], 15, Err("longer")),
            (&[("a", 10), ("b", 0), ("c", 5)], &["a", "b", "c"], 12, Ok(Some((12, 2, 2)))),
            (&[("a", 10)], &["a", "b"], 12, Err("more than it says")),
        ] {
            let found = state(pieces).resume(length, &uris(asked), None);
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
        state.boot = Some("another".to_owned());
        assert!(state.resume(50, &uris(&["a"]), None).unwrap_err().contains("restarted"));
        state.synced = 40;
        for (length, want) in [(50, 40), (30, 30)] {
            assert_eq!(state.resume(length, &uris(&["a"]), None).unwrap().unwrap().length, want);
        }
    }

    #[test]
    fn another_range_or_an_object_that_nothing_pins_is_not_gone_on_with() {
        let mut state = state(&[("a", 100)]);
        let range = Some("5-".parse().unwrap());
        assert!(state.resume(7, &uris(&["a"]), range).unwrap_err().contains("something else"));
        for (etag, version, is_pinned) in
            [("W/\"e\"", None, false), ("W/\"e\"", Some("null"), false), ("W/\"e\"", Some("v1"), true)]
        {
            state.objects[0].etag = Some(etag.to_owned());
            state.objects[0].version_id = version.map(str::to_owned);
            state.synced = 100;
            assert_eq!(state.resume(7, &uris(&["a"]), None).is_ok(), is_pinned, "{etag} {version:?}");
        }
    }

    #[test]
    fn a_url_that_is_presigned_again_is_the_same_and_only_an_etag_pins_it() {
        let url = |text: &str| vec![text.parse::<Source>().unwrap()];
        let (old, new) = (url("https://h/a%20b?sig=hunter2old"), url("https://h/a%20b?sig=hunter2new"));
        let mut state = SidecarState::new();
        state.objects.push(SidecarObject::new(&old[0], None, &info(100, "\"e\""), &(0..100)));
        state.synced = 100;
        assert!(!serde_json::to_string(&state).unwrap().contains("hunter2"));
        assert_eq!(state.resume(7, &new, None).unwrap().unwrap().length, 7);
        for other in ["https://h/a%20c?sig=hunter2old", "http://h/a%20b", "https://h:1/a%20b", "s3://h/a b"] {
            assert!(state.resume(7, &url(other), None).unwrap_err().contains("something else"), "{other}");
        }
        // A query may name another object: without a word of the server's a file is not known to be it.
        assert!(!state.is_all(100, &old, None) && state.is_all(100, &url("https://h/a%20b"), None));
        // A version cannot be asked for by a URL.
        state.objects[0].etag = None;
        state.objects[0].version_id = Some("v1".to_owned());
        assert!(state.resume(7, &new, None).unwrap_err().contains("nothing shows"));
    }

    #[test]
    fn a_file_is_all_only_with_every_byte_of_every_object() {
        let state = state(&[("a", 10), ("b", 20)]);
        for (length, asked, want) in [
            (30, &["a", "b"][..], true),
            (29, &["a", "b"], false),
            (10, &["a"], false),
            (30, &["a", "c"], false),
        ] {
            assert_eq!(state.is_all(length, &uris(asked), None), want, "{length} {asked:?}");
        }
    }

    #[test]
    fn what_is_kept_comes_back_and_damage_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder.path().join("x.part"));
        assert_eq!(path.file_name().unwrap(), "x.part.json");
        let state = state(&[("a \"é\"\n", 10)]);
        for sync in [false, true] {
            save(&path, &state, sync).unwrap();
            assert_eq!(load(&path), Some(state.clone()));
        }
        for damage in ["", "{", "{}", "[1]", &"\0".repeat(100)] {
            fs::write(&path, damage).unwrap();
            assert_eq!(load(&path), None, "{damage:?}");
        }
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
