//! `profiler serve`: the query service.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    backup,
    exit::{eprint, print},
};
use crate::{
    config::{self, ServiceConfig},
    service::run::{Service, Store as _, open_store},
};

/// Run the query service: it takes what daemons deliver, stores it and answers.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  profiler serve --data ./data                     on this host only, without tokens
  profiler serve --data ./data --budget budget.toml
  profiler serve --config /etc/profiler/service.toml
  profiler serve --backup /backup/today --server http://127.0.0.1:7317
                                                   copy the store of a running service
  profiler serve --backup /backup/today --data /var/lib/profiler
                                                   copy the store of a stopped one

A backup is a folder that --data takes. SIGHUP reads tokens and certificates again.")]
pub struct ServeArgs {
    /// Address to listen on, for daemons and people alike [default: 127.0.0.1:7317]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Folder of the store [default: /var/lib/profiler]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration, TOML; the arguments above count more
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Budget that is looked at all the time: alerts come from it
    #[arg(long, value_name = "FILE")]
    budget: Option<PathBuf>,
    /// Write the log as JSON, a line an entry
    #[arg(long)]
    pub(super) log_json: bool,
    /// Copy the store into this folder and end
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,
    /// How to reach the running service whose store is copied
    #[command(flatten)]
    server: backup::ServerArgs,
}

/// Runs the service until it is told to stop, or makes a copy of a store.
///
/// # Errors
/// What of the configuration, the store or the address cannot be used.
pub fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start threads")?;
    match &args.backup {
        None => {
            let config = configure(args)?;
            runtime.block_on(serve(&config))?;
        }
        Some(dir) if args.server.is_given() => {
            let written = runtime.block_on(backup::of_running(&args.server, dir))?;
            print(&written)?;
        }
        Some(dir) => {
            let store = open_store(&configure(args)?)?;
            store.backup(dir).context("copy the store")?;
            print(&format!("{}\n", dir.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration: the file's, with what was typed.
fn configure(args: &ServeArgs) -> anyhow::Result<ServiceConfig> {
    let mut config: ServiceConfig = match &args.config {
        Some(path) => config::load(path).context("configuration")?,
        None => ServiceConfig::default(),
    };
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if let Some(data) = &args.data {
        config.data.clone_from(data);
    }
    if let Some(budget) = &args.budget {
        config.budget = Some(budget.clone());
    }
    config.validate().context("configuration")?;
    Ok(config)
}

/// Runs the service until SIGTERM or SIGINT.
async fn serve(config: &ServiceConfig) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let store = open_store(config)?;
    let service = Service::start_embedded(config, &store).await?;
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let (address, data) = (service.address(), config.data.display());
    eprint(&format!(
        "profiler: listening on {scheme}://{address}, data in {data}"
    ));
    while signals.next().await == Wish::Reload {
        match service.reload() {
            Ok(()) => tracing::info!("tokens and certificates were read again"),
            Err(error) => tracing::error!("what was read before stays: {error:#}"),
        }
    }
    eprint("profiler: stopping");
    service.stop().await;
    tokio::task::spawn_blocking(move || drop(store))
        .await
        .context("close the store")
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    Stop,
    Reload,
}

/// Signals that mean something.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let watch = |kind| signal(kind).context("watch for signals");
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::{ServeArgs, ServiceConfig, configure};

    /// The configuration of a command line.
    fn configured(args: &[&str]) -> anyhow::Result<ServiceConfig> {
        let command = ServeArgs::augment_args(Command::new("serve").no_binary_name(true));
        let matches = command.try_get_matches_from(args)?;
        configure(&ServeArgs::from_arg_matches(&matches)?)
    }

    #[test]
    fn what_is_typed_counts_more_than_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:1\"\ndata = \"/file\"\n").unwrap();
        let file = path.to_string_lossy();
        let config = configured(&["--config", &file, "--data", "/typed"]).unwrap();
        assert_eq!(
            ("127.0.0.1:1", "/typed"),
            (&*config.listen.to_string(), config.data.to_str().unwrap())
        );
        assert_eq!(ServiceConfig::default(), configured(&[]).unwrap());
    }

    #[test]
    fn a_file_that_is_wrong_is_named_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.toml");
        std::fs::write(&path, "[limits]\nmemory = 1\n").unwrap();
        let error = configured(&["--config", &path.to_string_lossy()]).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("service.toml") && text.contains("memory"),
            "{text}"
        );
    }
}
