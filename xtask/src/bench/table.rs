//! One section of figures: printed to the terminal and, the same text, into the page.

use std::fmt;

/// Figures with what is needed to read them.
pub(crate) struct Table {
    /// Names the place in the page; lower case.
    pub(crate) key: &'static str,
    /// The command that measures this.
    pub(crate) command: &'static str,
    /// Heads of the columns; the first column names the row.
    pub(crate) columns: Vec<String>,
    /// Cells, one for each column.
    pub(crate) rows: Vec<Vec<String>>,
    /// What was measured, and what is in the figures. One paragraph each.
    pub(crate) notes: Vec<String>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(key: &'static str, command: &'static str, columns: &[&str]) -> Self {
        Self {
            key,
            command,
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Adds a paragraph.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Width of a column in characters.
    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widths = cells
            .chain(self.columns.get(column))
            .map(|cell| cell.chars().count());
        widths.max().unwrap_or(0)
    }

    /// One line of the table: names to the left, figures to the right.
    fn line(&self, f: &mut fmt::Formatter<'_>, cells: &[String]) -> fmt::Result {
        for (column, cell) in cells.iter().enumerate() {
            let width = self.width(column);
            if column == 0 {
                write!(f, "| {cell:<width$} ")?;
            } else {
                write!(f, "| {cell:>width$} ")?;
            }
        }
        writeln!(f, "|")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line(f, &self.columns)?;
        for column in 0..self.columns.len() {
            let dashes = "-".repeat(self.width(column) + 1);
            if column == 0 {
                write!(f, "|{dashes}-")?;
            } else {
                write!(f, "|{dashes}:")?;
            }
        }
        writeln!(f, "|")?;
        for row in &self.rows {
            self.line(f, row)?;
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_line_up_and_notes_follow() {
        let mut table = Table::new("key", "command", &["what", "ns"]);
        table.row(["depth 10".to_owned(), "5".to_owned()]);
        table.note("Only the program.");
        assert_eq!(
            table.to_string(),
            "| what     | ns |\n|----------|---:|\n| depth 10 |  5 |\n\nOnly the program.\n"
        );
    }
}
