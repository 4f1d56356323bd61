//! `query series`.

use std::{collections::BTreeMap, time::Duration};

use super::{
    args::{ConnectionArgs, SeriesArgs},
    client::{Client, ask, refused},
    format::Forms,
    json,
    text::{Side, Table, labels, quality_line, say_if_nothing, value_type},
    time::Utc,
};
use crate::{
    model::ValueType,
    render::quantity,
    wire::v1::generated::{Selection, SeriesRequest, SeriesResponse, series_response::Line},
};

/// Heights of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Widest sparkline.
const BARS_MAX: u64 = 60;

/// Asks how a total goes over time.
pub(super) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &SeriesArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("series"))?;
    let selection = args.selection.message()?;
    let step = args.step.map_or(0, |step| step.0.as_nanos());
    let question = SeriesRequest {
        selection: Some(selection.clone()),
        group_by: args.group_by.clone(),
        step_ns: u64::try_from(step).unwrap_or(u64::MAX),
    };
    let answer = client.series(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    args.output.answer(
        form,
        || json::series(&answer),
        || {
            say_if_nothing(answer.lines.iter().map(total).fold(0, u64::saturating_add));
            draw(&answer, &selection)
        },
    )
}

/// One line for each combination of labels, heaviest first.
fn draw(answer: &SeriesResponse, selection: &Selection) -> String {
    let value_type = value_type(answer.value_type.as_ref());
    let (start, end) = (selection.start_ns, selection.end_ns);
    let step = Duration::from_nanos(answer.step_ns);
    let mut text = format!(
        "{} to {}, steps of {step:?}\n",
        Utc(Duration::from_nanos(start)),
        Utc(Duration::from_nanos(end)),
    );
    let mut table = Table::new(&[
        ("TOTAL", Side::Right),
        ("LEAST", Side::Right),
        ("MOST", Side::Right),
        ("OVER TIME", Side::Left),
        ("LABELS", Side::Left),
    ]);
    let mut lines: Vec<(u64, &Line)> = answer
        .lines
        .iter()
        .map(|line| (total(line), line))
        .collect();
    lines.sort_by_key(|(total, _line)| std::cmp::Reverse(*total));
    for (total, line) in lines {
        table.row(row(total, line, &value_type, (start, end, answer.step_ns)));
    }
    text += &table.draw();
    text + &quality_line(answer.quality.as_ref())
}

/// The cells of one line.
fn row(total: u64, line: &Line, value_type: &ValueType, span: (u64, u64, u64)) -> Vec<String> {
    let values = || line.points.iter().map(|point| point.value);
    vec![
        quantity(total, value_type),
        quantity(values().min().unwrap_or(0), value_type),
        quantity(values().max().unwrap_or(0), value_type),
        sparkline(line, span),
        labels(&line.labels),
    ]
}

/// Sum of all steps.
fn total(line: &Line) -> u64 {
    let values = line.points.iter().map(|point| point.value);
    values.fold(0, u64::saturating_add)
}

/// A bar for each step, or for several together where there are too many; a space where there is no
/// data. `span` is start, end and length of a step, in nanoseconds.
fn sparkline(line: &Line, (start, end, step): (u64, u64, u64)) -> String {
    let step = step.max(1);
    // Steps begin at multiples of their length, so the first one may begin before the range.
    let first = start / step;
    let steps = end.div_ceil(step).saturating_sub(first).max(1);
    let steps_a_bar = steps.div_ceil(BARS_MAX);
    let mut bars: BTreeMap<u64, u64> = BTreeMap::new();
    for point in &line.points {
        let bar = (point.start_ns / step).saturating_sub(first) / steps_a_bar;
        let sum = bars.entry(bar).or_default();
        *sum = sum.saturating_add(point.value);
    }
    let most = bars.values().copied().max().unwrap_or(0);
    let bar = |place: u64| bars.get(&place).map_or(' ', |value| height(*value, most));
    (0..steps.div_ceil(steps_a_bar)).map(bar).collect()
}

/// The bar of a value, with zero and `most` at the ends.
fn height(value: u64, most: u64) -> char {
    let top = BARS.len() as u128 - 1;
    let scaled = (u128::from(value) * top)
        .checked_div(u128::from(most))
        .unwrap_or(0);
    let place = usize::try_from(scaled).unwrap_or(0);
    BARS.get(place).copied().unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::sparkline;
    use crate::wire::v1::generated::series_response::{Line, Point};

    fn line(points: &[(u64, u64)]) -> Line {
        let points = points.iter().map(|(start_ns, value)| Point {
            start_ns: *start_ns,
            value: *value,
        });
        Line {
            labels: Vec::new(),
            points: points.collect(),
        }
    }

    #[test]
    fn a_bar_a_step_and_a_gap_where_there_is_no_data() {
        let points = line(&[(100, 0), (110, 7), (130, 14)]);
        assert_eq!("▁▄ █ ", sparkline(&points, (105, 150, 10)));
        assert_eq!("  ", sparkline(&line(&[]), (0, 20, 10)));
    }

    #[test]
    fn many_steps_share_a_bar() {
        let points: Vec<(u64, u64)> = (0..240)
            .map(|step| (step * 10, u64::from(step > 119)))
            .collect();
        let drawn = sparkline(&line(&points), (0, 2_400, 10));
        assert_eq!(format!("{}{}", "▁".repeat(30), "█".repeat(30)), drawn);
    }
}
