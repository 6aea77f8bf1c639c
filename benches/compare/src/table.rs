//! Rows of cells as a text that lines up, plain or Markdown.

use std::fmt::{self, Display, Formatter};

/// A table; the first column is text, the others are numbers.
pub(crate) struct Table {
    markdown: bool,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column heads.
    pub(crate) fn new(markdown: bool, heads: &[&str]) -> Self {
        Self { markdown, rows: vec![heads.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row; cells that are missing at its end stay empty.
    pub(crate) fn push(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column| self.rows.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let (open, between, close) = if self.markdown { ("| ", " | ", " |") } else { ("", "  ", "") };
        for (number, row) in self.rows.iter().enumerate() {
            let cells = widths.iter().enumerate().map(|(column, &width)| match column {
                0 => format!("{:<width$}", cell(row, column)),
                _ => format!("{:>width$}", cell(row, column)),
            });
            writeln!(f, "{open}{}{close}", cells.collect::<Vec<_>>().join(between))?;
            if number == 0 && self.markdown {
                writeln!(f, "|---|{}", "---:|".repeat(columns.saturating_sub(1)))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(markdown: bool) -> String {
        let mut table = Table::new(markdown, &["tool", "MiB/s"]);
        table.push(vec!["a".into(), "1".into()]);
        table.push(vec!["longer".into()]);
        table.to_string()
    }

    #[test]
    fn plain() {
        assert_eq!(table(false), "tool    MiB/s\na           1\nlonger       \n");
    }

    #[test]
    fn markdown() {
        assert_eq!(table(true), "| tool   | MiB/s |\n|---|---:|\n| a      |     1 |\n| longer |       |\n");
    }
}
