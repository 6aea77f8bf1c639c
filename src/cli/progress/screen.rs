//! The terminal at stderr, as bars draw on it.
//!
//! It differs from indicatif's own in one respect: between two draws the cursor stays at the start of the last row.
//! After its last column, the `^C` that a terminal echoes would wrap into a row that nobody clears.

use std::io;

use console::Term;
use indicatif::TermLike;

#[derive(Debug)]
pub(super) struct Screen(Term);

impl Screen {
    /// Returns `None` if stderr is not a terminal that can be drawn on.
    pub(super) fn stderr() -> Option<Self> {
        let term = Term::buffered_stderr();
        term.is_term().then_some(Self(term))
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.flush()
    }
}
