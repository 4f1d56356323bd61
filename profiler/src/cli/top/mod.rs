//! `profiler top`: a live view of this host on the terminal.

mod draw;
mod view;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError, sync_channel},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};

use self::view::View;
use super::record::{UnwindName, default_cache_dir};
use crate::{
    host::{
        Shutdown,
        run::{Budget, SharedLabelRules, SignalOptions, WatchOptions, host_name, watch},
    },
    model::Profile,
};

/// How long the view waits for a key before it looks for a new window.
const KEY_WAIT: Duration = Duration::from_millis(100);
/// Windows that wait to be shown: the last one is the one that counts.
const WINDOWS_WAITING: usize = 4;

/// Watch this host live, by process and function
#[derive(Args, Debug)]
#[command(after_help = "\
Keys: arrows mark a process, Enter looks inside it, Esc looks at all, s orders by self or total,
p pauses, q or Ctrl-C ends.

Examples:
  profiler top                 the whole host, a new picture every two seconds
  profiler top -F 499 -i 1     more samples, more often")]
pub struct TopArgs {
    /// Samples a second, on each CPU
    #[arg(short = 'F', long, value_name = "HZ", default_value_t = 99, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frequency: u32,
    /// Seconds between two pictures
    #[arg(short, long, value_name = "SECS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    interval: u32,
    /// How to follow user stacks
    #[arg(long, value_name = "HOW", default_value = "auto")]
    unwind: UnwindName,
}

/// Shows windows until someone wants to leave.
///
/// # Errors
/// There is no terminal, or sampling is not possible.
pub fn run(args: &TopArgs) -> anyhow::Result<ExitCode> {
    if !io::stdout().is_terminal() {
        bail!("`profiler top` draws on a terminal; for files and pipes there is `profiler record`");
    }
    let options = WatchOptions {
        host: host_name(),
        unwinding: args.unwind.into(),
        rate_hz: args.frequency,
        signals: SignalOptions::default(),
        window: Duration::from_secs(args.interval.into()),
        cache_dir: Some(default_cache_dir()),
        inlines: true,
        budget: Budget::default(),
        bursts: None,
    };
    let shutdown = Shutdown::default();
    let (send, windows) = sync_channel(WINDOWS_WAITING);
    let host = {
        let shutdown = shutdown.clone();
        thread::spawn(move || {
            watch(
                &options,
                &SharedLabelRules::default(),
                &shutdown,
                &mut |window| {
                    // A view that is behind shows the next one.
                    drop(send.try_send(Arc::new(window.profile)));
                },
            )
        })
    };
    let mut terminal = ratatui::try_init().context("draw on the terminal")?;
    let shown = show(&mut terminal, &windows);
    ratatui::try_restore().context("give the terminal back")?;
    shutdown.request();
    drop(windows);
    match host.join() {
        Ok(result) => result?,
        Err(_panic) => bail!("sampling ended by a fault of its own"),
    }
    shown?;
    Ok(ExitCode::SUCCESS)
}

/// Draws until the person leaves or sampling ends.
fn show(terminal: &mut DefaultTerminal, windows: &Receiver<Arc<Profile>>) -> io::Result<()> {
    let mut view = View::default();
    loop {
        terminal.draw(|frame| draw::draw(frame, &view))?;
        if event::poll(KEY_WAIT)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && !take_key(&mut view, key)
        {
            return Ok(());
        }
        loop {
            match windows.try_recv() {
                Ok(profile) => view.show(profile),
                Err(TryRecvError::Empty) => break,
                // Sampling ended by itself: its error says why.
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }
}

/// Does what a key says; false to leave.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "keys without a meaning are many"
)]
fn take_key(view: &mut View, key: KeyEvent) -> bool {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('q') => return false,
        KeyCode::Char('c') if is_control => return false,
        KeyCode::Char('p' | ' ') => view.is_paused = !view.is_paused,
        KeyCode::Char('s') => view.change_order(),
        KeyCode::Up | KeyCode::Char('k') => view.move_mark(-1),
        KeyCode::Down | KeyCode::Char('j') => view.move_mark(1),
        KeyCode::PageUp => view.move_mark(-10),
        KeyCode::PageDown => view.move_mark(10),
        KeyCode::Enter => view.look_inside(),
        KeyCode::Esc => view.look_at_all(),
        _ => {}
    }
    true
}
