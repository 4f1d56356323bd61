//! Names of pods and containers, which someone else keeps true.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::cgroup_path::CgroupFacts;
use crate::model::PodContainer;

/// Pods of this host. Clones share it; empty where nobody tells of any.
#[derive(Clone, Debug, Default)]
pub struct Pods(Arc<Shared>);

/// What the clones share.
#[derive(Debug, Default)]
struct Shared {
    /// Counts changes.
    version: AtomicU64,
    directory: RwLock<Directory>,
}

/// Containers by what a cgroup tells of them.
#[derive(Debug, Default, PartialEq)]
struct Directory {
    by_container: HashMap<String, Arc<PodContainer>>,
    /// By the pod's id without hyphens: static pods are written without.
    by_pod: HashMap<String, Arc<PodContainer>>,
}

/// An id without what only makes it easier to read.
fn bare(uid: &str) -> String {
    uid.replace('-', "")
}

impl Pods {
    /// Replaces what is known.
    pub fn replace(&self, containers: Vec<PodContainer>) {
        let mut directory = Directory::default();
        for container in containers.into_iter().map(Arc::new) {
            if container.container_id.is_empty() {
                let uid = bare(&container.pod_uid);
                directory.by_pod.insert(uid, container);
            } else {
                let id = container.container_id.clone();
                directory.by_container.insert(id, container);
            }
        }
        let known = self.0.directory.write();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        if *known != directory {
            *known = directory;
            self.0.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Another number whenever something else is known.
    pub(super) fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// The container of a cgroup; its pod alone where only that is known.
    pub(super) fn find(&self, cgroup: &CgroupFacts) -> Option<Arc<PodContainer>> {
        let known = self.0.directory.read();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        let container = known.by_container.get(&cgroup.container);
        let pod = || known.by_pod.get(&bare(&cgroup.pod_uid));
        container.or_else(pod).cloned()
    }
}
