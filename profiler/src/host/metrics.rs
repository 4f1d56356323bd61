//! `/metrics` and `/healthz` of the daemon.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::ConstCounter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::{Registry, Unit},
};

use super::{
    continuous::WatchedWindow,
    governing::Governed,
    governor::FamilyState,
    own_use::OwnUse,
    sampling::Cost,
    ship::{ShipState, Shipper},
    shutdown::Shutdown,
};
use crate::{clock, model::Quality};

/// Time between two looks at whether the daemon ends.
const TICK: Duration = Duration::from_millis(100);
/// Longest time that one who asks may take: they are answered one after the other.
const CLIENT_PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of a request that are read; its first line is all that counts.
const REQUEST_SIZE_BYTES_MAX: usize = 2_048;

/// What the daemon did so far.
#[derive(Debug, Default)]
pub(super) struct DaemonState(Mutex<Sums>);

/// Sums over all windows.
#[derive(Clone, Debug, Default)]
struct Sums {
    windows: u64,
    samples: u64,
    idle: u64,
    lost: u64,
    truncated: u64,
    frames_unnamed: u64,
    cost: Cost,
    last_window: Option<Duration>,
}

impl DaemonState {
    /// Counts a window that was handed on.
    pub(super) fn window_done(&self, window: &WatchedWindow, now: Duration) {
        let quality: &Quality = &window.profile.quality;
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sums.windows += 1;
        sums.samples += quality.samples;
        sums.idle += quality.idle;
        sums.lost += quality.lost_total();
        sums.truncated += quality.truncated_total();
        sums.frames_unnamed = quality.frames_unnamed;
        if !window.is_further {
            sums.cost = window.cost.clone();
            sums.last_window = Some(now);
        }
    }

    /// When the last window was handed on, by the monotonic clock.
    pub(super) fn last_window(&self) -> Option<Duration> {
        self.sums().last_window
    }

    /// The sums as they are.
    fn sums(&self) -> Sums {
        (self.0.lock().unwrap_or_else(PoisonError::into_inner)).clone()
    }
}

/// Listens; the returned function answers until the daemon has ended.
///
/// # Errors
/// An address that cannot be listened on.
pub(super) fn serve_metrics<'a>(
    address: SocketAddr,
    state: &'a DaemonState,
    shipper: &'a Shipper,
    ended: &'a Shutdown,
) -> io::Result<impl FnOnce() + Send + 'a> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(move || {
        while !ended.is_requested() {
            match listener.accept() {
                Ok((client, _address)) => {
                    if let Err(error) = answer(client, state, shipper) {
                        tracing::debug!(%error, "one who asked for metrics went away");
                    }
                }
                Err(_nobody) => clock::sleep(TICK),
            }
        }
    })
}

/// Answers one request.
fn answer(mut client: TcpStream, state: &DaemonState, shipper: &Shipper) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(CLIENT_PATIENCE))?;
    client.set_write_timeout(Some(CLIENT_PATIENCE))?;
    let mut request = [0; REQUEST_SIZE_BYTES_MAX];
    let length = client.read(&mut request)?;
    let request = String::from_utf8_lossy(request.get(..length).unwrap_or_default());
    let path = request
        .strip_prefix("GET ")
        .and_then(|rest| rest.split([' ', '?']).next());
    let (status, kind, body) = match path {
        Some("/metrics") => (
            "200 OK",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            metrics(&state.sums(), &shipper.state()),
        ),
        Some("/healthz") => {
            let problems = problems(&shipper.state());
            let status = if problems.is_empty() {
                "200 OK"
            } else {
                "503 Service Unavailable"
            };
            let body = if problems.is_empty() {
                "ok\n".to_owned()
            } else {
                problems
            };
            (status, "text/plain; charset=utf-8", body)
        }
        Some(_) | None => (
            "404 Not Found",
            "text/plain",
            "there are /metrics and /healthz\n".to_owned(),
        ),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes())?;
    client.write_all(body.as_bytes())
}

/// What needs someone, a line each.
fn problems(ship: &ShipState) -> String {
    let mut lines = String::new();
    if ship.is_spool_failing {
        lines.push_str("the spool takes no windows: is the disk full?\n");
    }
    if ship.is_breaker_open {
        let error = ship.last_error.as_deref().unwrap_or_default();
        lines.push_str("the service is away; windows wait in the spool: ");
        lines.push_str(error);
        lines.push('\n');
    }
    lines
}

/// A number with its name and what it says.
type Metric = (&'static str, &'static str, u64);

/// What only grows.
fn counters(sums: &Sums, ship: &ShipState) -> [Metric; 13] {
    [
        ("windows", "Windows sampled", sums.windows),
        ("samples", "Samples kept", sums.samples),
        ("samples_idle", "Samples of idle CPUs", sums.idle),
        ("samples_lost", "Samples lost on this host", sums.lost),
        (
            "samples_truncated",
            "Samples with a cut stack",
            sums.truncated,
        ),
        (
            "frames_walked",
            "User frames walked in the kernel",
            sums.cost.frames_walked,
        ),
        (
            "batches_spooled",
            "Batches put into the spool",
            ship.batches_taken,
        ),
        (
            "batches_sent",
            "Batches sent, again included",
            ship.batches_sent,
        ),
        (
            "batches_acknowledged",
            "Batches durable at the service",
            ship.batches_acknowledged,
        ),
        (
            "windows_lost",
            "Windows that never arrive",
            ship.windows_lost,
        ),
        (
            "message_bytes_sent",
            "Bytes of messages before compression",
            ship.message_bytes_sent,
        ),
        (
            "connects",
            "Streams that the service welcomed",
            ship.connects,
        ),
        ("connect_failures", "Streams that failed", ship.failures),
    ]
}

