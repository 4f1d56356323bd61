//! Ctrl-C and SIGTERM as a wish to stop.

use std::{io, thread};

use tokio::signal::unix::{SignalKind, signal};

use crate::host::{Shutdown, daemon::Reload};

/// Exit code of a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Asks to stop at the first signal, so that what was recorded is still written; leaves at once at
/// the second.
///
/// # Errors
/// When the system gives no handler.
pub(super) fn stop_on_signals(shutdown: &Shutdown) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(guard);
    let shutdown = shutdown.clone();
    thread::spawn(move || {
        runtime.block_on(async move {
            for first in [true, false] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if first {
                    shutdown.request();
                }
            }
        });
        leave();
    });
    Ok(())
}

/// Asks to read the configuration again at each SIGHUP.
///
/// # Errors
/// When the system gives no handler.
pub(super) fn reload_on_hangup(reload: &Reload) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let guard = runtime.enter();
    let mut hangup = signal(SignalKind::hangup())?;
    drop(guard);
    let reload = reload.clone();
    thread::spawn(move || {
        runtime.block_on(async move {
            while hangup.recv().await.is_some() {
                reload.request();
            }
        });
    });
    Ok(())
}

/// Ends the process.
#[expect(clippy::exit, reason = "the second Ctrl-C means now")]
fn leave() {
    std::process::exit(INTERRUPTED);
}
