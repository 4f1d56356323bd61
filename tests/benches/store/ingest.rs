//! How fast the service takes windows, and how small it keeps them.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use profiler::clock;
use profiler_tests::harness::fleet::{Capture, FleetShape, Sender, SimulatedHost};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{process, service};

/// Windows of all hosts together; a few hosts deliver longer than many do.
const WINDOWS: u32 = 12_000;
/// Windows of each host, at least and at most: two minutes, ten minutes.
const HOST_WINDOWS: (u32, u32) = (12, 60);
/// How often a host tries to deliver what the service refused.
const TRIES: u32 = 100;

/// Measures for each number of hosts, and prints a table.
///
/// # Errors
/// When the service cannot be started, or loses anything.
pub(crate) fn measure(capture: &Arc<Capture>, sizes: &[u32]) -> anyhow::Result<()> {
    println!(
        "{:<6} {:>12} {:>10} {:>12} {:>15} {:>9} {:>9}",
        "hosts", "samples", "samples/s", "bytes/sample", "CPU-s/M-samples", "peak-MiB", "waits"
    );
    sizes.iter().try_for_each(|hosts| one(capture, *hosts))
}

/// Daemons that deliver at once, as fast as they are let, until everything is merged on disk.
fn one(capture: &Arc<Capture>, hosts: u32) -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let shape = FleetShape::default();
    let mut service = service::Running::start(dir.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let senders = line_up(capture, shape, hosts, &service.url);
    let begun = clock::monotonic();
    let cpu_begun = process::cpu_time(service.pid())?;
    let senders = runtime.block_on(deliver(senders))?;
    service.settle()?;
    let spent = clock::monotonic().saturating_sub(begun);
    let cpu = process::cpu_time(service.pid())?.saturating_sub(cpu_begun);
    let samples: u64 = senders.iter().map(|sender| sender.acknowledged).sum();
    let pushed = u64::from(hosts * windows(hosts)) * u64::from(shape.samples);
    anyhow::ensure!(
        pushed == samples,
        "{pushed} samples sent, {samples} acknowledged"
    );
    let waits: u64 = senders.iter().map(|sender| sender.slow_downs).sum();
    let samples = samples as f64;
    println!(
        "{:<6} {:>12.0} {:>10.0} {:>12.2} {:>15.2} {:>9} {:>9}",
        hosts,
        samples,
        samples / spent.as_secs_f64(),
        process::size_bytes(dir.path())? as f64 / samples,
        cpu.as_secs_f64() / samples * 1e6,
        process::memory_mib(service.pid(), "VmHWM")?,
        waits,
    );
    Ok(())
}

/// Windows of each host.
fn windows(hosts: u32) -> u32 {
    let (least, most) = HOST_WINDOWS;
    (WINDOWS / hosts.max(1)).clamp(least, most)
}

/// Senders with all their windows. They are made before, so that only the service is measured.
fn line_up(capture: &Arc<Capture>, shape: FleetShape, hosts: u32, url: &str) -> Vec<Sender> {
    let epoch = clock::wall().saturating_sub(Duration::from_secs(2 * 3_600));
    let to_sender = |number| {
        let mut host = SimulatedHost::new(Arc::clone(capture), shape, number);
        let mut sender = Sender::new(url, &host.name(), number);
        for window in 0..windows(hosts) {
            sender.push(host.batch(window, epoch));
        }
        sender
    };
    (0..hosts).map(to_sender).collect()
}

/// Delivers everything.
async fn deliver(senders: Vec<Sender>) -> anyhow::Result<Vec<Sender>> {
    let mut daemons = JoinSet::new();
    for mut sender in senders {
        daemons.spawn(async move {
            let mut last = Ok(());
            for _try in 0..TRIES {
                last = sender.deliver().await;
                if last.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            last.map(|()| sender)
        });
    }
    let mut done = Vec::new();
    while let Some(sender) = daemons.join_next().await {
        done.push(sender.context("a daemon ended early")??);
    }
    Ok(done)
}