/// What goes up and down.
fn gauges(sums: &Sums, ship: &ShipState, own: OwnUse) -> [Metric; 8] {
    let is = u64::from;
    [
        (
            "connected",
            "1 while a stream is open",
            is(ship.is_connected),
        ),
        (
            "breaker_open",
            "1 while the service is only tried at times",
            is(ship.is_breaker_open),
        ),
        (
            "spool_failing",
            "1 while the spool takes no windows",
            is(ship.is_spool_failing),
        ),
        (
            "spool_size_bytes",
            "Bytes of the spool",
            ship.spool_size_bytes,
        ),
        ("spool_batches", "Batches that wait", ship.spool_batches),
        (
            "table_size_bytes",
            "Bytes of unwind tables in the kernel",
            sums.cost.table_size_bytes,
        ),
        (
            "frames_unnamed",
            "Frames without a name, last window",
            sums.frames_unnamed,
        ),
        (
            "resident_size_bytes",
            "Memory of the daemon itself",
            own.resident_size_bytes,
        ),
    ]
}

/// Name and help of a metric, and what it tells of a family.
type OfFamily = (&'static str, &'static str, fn(&FamilyState) -> f64);

/// What the governor measured and decided.
fn governor_metrics(registry: &mut Registry, governed: &Governed) {
    let mut gauge = |name: &str, help: &str, value: f64| {
        registry.register(name, help, ConstGauge::new(value));
    };
    gauge(
        "overhead_ratio",
        "Share of the host's CPU that profiling took, last second",
        governed.overhead,
    );
    gauge(
        "overhead_budget_ratio",
        "Share of the host's CPU that profiling may take; 0 for no limit",
        governed.budget.unwrap_or(0.0),
    );
    #[expect(clippy::cast_precision_loss, reason = "bytes far below 2^53")]
    let memory = governed.memory_size_bytes as f64;
    gauge(
        "memory_size_bytes",
        "Memory of the daemon and of its maps in the kernel",
        memory,
    );
    let families: [OfFamily; 3] = [
        (
            "signal_overhead_ratio",
            "Share of the host's CPU that a signal took, last second",
            |family| family.overhead,
        ),
        (
            "signal_duty_ratio",
            "Share of the time, or of what is drawn, for which a signal is on; 0 when it is off",
            |family| family.setting.duty(),
        ),
        (
            "signal_rate_divisor",
            "How many times lower than asked for the rate of a signal is",
            |family| f64::from(family.setting.rate_divisor()),
        ),
    ];
    for (name, help, value) in families {
        let metric = Family::<[(&str, &str); 1], Gauge<f64, AtomicU64>>::default();
        for family in &governed.families {
            let labels = [("signal", family.signal.as_str())];
            metric.get_or_create(&labels).set(value(family));
        }
        registry.register(name, help, metric);
    }
    let relief = Family::<[(&str, &str); 1], Gauge>::default();
    relief
        .get_or_create(&[("given_up", governed.relief.as_str())])
        .set(1);
    registry.register("memory_relief", "What is given up for memory", relief);
}

/// The metrics as text.
fn metrics(sums: &Sums, ship: &ShipState) -> String {
    let own = OwnUse::read();
    let mut registry = Registry::with_prefix("profiler_daemon");
    for (name, help, value) in counters(sums, ship) {
        registry.register(name, help, ConstCounter::new(value));
    }
    for (name, help, value) in gauges(sums, ship, own) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        registry.register(name, help, ConstGauge::new(value));
    }
    let mut time = |name: &str, help: &str, time: Duration| {
        let seconds = ConstCounter::new(time.as_secs_f64());
        registry.register_with_unit(name, help, Unit::Seconds, seconds);
    };
    time("cpu", "CPU time of the daemon itself", own.cpu);
    governor_metrics(&mut registry, &sums.cost.governed);
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to memory does not fail");
    text
}

#[cfg(test)]
mod tests {
    use super::{ShipState, Sums, metrics, problems};

    #[test]
    fn metrics_are_text_that_ends_as_it_should() {
        let sums = Sums {
            windows: 3,
            ..Sums::default()
        };
        let text = metrics(&sums, &ShipState::default());
        assert!(
            text.contains("\nprofiler_daemon_windows_total 3\n"),
            "{text}"
        );
        assert!(text.contains("\nprofiler_daemon_connected 0\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn what_needs_someone_is_said() {
        assert_eq!("", problems(&ShipState::default()));
        let away = ShipState {
            is_breaker_open: true,
            last_error: Some("refused".to_owned()),
            ..ShipState::default()
        };
        assert!(problems(&away).contains("refused"));
    }
}
