//! The per-host agent: samples, labels, names and ships until someone asks to stop.
//!
//! Part of the composition root.

use std::{sync::Arc, thread, time::Duration};

use anyhow::Context as _;

use super::{
    bursts::Bursts,
    continuous::{SharedLabelRules, WatchOptions, WatchedWindow},
    governing::Budget,
    kubelet::{self, Kubelet},
    labels::{LabelRules, Pods, Rule, RuleText},
    metrics::{DaemonState, serve_metrics},
    probe::{SignalOptions, Unwinding},
    sampling::host_name,
    ship::{ShipState, Shipper, TakeBurst, Target},
    shutdown::Shutdown,
    systemd,
    watch::watch,
};
use crate::{
    clock,
    config::{DaemonConfig, KubeletConfig, RelabelConfig},
    telemetry::Throttle,
};

/// Longest time that what waits is shipped for when the daemon ends.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// Time between two lines of the log about a kubelet that does not answer.
const KUBELET_LOG_PAUSE: Duration = Duration::from_secs(600);
/// Time between two looks at the wish to reload.
const RELOAD_TICK: Duration = Duration::from_millis(200);

/// Reads the configuration again; called on SIGHUP.
pub type ReadConfig = dyn Fn() -> anyhow::Result<DaemonConfig> + Send + Sync;

/// What a daemon listens to.
pub struct Signals {
    /// Set to end it.
    pub shutdown: Shutdown,
    /// Requested to have it read its configuration again.
    pub reload: Reload,
}

/// The wish to read the configuration again.
#[derive(Clone, Debug, Default)]
pub struct Reload(Arc<std::sync::atomic::AtomicBool>);

impl Reload {
    /// Asks for it.
    pub fn request(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Release);
    }

    /// Takes the wish.
    fn take(&self) -> bool {
        self.0.swap(false, std::sync::atomic::Ordering::AcqRel)
    }
}

/// Runs until someone asks to stop, then ships what it holds; what cannot be shipped in time stays
/// in the spool. Returns what was shipped.
///
/// # Errors
/// A configuration that cannot be used, or what kept the probe from being loaded or the spool from
/// being opened. A service that is away is no error.
pub fn run(
    config: &DaemonConfig,
    read_config: &ReadConfig,
    signals: &Signals,
) -> anyhow::Result<ShipState> {
    config.validate()?;
    let labels = SharedLabelRules::default();
    let pods = Pods::default();
    labels.replace(label_rules(config, &pods)?);
    let bursts = config.bursts.then(Bursts::default);
    let shipper = Shipper::start(
        &config.spool.dir,
        config.spool.size_mib << 20,
        host_of(config),
        target(config),
        bursts
            .clone()
            .map(|bursts| -> TakeBurst { Box::new(move |order| bursts.order(order)) }),
    )
    .context("open the spool")?;
    let state = DaemonState::default();
    let ended = Shutdown::default();
    let rules = Rules {
        labels: &labels,
        pods: &pods,
    };
    let watched = thread::scope(|scope| {
        if let Some(address) = config.listen_metrics {
            let listening = serve_metrics(address, &state, &shipper, &ended);
            let server = listening.with_context(|| format!("listen on {address} for metrics"))?;
            scope.spawn(server);
        }
        scope.spawn(|| follow_reloads(read_config, rules, &shipper, signals, &ended));
        if let Some(kubelet) = &config.kubelet {
            let (pods, ended) = (&pods, &ended);
            scope.spawn(move || follow_pods(kubelet, pods, ended));
        }
        scope.spawn(|| systemd::notify_until(&ended, &state, config.window()));
        let watched = sample(
            &options(config, bursts),
            &labels,
            &shipper,
            &state,
            &signals.shutdown,
        );
        systemd::notify("STOPPING=1");
        ended.request();
        watched
    });
    let shipped = shipper.stop(STOP_PATIENCE);
    watched?;
    Ok(shipped)
}

/// Samples and ships every window.
fn sample(
    options: &WatchOptions,
    labels: &SharedLabelRules,
    shipper: &Shipper,
    state: &DaemonState,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let deliver = &mut |window: WatchedWindow| {
        shipper.push(window.batch());
        state.window_done(&window, clock::monotonic());
    };
    watch(options, labels, shutdown, deliver)
}

