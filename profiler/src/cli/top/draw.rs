//! The live view as text on a terminal.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style, Stylize as _},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Row, Table, TableState},
};

use super::view::{Order, View};
use crate::{
    model::{Profile, Quality},
    render::{percent, to_f64},
};

/// Columns of the table of processes.
const PROCESSES_WIDTH: u16 = 36;
/// Narrower terminals show one table at a time.
const BOTH_WIDTH_MIN: u16 = 80;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(head_lines(view)), head);
    if body.width < BOTH_WIDTH_MIN {
        let [above, below] =
            Layout::vertical([Constraint::Fill(1), Constraint::Fill(2)]).areas(body);
        draw_processes(frame, view, above);
        draw_functions(frame, view, below);
    } else {
        let [left, right] =
            Layout::horizontal([Constraint::Length(PROCESSES_WIDTH), Constraint::Fill(1)])
                .areas(body);
        draw_processes(frame, view, left);
        draw_functions(frame, view, right);
    }
    frame.render_widget(Paragraph::new(foot_line(view)), foot);
}

/// What is watched, and how good the data is.
fn head_lines(view: &View) -> Vec<Line<'static>> {
    let Some(profile) = &view.profile else {
        return vec![Line::from("preparing unwind tables …".bold())];
    };
    let quality = &profile.quality;
    let first = Line::from(vec![
        format!("profiler top on {}", profile.host).bold(),
        Span::from(format!(
            "  {:.0} % of {} CPU-seconds busy",
            100.0 * busy_share(quality),
            (cpu_seconds(profile)).round()
        )),
    ]);
    let cut = quality.samples.saturating_sub(quality.complete);
    let second = format!(
        "{} samples in {:.1} s, {:.1} % complete, {} lost",
        quality.samples,
        profile.window.duration.as_secs_f64(),
        100.0 - percent(cut, quality.samples),
        quality.lost_total(),
    );
    let second = if 0 < quality.lost_total() {
        Line::from(second.yellow())
    } else {
        Line::from(second)
    };
    vec![first, second]
}

/// The keys.
fn foot_line(view: &View) -> Line<'static> {
    let pause = if view.is_paused { "p go on" } else { "p pause" };
    let keys = format!(" ↑↓ mark  ⏎ look inside  Esc all  s self/total  {pause}  q quit ");
    Line::from(keys.reversed())
}

/// Processes with what they take of one CPU.
fn draw_processes(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let seconds = view.profile.as_ref().map_or(1.0, |profile| {
        profile.window.duration.as_secs_f64().max(f64::MIN_POSITIVE)
    });
    let rate = view
        .profile
        .as_ref()
        .map_or(1.0, |profile| profile.quality.rate_asked_hz.max(1.0));
    let rows = view.processes.iter().map(|row| {
        let share = 100.0 * to_f64(row.samples) / rate / seconds;
        Row::new([
            format!("{:>8}", row.pid),
            format!("{share:>6.1}"),
            row.name.clone(),
        ])
    });
    let widths = [
        Constraint::Length(8),
        Constraint::Length(6),
        Constraint::Fill(1),
    ];
    let table = Table::new(rows, widths)
        .header(Row::new(["     PID", "  CPU%", "NAME"]).bold())
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(Block::new().borders(Borders::TOP).title(" Processes "));
    let mut state = TableState::new().with_selected(Some(view.marked));
    frame.render_stateful_widget(table, area, &mut state);
}

/// Functions with their shares of what is looked at.
fn draw_functions(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let whole: u64 = view.functions.iter().map(|row| row.own).sum();
    let room = usize::from(area.height);
    let rows = view.functions.iter().take(room).map(|row| {
        Row::new([
            format!("{:>6.1}", percent(row.own, whole)),
            format!("{:>6.1}", percent(row.total, whole)),
            row.name.clone(),
        ])
    });
    let widths = [
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Fill(1),
    ];
    let header = match view.order {
        Order::Own => [" SELF▼", " TOTAL", "FUNCTION"],
        Order::Total => ["  SELF", "TOTAL▼", "FUNCTION"],
    };
    let title = match view.inside {
        Some(pid) => format!(" Functions of process {pid}, % "),
        None => " Functions of all processes, % ".to_owned(),
    };
    let table = Table::new(rows, widths)
        .header(Row::new(header).bold())
        .block(Block::new().borders(Borders::TOP).title(title));
    frame.render_widget(table, area);
}

/// CPU time that the window covers.
fn cpu_seconds(profile: &Profile) -> f64 {
    let quality = &profile.quality;
    let taken = quality.samples + quality.idle + quality.lost_total();
    to_f64(taken) / quality.rate_asked_hz.max(1.0)
}

/// Share of the CPU time that was not idle.
fn busy_share(quality: &Quality) -> f64 {
    let busy = quality.samples + quality.lost_total();
    percent(busy, busy + quality.idle) / 100.0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ratatui::{Terminal, backend::TestBackend};

    use super::draw;
    use crate::cli::top::view::{View, tests::profile};

    /// The screen as lines.
    fn screen(view: &View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        let buffer = terminal.backend().buffer();
        buffer
            .content()
            .chunks(usize::from(width))
            .map(|cells| cells.iter().map(ratatui::buffer::Cell::symbol).collect())
            .collect()
    }

    #[test]
    fn a_window_is_drawn_with_its_shares() {
        let mut view = View::default();
        let mut shown = profile();
        shown.host = "here".to_owned();
        shown.window.duration = std::time::Duration::from_secs(1);
        shown.quality.samples = 9;
        shown.quality.complete = 9;
        shown.quality.rate_asked_hz = 10.0;
        view.show(Arc::new(shown));
        let lines = screen(&view, 100, 10);
        assert!(lines[0].starts_with("profiler top on here"), "{lines:#?}");
        assert!(lines[1].contains("100.0 % complete, 0 lost"), "{lines:#?}");
        assert!(lines[4].contains("60.0 process1"), "{lines:#?}");
        assert!(lines[4].contains("66.7   66.7 work"), "{lines:#?}");
        assert!(lines[5].contains("33.3  100.0 main"), "{lines:#?}");
    }

    #[test]
    fn no_terminal_is_too_small() {
        let mut view = View::default();
        view.show(Arc::new(profile()));
        for (width, height) in [(1, 1), (20, 4), (79, 8)] {
            assert_eq!(usize::from(height), screen(&view, width, height).len());
        }
    }
}
