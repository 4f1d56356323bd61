//! `profiler up`: the daemon and the query service in one process.

mod delivery;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, thread, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;

use self::delivery::Delivery;
use super::{
    event::EventName,
    exit::eprint,
    record::{UnwindName, default_cache_dir},
    serve::{Signals, Wish},
};
use crate::{
    config::{MaxMemory, MaxOverhead, ServiceConfig},
    host::{
        Shutdown,
        run::{Budget, Bursts, SharedLabelRules, SignalOptions, WatchOptions, host_name, watch},
    },
    model::Signal,
    service::run::{EmbeddedStore, Service, Store, open_store},
};

/// Profile this host all the time and answer questions about it: daemon and query service in one
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  profiler up                              until Ctrl-C; what was sampled stays in /var/lib/profiler
  profiler up --data ./data -F 19          gently, into a folder of its own
  profiler up -e cpu,offcpu                where threads wait, too

Then, in another terminal:
  profiler query flamegraph -o out.svg     the last hour as a flame graph
  profiler query top '{comm=\"nginx\"}'      what takes the most, of one program")]
pub struct UpArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7317")]
    listen: SocketAddr,
    /// Folder of the store
    #[arg(long, value_name = "DIR", default_value = "/var/lib/profiler")]
    data: PathBuf,
    /// Budget that is looked at all the time: alerts come from it
    #[arg(long, value_name = "FILE")]
    budget: Option<PathBuf>,
    /// Samples a second, on each CPU
    #[arg(short = 'F', long, value_name = "HZ", default_value_t = 99, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frequency: u32,
    /// What to watch
    #[arg(
        short,
        long,
        value_name = "EVENT",
        value_delimiter = ',',
        default_value = "cpu"
    )]
    event: Vec<EventName>,
    /// Measure time off the CPU too: the same as one more event
    #[arg(long)]
    offcpu: bool,
    /// Most of the host's CPU that sampling may take, all CPUs together; off for no limit
    #[arg(long, value_name = "SHARE", default_value_t)]
    max_overhead: MaxOverhead,
    /// Most memory that sampling may take; off for no limit
    #[arg(long, value_name = "SIZE", default_value_t)]
    max_memory: MaxMemory,
    /// Seconds of a window
    #[arg(long, value_name = "SECS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    window: u32,
    /// How to follow user stacks
    #[arg(long, value_name = "HOW", default_value = "auto")]
    unwind: UnwindName,
}

/// Runs until it is told to stop.
///
/// # Errors
/// The store, the address or the kernel cannot be used.
pub fn run(args: &UpArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start threads")?;
    let config = ServiceConfig {
        listen: args.listen,
        data: args.data.clone(),
        budget: args.budget.clone(),
        ..ServiceConfig::default()
    };
    let store = open_store(&config)?;
    runtime.block_on(serve_and_watch(args, &config, Arc::clone(&store)))?;
    // Closing writes what is in memory.
    drop(runtime);
    drop(store);
    Ok(ExitCode::SUCCESS)
}

/// Both halves, until a signal or the end of one of them.
async fn serve_and_watch(
    args: &UpArgs,
    config: &ServiceConfig,
    store: Arc<EmbeddedStore>,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let service = Service::start_embedded(config, &store).await?;
    let host = host_name();
    let delivery = Delivery::new(store as Arc<dyn Store>, service.live());
    let shutdown = Shutdown::default();
    let bursts = Bursts::default();
    let (sampling, mut ended) = start_sampling(args, &bursts, delivery, &shutdown);
    // Tells those who ask that this host is there.
    let mut connected = service.live().connect(&host, true);
    greet(&service, config, &host);
    loop {
        tokio::select! {
            wish = signals.next() => if wish == Wish::Stop { break },
            Some(order) = connected.orders.recv() => bursts.order(order),
            _ = &mut ended => break,
        }
    }
    eprint("profiler: stopping");
    shutdown.request();
    let sampled = tokio::task::spawn_blocking(move || sampling.join())
        .await
        .context("wait for the last window")?;
    service.stop().await;
    match sampled {
        Ok(result) => result,
        Err(_panic) => bail!("sampling ended by a fault of its own"),
    }
}

/// The sampling thread, and what tells that it ended.
type Sampling = (
    thread::JoinHandle<anyhow::Result<()>>,
    tokio::sync::oneshot::Receiver<()>,
);

/// Samples on a thread of its own.
fn start_sampling(
    args: &UpArgs,
    bursts: &Bursts,
    mut delivery: Delivery,
    shutdown: &Shutdown,
) -> Sampling {
    let options = WatchOptions {
        host: host_name(),
        unwinding: args.unwind.into(),
        rate_hz: args.frequency,
        signals: SignalOptions::with_tables(signals(args)),
        window: Duration::from_secs(args.window.into()),
        cache_dir: Some(default_cache_dir()),
        inlines: true,
        budget: Budget {
            overhead: args.max_overhead,
            memory: args.max_memory,
            governs_all: true,
            counts_always: false,
        },
        bursts: Some(bursts.clone()),
    };
    let shutdown = shutdown.clone();
    let (send, ended) = tokio::sync::oneshot::channel();
    let sampling = thread::spawn(move || {
        let labels = SharedLabelRules::default();
        let result = watch(&options, &labels, &shutdown, &mut |window| {
            delivery.deliver(window.batch());
        });
        drop(send);
        result
    });
    (sampling, ended)
}

/// What was asked for.
fn signals(args: &UpArgs) -> impl Iterator<Item = Signal> {
    let named = args.event.iter().copied().map(Signal::from);
    named.chain(args.offcpu.then_some(Signal::OffCpu))
}

/// Says where to look.
fn greet(service: &Service, config: &ServiceConfig, host: &str) {
    let address = service.address();
    eprint(&format!(
        "profiler: listening on http://{address}, data in {}\n\
         profiling {host} until Ctrl-C; open that address in a browser, or ask in another terminal:\n  \
         profiler query flamegraph -o flamegraph.svg\n  \
         profiler query top\n  \
         profiler query hosts",
        config.data.display()
    ));
}
