//! `profiler daemon`: the per-host agent.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;

use super::{exit::eprint, signals};
use crate::{
    config::{DaemonConfig, MaxMemory, MaxOverhead, load},
    host::{
        Shutdown,
        daemon::{self, Reload, Signals},
    },
};

/// Sample this host for good and ship every window to a query service
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
What is given here weighs more than the file. Windows wait on disk while the service is away.
SIGTERM and Ctrl-C ship what waits, at most 10 seconds long, and end; SIGHUP reads the file again
(labels, relabel rules, server, token and certificates change at once, the rest at the next start).

Examples:
  profiler daemon --server http://127.0.0.1:7317
  profiler daemon --server https://profiler.example:7317 --config /etc/profiler/daemon.toml
  profiler daemon --server http://10.0.0.5:7317 --label env=prod --listen-metrics 127.0.0.1:7318

A configuration file:
  server = \"https://profiler.example:7317\"
  token_file = \"/etc/profiler/token\"
  signals = [\"cpu\", \"offcpu\"]       # what to watch
  max_overhead = \"1%\"             # of the host's CPU; sampling is thinned above it
  max_memory = \"256MiB\"
  bursts = false                    # take no orders to sample more for a while
  tls = { ca = \"/etc/profiler/ca.pem\" }
  spool = { dir = \"/var/lib/profiler/spool\", size_mib = 256 }
  labels = { env = \"prod\" }
  [[relabel]]                       # Prometheus's rules
  source_labels = [\"comm\"]
  regex = \"kworker.*\"
  action = \"drop\"")]
pub struct DaemonArgs {
    /// The query service
    #[arg(long, value_name = "URL", env = "PROFILER_SERVER")]
    server: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File whose first line is the token that the service wants
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Folder for windows that wait for the service [default: /var/lib/profiler/spool]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Label of everything on this host; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
    /// Samples a second, on each CPU [default: 99]
    #[arg(short = 'F', long, value_name = "HZ")]
    frequency: Option<u32>,
    /// Most of the host's CPU that the daemon may take, all CPUs together; off for no limit
    /// [default: 1%]
    #[arg(long, value_name = "SHARE")]
    max_overhead: Option<MaxOverhead>,
    /// Most memory that the daemon may take; off for no limit [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<MaxMemory>,
    /// Seconds of a window [default: 10]
    #[arg(long, value_name = "SECS")]
    window: Option<u64>,
    /// Address of /metrics and /healthz; none when left out
    #[arg(long, value_name = "ADDRESS")]
    listen_metrics: Option<SocketAddr>,
}

/// Reads `NAME=VALUE`.
fn parse_label(text: &str) -> Result<(String, String), String> {
    let pair = text
        .split_once('=')
        .filter(|(name, _value)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| "must be NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs until a signal ends it.
///
/// # Errors
/// Each names the cause and the way out.
pub fn run(args: &DaemonArgs) -> anyhow::Result<ExitCode> {
    let config = read(args)?;
    let signals = Signals {
        shutdown: Shutdown::default(),
        reload: Reload::default(),
    };
    signals::stop_on_signals(&signals.shutdown).context("listen for SIGTERM")?;
    signals::reload_on_hangup(&signals.reload).context("listen for SIGHUP")?;
    let again = args.clone();
    let shipped = daemon::run(&config, &move || read(&again), &signals)?;
    eprint(&format!(
        "{} windows delivered, {} lost; {} wait in {}",
        shipped.batches_acknowledged,
        shipped.windows_lost,
        shipped.spool_batches,
        config.spool.dir.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The file with what was typed on top.
fn read(args: &DaemonArgs) -> anyhow::Result<DaemonConfig> {
    let mut config = match &args.config {
        Some(path) => load(path)?,
        None => DaemonConfig::default(),
    };
    if let Some(server) = &args.server {
        config.server.clone_from(server);
    }
    if let Some(token_file) = &args.token_file {
        config.token_file = Some(token_file.clone());
    }
    if let Some(spool) = &args.spool {
        config.spool.dir.clone_from(spool);
    }
    if let Some(rate_hz) = args.frequency {
        config.rate_hz = rate_hz;
    }
    if let Some(share) = args.max_overhead {
        config.max_overhead = share;
    }
    if let Some(size) = args.max_memory {
        config.max_memory = size;
    }
    if let Some(window) = args.window {
        config.window_seconds = window;
    }
    if let Some(address) = args.listen_metrics {
        config.listen_metrics = Some(address);
    }
    config.labels.extend(args.label.iter().cloned());
    config.validate()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{super::args::Command, DaemonArgs, read};
    use crate::cli::Args;

    fn parse(line: &[&str]) -> DaemonArgs {
        let line = ["profiler", "daemon"].iter().chain(line);
        let Command::Daemon(args) = Args::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        args
    }

    #[test]
    fn what_was_typed_weighs_more_than_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.toml");
        std::fs::write(
            &path,
            "server = \"http://a\"\nrate_hz = 7\n[labels]\na = \"1\"\nb = \"2\"\n",
        )
        .unwrap();
        let file = path.to_str().unwrap();
        let args = parse(&["--config", file, "--server", "http://b", "--label", "a=3"]);
        let config = read(&args).unwrap();
        assert_eq!(("http://b", 7), (config.server.as_str(), config.rate_hz));
        assert_eq!(
            ("3", "2"),
            (config.labels["a"].as_str(), config.labels["b"].as_str())
        );
    }

    #[test]
    fn without_a_service_it_says_which_key_is_missing() {
        let error = read(&parse(&[])).unwrap_err().to_string();
        assert!(error.starts_with("server: "), "{error}");
    }
}
