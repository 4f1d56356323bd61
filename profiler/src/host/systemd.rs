//! What systemd is told: that the daemon runs, lives and ends. Source: `sd_notify`(3).

use std::{
    env,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

use super::{metrics::DaemonState, shutdown::Shutdown};
use crate::clock;

/// Time between two looks.
const TICK: Duration = Duration::from_millis(500);
/// Windows that may be late before the daemon no longer counts as alive. Names of the first window
/// take longest.
const WINDOWS_LATE_MAX: u32 = 12;

/// Sends one word to systemd, when it is there to listen.
pub(super) fn notify(word: &str) {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let path = path.to_string_lossy().into_owned();
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name.as_bytes()),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(word.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::debug!(%error, "systemd does not listen");
    }
}

/// Says that the daemon is ready once it has counted a window, and that it lives as long as windows
/// come.
pub(super) fn notify_until(ended: &Shutdown, state: &DaemonState, window: Duration) {
    let period = env::var("WATCHDOG_USEC")
        .ok()
        .and_then(|text| text.parse().ok());
    let period = period.map(|period| Duration::from_micros(period) / 2);
    let mut is_ready = false;
    let mut notified_at = clock::monotonic();
    let begun = notified_at;
    while !ended.is_requested() {
        clock::sleep(TICK);
        let now = clock::monotonic();
        if !is_ready && state.last_window().is_some() {
            is_ready = true;
            notify("READY=1");
        }
        let is_due = period.is_some_and(|period| notified_at + period.saturating_sub(TICK) <= now);
        let last = state.last_window().unwrap_or(begun);
        if is_due && now < last + window * WINDOWS_LATE_MAX {
            notify("WATCHDOG=1");
            notified_at = now;
        }
    }
}
