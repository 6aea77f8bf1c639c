//! FILE.part: begun, continued, given up and renamed.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

const ENDPOINT: &str = "http://h:9000";
const OBJECT: &[u8] = b"0123456789";

/// A folder, and the names in it.
struct Workplace(TempDir);

impl Workplace {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn open(&self, replace: bool) -> Result<PartFile> {
        PartFile::open(OutputPath::of(&self.path("f"), &sources())?, replace, ENDPOINT)
    }

    /// Moves another file over the part file.
    fn replace_part(&self, bytes: &[u8]) {
        fs::write(self.path("mine"), bytes).unwrap();
        fs::rename(self.path("mine"), self.path("f.part")).unwrap();
    }

    /// Begins, writes the first `bytes`, and ends as a process does that is killed.
    fn leave(&self, bytes: usize) {
        let mut part = self.open(true).unwrap();
        part.start_over().unwrap();
        begin(&mut part, "\"a\"").unwrap();
        write(&mut part, &OBJECT[..bytes]);
    }
}

fn sources() -> Vec<Source> {
    vec!["s3://b/k".parse().unwrap()]
}

fn info(etag: &str) -> ObjectInfo {
    ObjectInfo { size: OBJECT.len() as u64, etag: Some(etag.to_owned()), ..ObjectInfo::default() }
}

fn begin(part: &mut PartFile, etag: &str) -> Result<()> {
    let (source, info) = (&sources()[0], info(etag));
    part.begin(&ObjectFacts { source, asked: None, info: &info, range: 0..info.size })
}

fn write(part: &mut PartFile, bytes: &[u8]) {
    part.announce(bytes).unwrap();
    part.file().unwrap().write_all(bytes).unwrap();
}

fn left(part: &PartFile) -> ExistingPart {
    part.left(DownloadRequest { sources: &sources(), asked: None, endpoint: ENDPOINT, run_files: None })
        .unwrap()
}

#[test]
fn nothing_is_made_before_the_first_response_and_the_sidecar_comes_first() {
    let place = Workplace::new();
    let mut part = place.open(false).unwrap();
    assert!(place.names().is_empty() && part.is_empty() && part.file().is_err());
    assert!(matches!(left(&part), ExistingPart::Nothing));
    part.start_over().unwrap();
    assert_eq!(place.names(), ["f.part", "f.part.json"]);
    begin(&mut part, "\"a\"").unwrap();
    write(&mut part, OBJECT);
    part.finish(None).unwrap();
    assert_eq!(place.names(), ["f"]);
    assert_eq!(fs::read(place.path("f")).unwrap(), OBJECT);
}

#[test]
fn what_a_killed_run_left_is_continued_if_it_is_of_the_same_version() {
    for (bytes, kept) in [(1, 1), (5, 5), (9, 9), (10, 9)] {
        let place = Workplace::new();
        place.leave(bytes);
        let mut part = place.open(false).unwrap();
        let ExistingPart::Some(resume) = left(&part) else { panic!("{bytes}: nothing is continued") };
        assert_eq!((resume.length, resume.complete), (kept, 0), "the last byte is always fetched");
        part.resume(&resume).unwrap();
        assert_eq!(place.names(), ["f.part", "f.part.json"]);
        assert_eq!(begin(&mut part, "\"b\"").unwrap_err().kind(), ErrorKind::Changed, "another version");
        drop(part);

        let mut part = place.open(false).unwrap();
        part.resume(&resume).unwrap();
        begin(&mut part, "\"a\"").unwrap();
        write(&mut part, &OBJECT[usize::try_from(kept).unwrap()..]);
        part.finish(None).unwrap();
        assert_eq!(
            (fs::read(place.path("f")).unwrap(), place.names()),
            (OBJECT.to_vec(), vec!["f".to_owned()])
        );
    }
}

#[tokio::test]
async fn bytes_that_are_kept_are_read_back() {
    let place = Workplace::new();
    place.leave(OBJECT.len());
    let part = place.open(false).unwrap();
    let read = async |start, count| {
        let (mut reader, mut bytes) = (part.read_back(start, count)?, Vec::new());
        while let Some(block) = reader.next().await? {
            bytes.extend_from_slice(block);
        }
        Ok::<_, Error>(bytes)
    };
    for (start, count) in [(0, 10), (3, 4), (9, 1), (5, 0)] {
        let bytes = read(start, count).await.unwrap();
        let (start, count) = (usize::try_from(start).unwrap(), usize::try_from(count).unwrap());
        assert_eq!(bytes, OBJECT[start..start + count]);
    }
    let error = read(5, 6).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Output, "it is shorter");
}

