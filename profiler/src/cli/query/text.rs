//! Answers as people read them: aligned columns, shares, units, and how good the data is.

use std::io::{self, IsTerminal as _};

use crate::{
    cli::exit::eprint,
    model::ValueType,
    render::{clean, share, thousands},
    wire::v1::generated::{self as v1, FrameKind, Quality},
};

/// Names are never made shorter than this.
const NAME_WIDTH_MIN: usize = 24;
/// What stands for the middle of a name that is too long.
const GAP: char = '…';

/// Which side the text of a column is on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// A table for people. The last column takes what is left of the line.
pub(crate) struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
    /// Width of the terminal; absent when nobody looks.
    width: Option<usize>,
}

impl Table {
    /// A table with a headline.
    pub(crate) fn new(columns: &[(&str, Side)]) -> Self {
        Self {
            sides: columns.iter().map(|(_name, side)| *side).collect(),
            rows: vec![columns.iter().map(|(name, _)| (*name).to_owned()).collect()],
            width: terminal_width(),
        }
    }

    /// Adds a row: a text for each column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines, aligned; each ends in a newline.
    pub(crate) fn draw(&self) -> String {
        let last = self.sides.len().saturating_sub(1);
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..last).map(width_of).collect();
        let taken: usize = widths.iter().map(|width| width + 2).sum();
        let room = self
            .width
            .map(|width| width.saturating_sub(taken).max(NAME_WIDTH_MIN));
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, side), width) in row.iter().zip(&self.sides).zip(&widths) {
                let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                let (before, after) = match side {
                    Side::Left => ("", padding.as_str()),
                    Side::Right => (padding.as_str(), ""),
                };
                for part in [before, cell, after, "  "] {
                    line.push_str(part);
                }
            }
            if let Some(cell) = row.get(last) {
                line += &room.map_or_else(|| cell.clone(), |room| shorten(cell, room));
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// Columns of the terminal that standard output is; nothing when it is none.
fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stdout).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| 0 < *columns)
}

/// Takes the middle out of a name that is too long: its beginning and its end say the most.
pub(super) fn shorten(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width || width == 0 {
        return name.to_owned();
    }
    let front = (width - 1) / 2;
    let back = width - 1 - front;
    let mut text: String = name.chars().take(front).collect();
    text.push(GAP);
    text.extend(name.chars().skip(length - back));
    text
}

/// A function with the mark of its kind, as recordings show it.
pub(super) fn marked(name: &str, kind: i32, is_inlined: bool) -> String {
    let mark = match FrameKind::try_from(kind) {
        Ok(FrameKind::Kernel) => "_[k]",
        Ok(FrameKind::Jit) => "_[j]",
        Ok(FrameKind::Native) if is_inlined => "_[i]",
        Ok(
            FrameKind::Native | FrameKind::Truncated | FrameKind::Table | FrameKind::Unspecified,
        )
        | Err(_) => "",
    };
    clean(name) + mark
}

/// What is counted.
pub(super) fn value_type(message: Option<&v1::ValueType>) -> ValueType {
    let known = message.cloned().unwrap_or_default();
    ValueType {
        kind: known.kind,
        unit: known.unit,
    }
}