/// How to watch the host.
fn options(config: &DaemonConfig, bursts: Option<Bursts>) -> WatchOptions {
    WatchOptions {
        host: host_of(config),
        unwinding: Unwinding::Auto,
        rate_hz: config.rate_hz,
        signals: SignalOptions::with_tables(config.watched()),
        window: config.window(),
        cache_dir: Some(config.cache_dir.clone()),
        inlines: config.inlines,
        budget: Budget {
            overhead: config.max_overhead,
            memory: config.max_memory,
            governs_all: true,
            counts_always: false,
        },
        bursts,
    }
}

/// What labels are made by.
#[derive(Clone, Copy)]
struct Rules<'a> {
    labels: &'a SharedLabelRules,
    pods: &'a Pods,
}

/// Keeps the names of pods true, as far as the kubelet tells them.
fn follow_pods(config: &KubeletConfig, pods: &Pods, ended: &Shutdown) {
    let kubelet = Kubelet {
        url: config.url.clone(),
        token_file: config.token_file.clone(),
        ca: config.ca.clone(),
    };
    let log = Throttle::new(KUBELET_LOG_PAUSE);
    let mut next = Duration::ZERO;
    while !ended.is_requested() {
        let now = clock::monotonic();
        if now < next {
            clock::sleep(RELOAD_TICK);
            continue;
        }
        next = now + kubelet::REFRESH_PAUSE;
        match kubelet::read_pods(&kubelet) {
            Ok(containers) => pods.replace(containers),
            Err(error) => {
                if let Some(held_back) = log.pass(now) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, held_back, "pods are known as they were");
                }
            }
        }
    }
}

/// Reads the configuration again whenever someone asks. What cannot be used leaves everything as it
/// is. Rate, window and spool are those of the start.
fn follow_reloads(
    read_config: &ReadConfig,
    rules: Rules<'_>,
    shipper: &Shipper,
    signals: &Signals,
    ended: &Shutdown,
) {
    while !ended.is_requested() {
        clock::sleep(RELOAD_TICK);
        if !signals.reload.take() {
            continue;
        }
        systemd::notify("RELOADING=1");
        match reload(read_config, rules, shipper) {
            Ok(()) => tracing::info!("configuration read again"),
            Err(error) => tracing::warn!("configuration stays as it was: {error:#}"),
        }
        systemd::notify("READY=1");
    }
}

/// Takes what can change while sampling goes on: labels, rules, service, token, certificates.
fn reload(read_config: &ReadConfig, rules: Rules<'_>, shipper: &Shipper) -> anyhow::Result<()> {
    let config = read_config()?;
    config.validate()?;
    let labels = label_rules(&config, rules.pods)?;
    shipper.retarget(target(&config));
    rules.labels.replace(labels);
    Ok(())
}

/// The configured name of this host, or the kernel's.
fn host_of(config: &DaemonConfig) -> String {
    if config.host.is_empty() {
        host_name()
    } else {
        config.host.clone()
    }
}

/// Where to ship to.
fn target(config: &DaemonConfig) -> Target {
    Target {
        server: config.server.clone(),
        token_file: config.token_file.clone(),
        tls: config.tls.clone(),
    }
}

/// Labels and rules of the configuration, checked.
fn label_rules(config: &DaemonConfig, pods: &Pods) -> anyhow::Result<LabelRules> {
    let rule = |(index, rule): (usize, &RelabelConfig)| {
        let rule = Rule::new(rule_text(rule));
        rule.with_context(|| format!("relabel: rule {}", index + 1))
    };
    Ok(LabelRules {
        fixed: config.labels.clone(),
        rules: (config.relabel.iter().enumerate())
            .map(rule)
            .collect::<anyhow::Result<_>>()?,
        pods: pods.clone(),
    })
}

/// A rule as the labels take it.
fn rule_text(rule: &RelabelConfig) -> RuleText {
    RuleText {
        source_labels: rule.source_labels.clone(),
        separator: rule.separator.clone(),
        regex: rule.regex.clone(),
        target_label: rule.target_label.clone(),
        replacement: rule.replacement.clone(),
        action: rule.action.clone(),
        modulus: rule.modulus,
    }
}
