//! Labels, and the series they make.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// Labels by name: `host`, `service`, `comm`, `pid` …
pub type Labels = BTreeMap<String, String>;

/// Content address of a set of labels: the same labels have the same id everywhere.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize,
)]
pub struct SeriesId(pub u64);

impl SeriesId {
    /// The id of some labels.
    pub fn of(labels: &Labels) -> Self {
        let mut hash = Xxh3::new();
        for text in labels.iter().flat_map(|(name, value)| [name, value]) {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        Self(hash.digest())
    }
}

/// Labels that are shared and quick to compare: threads by the thousand have the same ones.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LabelSet {
    id: SeriesId,
    labels: Arc<Labels>,
}

impl LabelSet {
    /// Takes labels.
    pub fn new(labels: Labels) -> Self {
        Self {
            id: SeriesId::of(&labels),
            labels: Arc::new(labels),
        }
    }

    /// The labels.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl Hash for LabelSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// Names of the labels that the product sets itself.
pub mod label {
    /// Host the data comes from.
    pub const HOST: &str = "host";
    /// What the process is part of: the first of a configured name, the container's, the systemd
    /// unit's and the executable's.
    pub const SERVICE: &str = "service";
    /// Name of the process.
    pub const COMM: &str = "comm";
    /// Name of the thread.
    pub const THREAD: &str = "thread";
    /// Number of the process.
    pub const PID: &str = "pid";
    /// Path of the cgroup.
    pub const CGROUP: &str = "cgroup";
    /// Id of the container.
    pub const CONTAINER: &str = "container";
    /// Systemd unit.
    pub const UNIT: &str = "unit";
    /// Path of the executable, as the process sees it.
    pub const EXE: &str = "exe";
    /// Build id of the executable.
    pub const BUILD_ID: &str = "build_id";
    /// What an operator calls the version of a service.
    pub const VERSION: &str = "version";
    /// What a thread waited for, of time off the CPU: `lock`, `disk`, `network` …
    pub const REASON: &str = "reason";
    /// Name of the Kubernetes pod.
    pub const POD: &str = "pod";
    /// Namespace of the Kubernetes pod.
    pub const NAMESPACE: &str = "namespace";
    /// Name of the container in its Kubernetes pod.
    pub const CONTAINER_NAME: &str = "container_name";
    /// Number of the burst that the samples were taken in.
    pub const BURST: &str = "burst";
    /// Unique id of the Kubernetes pod.
    pub const POD_UID: &str = "pod_uid";
}

/// What one column of values counts: `cpu:samples:count`. The store's key beside the labels.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct ProfileType {
    /// `cpu`, `offcpu` …, or the name of an imported profile.
    pub signal: String,
    /// What is counted.
    pub kind: String,
    /// Its unit.
    pub unit: String,
}

impl fmt::Display for ProfileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.signal, self.kind, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::{Labels, SeriesId};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn texts_do_not_run_together() {
        assert_ne!(
            SeriesId::of(&labels(&[("a", "bc")])),
            SeriesId::of(&labels(&[("ab", "c")]))
        );
    }

    #[test]
    fn ids_never_change() {
        // Stored data of every release holds this number.
        let id = SeriesId::of(&labels(&[("comm", "nginx"), ("host", "a")]));
        assert_eq!(SeriesId(GOLDEN_ID), id);
    }

    /// The id as the first release made it.
    const GOLDEN_ID: u64 = 120_579_986_486_938_193;
}
