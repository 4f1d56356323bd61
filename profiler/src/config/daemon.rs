//! Configuration of the daemon.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{ConfigError, MaxMemory, MaxOverhead};
use crate::model::Signal;

/// What `signals` may name.
const WATCHABLE: [Signal; 8] = [
    Signal::Cpu,
    Signal::OffCpu,
    Signal::Alloc,
    Signal::PageFault,
    Signal::Syscall,
    Signal::SyscallCounts,
    Signal::Tcp,
    Signal::TcpCounts,
];

/// Configuration of the daemon.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DaemonConfig {
    /// Where the query service is: `http://HOST:PORT` or `https://HOST:PORT`.
    pub server: String,
    /// Name of this host; the kernel's when empty.
    pub host: String,
    /// File whose first line is the token that the service wants. It is read again on SIGHUP.
    pub token_file: Option<PathBuf>,
    /// Certificates, for `https`.
    pub tls: ServerTlsConfig,
    /// Seconds of a window.
    pub window_seconds: u64,
    /// Samples a second and CPU.
    pub rate_hz: u32,
    /// What is watched: `cpu`, `offcpu`, `syscall`, `tcp`, `alloc`, `page_fault`.
    pub signals: Vec<Signal>,
    /// Whether time off the CPU is measured too: the same as one more of `signals`.
    pub offcpu: bool,
    /// Whether the service may have this host sampled more for a while.
    pub bursts: bool,
    /// Whether to look for inlined functions and lines.
    pub inlines: bool,
    /// Folder that keeps compiled unwind tables.
    pub cache_dir: PathBuf,
    /// Batches that wait for the service.
    pub spool: SpoolConfig,
    /// Labels of everything on this host.
    pub labels: BTreeMap<String, String>,
    /// Changes of labels, applied in order, with the meaning they have in Prometheus.
    pub relabel: Vec<RelabelConfig>,
    /// Most of the host's CPU that profiling may take: `1%`, or `off`.
    pub max_overhead: MaxOverhead,
    /// Most memory that profiling may take: `256MiB`, or `off`.
    pub max_memory: MaxMemory,
    /// The Kubernetes agent of this node, which knows the names of pods; nobody is asked without.
    pub kubelet: Option<KubeletConfig>,
    /// Address of `/metrics` and `/healthz`; none without.
    pub listen_metrics: Option<SocketAddr>,
}

/// How the service is known, and how the daemon makes itself known, in PEM files. They are read
/// again whenever the daemon connects.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerTlsConfig {
    /// Authorities that the service's certificate may lead to; the system's without.
    pub ca: Option<PathBuf>,
    /// The daemon's own certificate.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// Name in the service's certificate, when it is not that of the URL.
    pub domain: Option<String>,
}

/// Batches that wait for the service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolConfig {
    /// Their folder.
    pub dir: PathBuf,
    /// Most mebibytes; the oldest batches go first.
    pub size_mib: u64,
}

/// Where the list of the node's pods is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KubeletConfig {
    /// `https://HOST:10250/pods`, or `http://HOST:10255/pods` where the open port is on.
    pub url: String,
    /// File whose first line is a token that may read the list. It is read each time.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Authority of the kubelet's certificate, PEM. Needed for https.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// One change of labels.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelabelConfig {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What is put between them.
    pub separator: String,
    /// What the whole joined value must match.
    pub regex: String,
    /// Where the result goes.
    pub target_label: String,
    /// What the result is.
    pub replacement: String,
    /// What is done.
    pub action: String,
    /// What `hashmod` divides by.
    pub modulus: u64,
}

impl Default for DaemonConfig {
    fn default() -> Self {
        Self {
            server: String::new(),
            host: String::new(),
            token_file: None,
            tls: ServerTlsConfig::default(),
            window_seconds: 10,
            rate_hz: 99,
            signals: vec![Signal::Cpu],
            offcpu: false,
            bursts: true,
            inlines: true,
            cache_dir: PathBuf::from("/var/cache/profiler/unwind"),
            spool: SpoolConfig::default(),
            labels: BTreeMap::new(),
            relabel: Vec::new(),
            max_overhead: MaxOverhead::default(),
            max_memory: MaxMemory::default(),
            kubelet: None,
            listen_metrics: None,
        }
    }
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("/var/lib/profiler/spool"),
            // Hours of a busy host: docs/design/0005-spool.md.
            size_mib: 256,
        }
    }
}

