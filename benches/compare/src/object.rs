//! The object that every client downloads: random bytes of any size, out of one file in memory.
//!
//! An object of any size is a stretch of the file. The file is as long as the largest object, up
//! to [`PERIOD`]; a larger object repeats it, so that 8 GiB fit on a small machine. It is unlinked from the start:
//! however the program ends, no file is left.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The largest prime below 1 GiB. No chunk size divides it, so a chunk in a wrong place is a wrong chunk.
const PERIOD: u64 = (1 << 30) - 35;

/// Makes objects up to a size.
pub(crate) struct Source {
    file: Arc<File>,
    period: u64,
}

/// `size` random bytes.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    file: Arc<File>,
    period: u64,
    pub(crate) size: u64,
    /// How many keys it is served under, a piece of it under each.
    pub(crate) pieces: u64,
}

impl Source {
    /// Room for objects of up to `largest` bytes, in `/dev/shm` where there is one.
    pub(crate) fn new(largest: u64) -> io::Result<Self> {
        let period = largest.clamp(1, PERIOD);
        Ok(Self { file: Arc::new(random(period)?), period })
    }

    /// An object of `size` bytes, at most the largest one given to [`Source::new`].
    pub(crate) fn object(&self, size: u64) -> Object {
        Object { file: Arc::clone(&self.file), period: self.period, size, pieces: 1 }
    }
}

impl Object {
    /// Cuts the object into `pieces` equal ones, which must divide its size.
    pub(crate) fn cut(self, pieces: u64) -> Self {
        Self { pieces, ..self }
    }

    /// The file that holds the bytes.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Where in the file the byte at `at` is, and how many of the `len` bytes from there on lie in one piece.
    pub(crate) fn piece(&self, at: u64, len: u64) -> (u64, u64) {
        let offset = at % self.period;
        (offset, len.min(self.period - offset))
    }

    /// Fills `buffer` with the bytes from `at` on.
    pub(crate) fn read_at(&self, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let (offset, len) = self.piece(at, buffer.len() as u64);
            // `len` is no more than the buffer's length.
            let (piece, rest) = buffer.split_at_mut(usize::try_from(len).unwrap_or(usize::MAX));
            self.file.read_exact_at(piece, offset)?;
            (at, buffer) = (at + len, rest);
        }
        Ok(())
    }
}

fn random(len: u64) -> io::Result<File> {
    let memory = Path::new("/dev/shm");
    let mut file = if memory.is_dir() { tempfile::tempfile_in(memory)? } else { tempfile::tempfile()? };
    let mut random = fastrand::Rng::with_seed(len);
    let mut buffer = vec![0; 1 << 20];
    let mut left = len;
    while left > 0 {
        random.fill(&mut buffer);
        let step = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(&buffer[..step])?;
        left -= step as u64;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_longer_than_the_file_repeats_it() {
        let source = Source { file: Arc::new(random(7).unwrap()), period: 7 };
        let object = source.object(20);
        let mut all = [0; 20];
        object.read_at(0, &mut all).unwrap();
        assert_eq!(all[..7], all[7..14]);
        assert_eq!(all[..6], all[14..]);
        let mut some = [0; 9];
        object.read_at(5, &mut some).unwrap();
        assert_eq!(some, all[5..14]);
        assert_eq!(object.piece(12, 100), (5, 2));
    }
}