#[test]
fn giving_up_leaves_bytes_that_are_right_and_nothing_else() {
    for (bytes, is_wrong, names) in
        [(0, false, &[][..]), (0, true, &[]), (5, true, &[]), (5, false, &["f.part", "f.part.json"])]
    {
        let place = Workplace::new();
        let mut part = place.open(false).unwrap();
        part.start_over().unwrap();
        begin(&mut part, "\"a\"").unwrap();
        write(&mut part, &OBJECT[..bytes]);
        assert_eq!(part.abandon(is_wrong), names.is_empty(), "{bytes} {is_wrong}");
        assert_eq!(place.names(), names, "{bytes} {is_wrong}");
    }
    let place = Workplace::new();
    place.open(false).unwrap().abandon(false);
    assert!(place.names().is_empty(), "before it began");
}

#[test]
fn an_empty_part_without_a_sidecar_is_somebody_elses_until_this_run_begins() {
    let place = Workplace::new();
    fs::write(place.path("f.part"), b"").unwrap();
    assert!(place.open(false).unwrap().abandon(true), "nothing of this run is left");
    assert_eq!(place.names(), ["f.part"], "it stays");

    let mut part = place.open(false).unwrap();
    fs::write(place.path("f.part.json"), b"mine").unwrap();
    let error = part.start_over().unwrap_err();
    assert!(error.to_string().contains("another process is writing"), "{error}");
    part.abandon(true);
    assert_eq!(fs::read(place.path("f.part.json")).unwrap(), b"mine", "it came meanwhile, and stays");
    assert_eq!(place.names(), ["f.part", "f.part.json"]);

    fs::remove_file(place.path("f.part.json")).unwrap();
    let mut part = place.open(false).unwrap();
    part.start_over().unwrap();
    assert_eq!(place.names(), ["f.part", "f.part.json"]);
    part.abandon(false);
    assert!(place.names().is_empty(), "now it is this run's");
}

#[test]
fn starting_over_throws_away_the_bytes_of_an_earlier_run() {
    let place = Workplace::new();
    place.leave(7);
    let mut part = place.open(false).unwrap();
    part.start_over().unwrap();
    assert_eq!(fs::read(place.path("f.part")).unwrap(), b"");
    begin(&mut part, "\"b\"").unwrap();
    write(&mut part, b"abcdefghij");
    part.finish(None).unwrap();
    assert_eq!(
        (place.names(), fs::read(place.path("f")).unwrap()),
        (vec!["f".to_owned()], b"abcdefghij".to_vec())
    );
}

#[test]
fn what_stands_in_the_way_is_an_error_and_stays() {
    type Prepare = fn(&Workplace);
    let table: [(&str, Prepare, &str); 6] = [
        ("FILE", |place| fs::write(place.path("f"), b"mine").unwrap(), "exists"),
        (
            "a part without a sidecar",
            |place| fs::write(place.path("f.part"), b"mine").unwrap(),
            "not made by s3fcp",
        ),
        ("a folder", |place| fs::create_dir(place.path("f.part")).unwrap(), "directory"),
        (
            "a link",
            |place| std::os::unix::fs::symlink(place.path("mine"), place.path("f.part")).unwrap(),
            "symbolic link",
        ),
        (
            "a file with two names",
            |place| {
                fs::write(place.path("mine"), b"mine").unwrap();
                fs::hard_link(place.path("mine"), place.path("f.part")).unwrap();
            },
            "more than one link",
        ),
        (
            "a sidecar of something else",
            |place| fs::write(place.path("f.part.json"), b"mine").unwrap(),
            "not a sidecar",
        ),
    ];
    for (case, prepare, message) in table {
        let place = Workplace::new();
        prepare(&place);
        let before = place.names();
        let error = place.open(false).unwrap_err();
        let text = format!("{error:#} {error:?}");
        assert!(text.contains(message), "{case}: {text}");
        assert_eq!(place.names(), before, "{case}");
        if place.path("mine").exists() {
            assert_eq!(fs::read(place.path("mine")).unwrap(), b"mine", "{case}");
        }
    }
}