/// Labels as a selector has them.
pub(super) fn labels(labels: &[v1::Label]) -> String {
    let pairs = labels.iter().map(|label| {
        let value = label.value.replace('\\', "\\\\").replace('"', "\\\"");
        format!(
            "{}=\"{}\"",
            clean(&label.name),
            if value.is_empty() {
                value
            } else {
                clean(&value)
            }
        )
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// Says so when there is nothing to show, and where to look.
pub(super) fn say_if_nothing(total: u64) {
    if total == 0 {
        eprint(
            "profiler: no data for this selection in this time; `profiler query hosts --last 1d` \
             shows what there is",
        );
    }
}

/// How good the data is, as one line.
pub(super) fn quality_line(quality: Option<&Quality>) -> String {
    let Some(quality) = quality else {
        return "quality: unknown\n".to_owned();
    };
    let sum = |counts: &[v1::Count]| {
        let counts = counts.iter().map(|count| count.count);
        counts.fold(0, u64::saturating_add)
    };
    let (lost, truncated) = (sum(&quality.lost), sum(&quality.truncated));
    let verdicts = quality.complete.saturating_add(truncated);
    let taken = quality.samples.saturating_add(lost);
    let mut parts = vec![format!("{} samples", thousands(quality.samples))];
    if 0 < verdicts {
        parts.push(format!("complete {}", share(quality.complete, verdicts)));
        parts.push(counted("truncated", truncated, verdicts));
    }
    parts.push(counted("lost", lost, taken));
    if 0 < quality.frames {
        let unnamed = share(quality.frames_unnamed, quality.frames);
        parts.push(format!("frames without a name {unnamed}"));
    }
    if 0.0 < quality.rate_asked_hz {
        parts.push(rate(quality));
    }
    if 0 < quality.windows_lost {
        parts.push(format!("{} windows lost", thousands(quality.windows_lost)));
    }
    format!("quality: {}\n", parts.join(" · "))
}

/// `lost 3 (0.1%)`
fn counted(name: &str, part: u64, whole: u64) -> String {
    format!("{name} {} ({})", thousands(part), share(part, whole))
}

/// The rate asked for, and the one reached where it is more than a tenth off.
fn rate(quality: &Quality) -> String {
    let (asked, taken) = (quality.rate_asked_hz, quality.rate_effective_hz);
    if 0.0 < taken && asked / 10.0 < (taken - asked).abs() {
        format!("{asked:.0} Hz asked, {taken:.0} Hz taken")
    } else {
        format!("{asked:.0} Hz")
    }
}

#[cfg(test)]
mod tests {
    use super::{Side, Table, labels, marked, quality_line, shorten};
    use crate::wire::v1::generated::{Count, FrameKind, Label, Quality};

    #[test]
    fn the_middle_of_a_long_name_goes() {
        assert_eq!("abcdef", shorten("abcdef", 6));
        assert_eq!("ab…ef", shorten("abcdef", 5));
        assert_eq!("é…ü", shorten("éäöü", 3));
        assert_eq!("…", shorten("abc", 1));
    }

    #[test]
    fn columns_are_aligned_and_the_last_takes_the_rest() {
        let mut table = Table::new(&[
            ("SELF", Side::Right),
            ("HOST", Side::Left),
            ("NAME", Side::Left),
        ]);
        table.row(vec!["1".into(), "long-host".into(), "f".into()]);
        table.row(vec!["12345".into(), "b".into(), "x".repeat(60)]);
        table.width = Some(46);
        let expected = format!(
            " SELF  HOST       NAME\n    1  long-host  f\n12345  b          {}…{}\n",
            "x".repeat(13),
            "x".repeat(14)
        );
        assert_eq!(expected, table.draw());
        table.width = None;
        assert!(table.draw().contains(&"x".repeat(60)));
    }

    #[test]
    fn names_do_no_harm_to_a_terminal() {
        assert_eq!(
            "a [31mb_[k]",
            marked("a\u{1b}[31mb", FrameKind::Kernel.into(), false)
        );
        let label = Label {
            name: "a".to_owned(),
            value: "\"\u{7}".to_owned(),
        };
        assert_eq!("{a=\"\\\"\"}", labels(&[label]));
    }

    #[test]
    fn quality_is_one_line() {
        let count = |count| Count {
            cause: "depth".to_owned(),
            count,
        };
        let quality = Quality {
            samples: 9_999,
            lost: vec![count(1)],
            complete: 9_990,
            truncated: vec![count(4), count(5)],
            frames: 8,
            frames_unnamed: 1,
            rate_asked_hz: 99.0,
            rate_effective_hz: 50.0,
            windows_lost: 2,
            ..Quality::default()
        };
        let expected = "quality: 9,999 samples · complete 99.9% · truncated 9 (0.1%) · lost 1 (0.0%) · frames without a name 12.5% · 99 Hz asked, 50 Hz taken · 2 windows lost\n";
        assert_eq!(expected, quality_line(Some(&quality)));
    }
}
