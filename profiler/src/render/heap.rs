//! Live memory by stack, as text.

use std::fmt::Write as _;

use super::{
    label::Labels,
    units::{quantity, thousands},
};
use crate::model::{LiveStack, Profile, ValueType};

/// Frames of a stack that a line shows, innermost first: who allocates, and for whom.
const FRAMES_SHOWN: usize = 4;

/// A table of at most `limit` stacks of a profile of allocations, most live bytes first; each line
/// ends in a newline. What keeps growing is marked with `+`.
pub fn live_heap(profile: &Profile, live: &[LiveStack], limit: usize) -> String {
    let bytes = ValueType {
        kind: "live".to_owned(),
        unit: "bytes".to_owned(),
    };
    let labels = Labels::new(profile);
    let mut text = format!(
        "{:>12} {:>12} {:>9} {:>9} {:>15}  LIVE HEAP\n",
        "LIVE", "OBJECTS", "OLDEST", "MEAN AGE", "GROWTH/H"
    );
    for row in live.iter().take(limit) {
        let frames = profile
            .stack(row.stack)
            .map(|stack| stack.frames.as_slice());
        let root_first = labels.root_first(frames.unwrap_or_default());
        let mut shown: Vec<&str> = root_first.map(|label| label.text.as_str()).collect();
        shown.reverse();
        shown.truncate(FRAMES_SHOWN);
        // Writing to a text cannot fail.
        let _infallible = writeln!(
            text,
            "{:>12} {:>12} {:>7.1} s {:>7.1} s {:>13} {}  {} [{}]",
            quantity(row.bytes, &bytes),
            thousands(row.objects),
            row.age_max.as_secs_f64(),
            row.age_mean.as_secs_f64(),
            growth(row.growth_bytes_per_hour, &bytes),
            if row.is_suspect { '+' } else { ' ' },
            shown.join(" < "),
            row.pid,
        );
    }
    text
}

/// A growth with its sign.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float is cut to the range of an integer"
)]
fn growth(bytes_per_hour: f64, unit: &ValueType) -> String {
    let sign = if bytes_per_hour < 0.0 { "-" } else { "" };
    format!("{sign}{}", quantity(bytes_per_hour.abs() as u64, unit))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::live_heap;
    use crate::{
        model::{LiveStack, Pid, StackIndex},
        render::collapsed,
    };

    #[test]
    fn a_line_shows_who_holds_how_much_and_how_it_grows() {
        let profile = collapsed::read(b"c;main;serve;load 3\n").unwrap();
        let live = LiveStack {
            pid: Pid(7),
            stack: StackIndex(0),
            bytes: 3 << 20,
            objects: 1_234,
            samples: 6,
            age_max: Duration::from_secs(12),
            age_mean: Duration::from_millis(6_500),
            growth_bytes_per_hour: -2_048.0,
            is_suspect: true,
        };
        let text = live_heap(&profile, &[live], 5);
        let line = text.lines().nth(1).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected = "3.00 MiB 1,234 12.0 s 6.5 s -2.00 KiB + load < serve < main [7]";
        assert_eq!(expected, words.join(" "));
        assert_eq!(1, live_heap(&profile, &[live], 0).lines().count());
    }
}