/// Each is put in the place of the part file that a killed run left, or left with the sidecar alone. The bytes that are a
/// beginning of the object may be continued where the file is another one, and not discarded.
#[test]
fn a_file_of_somebody_else_in_the_place_of_the_part_file_stays() {
    type Replace = fn(&Workplace);
    const REFUSED: &str = "was not made by s3fcp";
    let table: [(&str, Replace, Option<&str>, Option<&str>); 8] = [
        ("nothing", |_| {}, None, None),
        ("moved over it", |place| place.replace_part(b"mine"), Some(REFUSED), Some(REFUSED)),
        (
            "written into it",
            |place| fs::write(place.path("f.part"), b"mine").unwrap(),
            Some(REFUSED),
            Some(REFUSED),
        ),
        (
            "longer",
            |place| fs::write(place.path("f.part"), b"mine, and long").unwrap(),
            Some(REFUSED),
            Some(REFUSED),
        ),
        (
            "more than is noted",
            |place| fs::write(place.path("f.part"), b"012345").unwrap(),
            Some(REFUSED),
            Some(REFUSED),
        ),
        (
            "removed and made anew",
            |place| {
                fs::remove_file(place.path("f.part")).unwrap();
                fs::write(place.path("f.part"), b"mine").unwrap();
            },
            Some(REFUSED),
            Some(REFUSED),
        ),
        (
            "a copy of it",
            |place| place.replace_part(b"01234"),
            None,
            Some("another file than f.part.json was made for"),
        ),
        ("no bytes", |place| place.replace_part(b""), None, None),
    ];
    for (case, replace, no_resume, no_start) in table {
        for resumes in [false, true] {
            let place = Workplace::new();
            place.leave(5);
            replace(&place);
            let before = (place.names(), fs::read(place.path("f.part")).unwrap());
            let started = place.open(false).and_then(|mut part| {
                match left(&part) {
                    ExistingPart::Some(resume) if resumes => part.resume(&resume)?,
                    _ => part.start_over()?,
                }
                begin(&mut part, "\"a\"")?;
                let done = part.file().unwrap().stream_position().unwrap();
                write(&mut part, &OBJECT[usize::try_from(done).unwrap()..]);
                part.finish(None)
            });
            match (started, if resumes { no_resume } else { no_start }) {
                (Ok(()), None) => assert_eq!(fs::read(place.path("f")).unwrap(), OBJECT, "{case}"),
                (Err(error), Some(why)) => {
                    assert!(error.to_string().contains(why), "{case}: {error}");
                    assert_eq!((place.names(), fs::read(place.path("f.part")).unwrap()), before, "{case}");
                }
                (found, _) => panic!("{case}: {found:?}"),
            }
        }
    }
}

/// No run may discard it: neither the one that continued it nor the next one.
#[test]
fn a_copy_that_was_continued_and_is_wrong_stays() {
    let place = Workplace::new();
    place.leave(5);
    place.replace_part(&OBJECT[..5]);
    for done in [5, OBJECT.len() - 1] {
        let mut part = place.open(false).unwrap();
        let ExistingPart::Some(resume) = left(&part) else { panic!("{done}: not continued") };
        part.resume(&resume).unwrap();
        begin(&mut part, "\"a\"").unwrap();
        write(&mut part, &OBJECT[done..]);
        assert!(!part.abandon(true), "{done}");
        assert_eq!(fs::read(place.path("f.part")).unwrap(), OBJECT, "{done}");
    }
    let error = place.open(false).unwrap().start_over().unwrap_err();
    assert!(error.to_string().contains("another file than f.part.json was made for"), "{error}");
    assert_eq!(place.names(), ["f.part", "f.part.json"]);
}

/// The beginning that is continued is noted again.
#[test]
fn a_part_that_is_continued_and_left_again_is_known_still() {
    for (first, end) in [(1, 4), (5, 6), (9, 10)] {
        let place = Workplace::new();
        place.leave(first);
        for end in [end, 0] {
            let mut part = place.open(false).unwrap();
            let ExistingPart::Some(resume) = left(&part) else { panic!("{first} {end}: not continued") };
            part.resume(&resume).unwrap();
            begin(&mut part, "\"a\"").unwrap();
            write(&mut part, OBJECT.get(first..end).unwrap_or_default());
        }
    }
}

