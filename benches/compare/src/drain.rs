//! The reader at the other end of a client's pipe.
//!
//! It either takes the bytes away as cheaply as can be, or compares each with what it should be; and it counts them, and notes
//! when the first came.

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::time::{Duration, Instant};

use crate::object::Object;

/// The size of the pipe and of each read, in bytes: Linux's limit for users.
pub(crate) const PIPE: usize = 1 << 20;

/// What to do with the bytes.
#[derive(Clone, Copy)]
pub(crate) enum Drain<'a> {
    /// Drop them.
    Discard,
    /// Drop them, at so many MiB a second.
    Paced(u32),
    /// None: stdout is `/dev/null`.
    Null,
    /// Compare them with the object.
    Check(&'a Object),
}

/// What came.
#[derive(Debug, Default)]
pub(crate) struct Drained {
    pub(crate) bytes: u64,
    /// From the start of the client to its first byte.
    pub(crate) first_byte: Option<Duration>,
    /// The offset of the first byte that is not the object's.
    pub(crate) wrong_at: Option<u64>,
}

impl Drain<'_> {
    /// Reads until the client and all its children have closed the pipe. `began` is when the client was started.
    pub(crate) fn run(self, pipe: PipeReader, began: Instant) -> io::Result<Drained> {
        match self {
            Self::Discard => discard(&pipe, began),
            Self::Null => Ok(Drained::default()),
            Self::Paced(rate) => paced(pipe, began, rate),
            Self::Check(object) => check(pipe, object, began),
        }
    }
}

impl Drained {
    fn note(&mut self, bytes: usize, began: Instant) {
        self.first_byte.get_or_insert_with(|| began.elapsed());
        self.bytes += bytes as u64;
    }
}

/// The pages go to the null device without being copied or looked at.
#[cfg(target_os = "linux")]
fn discard(pipe: &PipeReader, began: Instant) -> io::Result<Drained> {
    use rustix::pipe::{SpliceFlags, splice};
    let null = File::options().write(true).open("/dev/null")?;
    let mut drained = Drained::default();
    loop {
        match splice(pipe, None, &null, None, PIPE, SpliceFlags::MOVE)? {
            0 => return Ok(drained),
            bytes => drained.note(bytes, began),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn discard(mut pipe: &PipeReader, began: Instant) -> io::Result<Drained> {
    let mut drained = Drained::default();
    let mut buffer = vec![0; PIPE];
    loop {
        match pipe.read(&mut buffer)? {
            0 => return Ok(drained),
            bytes => drained.note(bytes, began),
        }
    }
}

/// As a decoder takes them: steadily, and no faster.
fn paced(mut pipe: PipeReader, began: Instant, rate: u32) -> io::Result<Drained> {
    let mut drained = Drained::default();
    let mut buffer = vec![0; PIPE / 4];
    let mut due = Duration::ZERO;
    loop {
        match pipe.read(&mut buffer)? {
            0 => return Ok(drained),
            bytes => {
                drained.note(bytes, began);
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                let share = Duration::from_secs_f64(f64::from(bytes) / (f64::from(rate) * 1_048_576.0));
                due = due.max(began.elapsed()) + share;
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
        }
    }
}

/// Continues after a wrong byte: a client is not stopped in the middle.
fn check(mut pipe: PipeReader, object: &Object, began: Instant) -> io::Result<Drained> {
    let mut drained = Drained::default();
    let (mut buffer, mut want) = (vec![0; PIPE], vec![0; PIPE]);
    loop {
        let bytes = pipe.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(drained);
        }
        let at = drained.bytes;
        drained.note(bytes, began);
        if drained.wrong_at.is_some() {
            continue;
        }
        let expected = bytes.min(usize::try_from(object.size.saturating_sub(at)).unwrap_or(usize::MAX));
        object.read_at(at, &mut want[..expected])?;
        if buffer[..bytes] != want[..expected] {
            let same = buffer[..bytes].iter().zip(&want[..expected]).take_while(|(a, b)| a == b).count();
            drained.wrong_at = Some(at + same as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Source;
    use std::io::Write;
    use std::thread;

    fn drained(object: &Object, bytes: Vec<u8>) -> Drained {
        let (reader, mut writer) = io::pipe().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || writer.write_all(&bytes).unwrap());
            Drain::Check(object).run(reader, Instant::now()).unwrap()
        })
    }

    #[test]
    fn the_first_wrong_byte_is_found() {
        let object = Source::new(3_000_000).unwrap().object(3_000_000);
        let mut bytes = vec![0; 3_000_000];
        object.read_at(0, &mut bytes).unwrap();
        assert_eq!(drained(&object, bytes.clone()).wrong_at, None);
        let longer = drained(&object, [&bytes[..], &[0]].concat());
        assert_eq!((longer.wrong_at, longer.bytes), (Some(3_000_000), 3_000_001));
        bytes[2_500_000] ^= 1;
        assert_eq!(drained(&object, bytes).wrong_at, Some(2_500_000));
    }

    #[test]
    fn bytes_are_counted_when_they_are_dropped() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[7; 1000]).unwrap();
        drop(writer);
        let drained = Drain::Discard.run(reader, Instant::now()).unwrap();
        assert_eq!(drained.bytes, 1000);
        assert!(drained.first_byte.is_some());
    }
}