impl Default for RelabelConfig {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: "replace".to_owned(),
            modulus: 0,
        }
    }
}

impl DaemonConfig {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// The key that cannot be used, and why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let tls = &self.tls;
        let is_url = ["http://", "https://"]
            .iter()
            .any(|scheme| self.server.starts_with(scheme));
        let checks = [
            (
                is_url,
                "server",
                "must be http://HOST:PORT or https://HOST:PORT",
            ),
            (
                tls.cert.is_some() == tls.key.is_some(),
                "tls.cert",
                "must be set together with tls.key",
            ),
            (
                (self.kubelet.iter())
                    .all(|kubelet| kubelet.url.starts_with("http://") || kubelet.ca.is_some()),
                "kubelet.ca",
                "must name the authority of the kubelet's certificate, for https",
            ),
            (
                (1..=60).contains(&self.window_seconds),
                "window_seconds",
                "must be 1 to 60",
            ),
            (
                (1..=10_000).contains(&self.rate_hz),
                "rate_hz",
                "must be 1 to 10000",
            ),
            (
                !self.signals.is_empty() && self.signals.iter().all(|s| WATCHABLE.contains(s)),
                "signals",
                "must name some of cpu, offcpu, syscall, syscall_counts, tcp, tcp_counts, alloc, \
                 page_fault",
            ),
            (
                (1..=1_048_576).contains(&self.spool.size_mib),
                "spool.size_mib",
                "must be 1 to 1048576",
            ),
        ];
        match checks.into_iter().find(|(is_right, _, _)| !is_right) {
            Some((_, key, why)) => Err(ConfigError::Value { key, why }),
            None => Ok(()),
        }
    }

    /// What is watched.
    pub fn watched(&self) -> impl Iterator<Item = Signal> {
        let named = self.signals.iter().copied();
        named.chain(self.offcpu.then_some(Signal::OffCpu))
    }

    /// Length of a window.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_seconds)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::{super::load, ConfigError, DaemonConfig, Signal};

    /// A file with a text.
    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    /// Loads a text as a file.
    fn parse(text: &str) -> Result<DaemonConfig, ConfigError> {
        load(file(text).path())
    }

    #[test]
    fn every_section_can_be_set() {
        let config = parse(
            "server = \"https://a:1\"\nhost = \"h\"\ntoken_file = \"t\"\nwindow_seconds = 5\n\
             rate_hz = 49\nsignals = [\"cpu\"]\noffcpu = true\nbursts = false\nlisten_metrics = \"127.0.0.1:7318\"\n[tls]\nca = \"c\"\n\
             [kubelet]\nurl = \"https://node:10250/pods\"\ntoken_file = \"k\"\nca = \"c\"\n\
             [spool]\ndir = \"/s\"\nsize_mib = 3\n[labels]\nzone = \"z\"\n\
             [[relabel]]\nsource_labels = [\"unit\"]\ntarget_label = \"service\"\n",
        )
        .unwrap();
        config.validate().unwrap();
        let watched: Vec<Signal> = config.watched().collect();
        assert_eq!(vec![Signal::Cpu, Signal::OffCpu], watched);
        assert!(!config.bursts);
        assert_eq!("z", config.labels["zone"]);
        assert_eq!("replace", config.relabel[0].action);
        assert_eq!(3, config.spool.size_mib);
    }

    #[test]
    fn a_key_that_is_not_known_is_named() {
        for (text, key) in [("sever = 1", "sever"), ("[spool]\nsize = 1", "size")] {
            let source = parse(text).unwrap_err();
            let source = source.source().unwrap().to_string();
            assert!(source.contains(key), "{source}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_named() {
        let refused = |text: &str| parse(text).unwrap().validate().unwrap_err().to_string();
        assert!(refused("").starts_with("server: "));
        let kubelet = "server = \"http://a\"\n[kubelet]\nurl = \"https://a:1/pods\"";
        assert!(refused(kubelet).starts_with("kubelet.ca: "));
        assert!(refused("server = \"http://a\"\nrate_hz = 0").starts_with("rate_hz: "));
        assert!(refused("server = \"http://a\"\nwindow_seconds = 61").starts_with("window_"));
        assert!(refused("server = \"http://a\"\nsignals = []").starts_with("signals: "));
        assert!(refused("server = \"http://a\"\nsignals = [\"imported\"]").starts_with("signals"));
        assert!(refused("server = \"http://a\"\n[tls]\ncert = \"c\"").starts_with("tls.cert: "));
    }
}