#[test]
fn an_object_that_begins_before_bytes_are_written_changes_nothing_of_what_is_noted() {
    let place = Workplace::new();
    let mut part = place.open(false).unwrap();
    part.start_over().unwrap();
    begin(&mut part, "\"a\"").unwrap();
    part.announce(OBJECT).unwrap();
    begin(&mut part, "\"a\"").unwrap();
    part.file().unwrap().write_all(OBJECT).unwrap();
    drop(part);
    place.open(false).unwrap();
}

#[test]
fn a_part_that_appears_before_the_first_response_is_left_alone() {
    for has_sidecar in [false, true] {
        let place = Workplace::new();
        if has_sidecar {
            place.leave(5);
            fs::remove_file(place.path("f.part")).unwrap();
        }
        let noted = fs::read(place.path("f.part.json")).ok();
        let mut part = place.open(true).unwrap();
        fs::write(place.path("f.part"), b"mine").unwrap();
        assert_eq!(part.start_over().unwrap_err().kind(), ErrorKind::Output);
        part.abandon(false);
        assert_eq!(fs::read(place.path("f.part")).unwrap(), b"mine");
        assert_eq!(
            fs::read(place.path("f.part.json")).ok(),
            noted,
            "no new sidecar, and none that is changed"
        );
    }
}

#[test]
fn what_appears_meanwhile_is_not_replaced_and_the_bytes_stay() {
    let place = Workplace::new();
    let mut part = place.open(false).unwrap();
    part.start_over().unwrap();
    begin(&mut part, "\"a\"").unwrap();
    write(&mut part, OBJECT);
    fs::write(place.path("f"), b"of another process").unwrap();
    assert_eq!(part.finish(None).unwrap_err().kind(), ErrorKind::Output);
    assert_eq!(fs::read(place.path("f")).unwrap(), b"of another process");
    assert_eq!(fs::read(place.path("f.part")).unwrap(), OBJECT);

    let mut part = place.open(true).unwrap();
    let ExistingPart::Some(resume) = left(&part) else { panic!("it is continued") };
    part.resume(&resume).unwrap();
    begin(&mut part, "\"a\"").unwrap();
    write(&mut part, &OBJECT[9..]);
    part.finish(None).unwrap();
    assert_eq!((place.names(), fs::read(place.path("f")).unwrap()), (vec!["f".to_owned()], OBJECT.to_vec()));
}

#[test]
fn a_part_that_was_taken_away_never_becomes_the_file() {
    let place = Workplace::new();
    let mut part = place.open(false).unwrap();
    part.start_over().unwrap();
    begin(&mut part, "\"a\"").unwrap();
    write(&mut part, OBJECT);
    fs::remove_file(place.path("f.part")).unwrap();
    fs::write(place.path("f.part"), b"another").unwrap();
    assert_eq!(part.finish(None).unwrap_err().kind(), ErrorKind::Output);
    assert!(!place.path("f").exists());
}

#[test]
fn one_process_at_a_time_has_a_part_file() {
    let place = Workplace::new();
    place.leave(5);
    let first = place.open(false).unwrap();
    let error = place.open(false).unwrap_err();
    assert!(error.to_string().contains("another process is writing to it"), "{error}");
    drop(first);
    place.open(false).unwrap();
}

#[test]
fn the_new_file_has_the_permissions_of_the_one_that_it_replaces() {
    for mode in [0o600, 0o640, 0o664, 0o4755] {
        let place = Workplace::new();
        fs::write(place.path("f"), b"old").unwrap();
        fs::set_permissions(place.path("f"), Permissions::from_mode(mode)).unwrap();
        let mut part = place.open(true).unwrap();
        part.start_over().unwrap();
        let while_written = fs::metadata(place.path("f.part")).unwrap().mode() & 0o7777;
        assert_eq!(while_written & !mode, 0, "{mode:o}: {while_written:o}");
        begin(&mut part, "\"a\"").unwrap();
        write(&mut part, OBJECT);
        part.finish(None).unwrap();
        let found = fs::metadata(place.path("f")).unwrap();
        assert_eq!((found.mode() & 0o7777, found.len()), (mode & 0o777, 10), "{mode:o}");
    }
}
