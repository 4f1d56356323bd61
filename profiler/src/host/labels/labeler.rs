//! Labels of each thread that was sampled.

use std::{collections::HashMap, sync::Arc};

use super::{
    cgroup_path::CgroupFacts,
    limits::{CGROUPS_MAX, PROCESSES_MAX, SHORT_ID_DIGITS, THREAD_NAMES_MAX, VALUE_SIZE_BYTES_MAX},
    pods::Pods,
    process_facts::ProcessFacts,
    relabel::Rule,
};
use crate::model::{BuildId, LabelSet, Labels, Pid, PodContainer, StackSample, label};

/// What labels without a fixed meaning begin with while rules are applied; they are removed then.
const TEMPORARY_PREFIX: &str = "__";

/// What the configuration says of labels.
#[derive(Clone, Debug, Default)]
pub struct LabelRules {
    /// Labels of everything on this host.
    pub fixed: Labels,
    /// Applied in order.
    pub rules: Vec<Rule>,
    /// Pods of this host.
    pub pods: Pods,
}

/// The program that a process runs, as its mappings tell it.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path.
    pub path: String,
    /// Its build id.
    pub build_id: Option<BuildId>,
}

/// One process.
#[derive(Debug)]
struct Known {
    /// The cgroup it was in; in another one it has other labels.
    cgroup_id: u64,
    /// What all its threads share.
    shared: Labels,
    /// By name of the thread; `None` for what the rules leave out.
    by_thread_name: HashMap<String, Option<LabelSet>>,
}

/// Finds labels, once for each process and name of a thread.
#[derive(Debug)]
pub struct Labeler {
    host: String,
    rules: Arc<LabelRules>,
    processes: HashMap<Pid, Known>,
    /// Paths of cgroups by id (version 2).
    cgroups: HashMap<u64, String>,
    /// What was known of pods when the processes were looked up.
    pods_version: u64,
}

impl Labeler {
    /// Nothing is known yet.
    pub fn new(host: String, rules: Arc<LabelRules>) -> Self {
        Self {
            host,
            rules,
            processes: HashMap::new(),
            cgroups: HashMap::new(),
            pods_version: 0,
        }
    }

    /// Takes other rules, for what is sampled from now on.
    pub fn set_rules(&mut self, rules: Arc<LabelRules>) {
        self.rules = rules;
        self.processes.clear();
    }

    /// A process ended, or runs another program.
    pub fn forget(&mut self, pid: Pid) {
        self.processes.remove(&pid);
    }

    /// Labels of the thread of a sample; `None` when the rules leave it out. `program` is asked for
    /// once a process.
    pub fn labels_of(
        &mut self,
        sample: &StackSample,
        program: impl FnOnce() -> Option<Program>,
    ) -> Option<LabelSet> {
        self.follow_pods();
        let known = self.processes.get(&sample.pid);
        if known.is_none_or(|known| known.cgroup_id != sample.cgroup_id) {
            let shared = self.look_up(sample, program());
            if PROCESSES_MAX <= self.processes.len() {
                self.processes.clear();
            }
            let known = Known {
                cgroup_id: sample.cgroup_id,
                shared,
                by_thread_name: HashMap::new(),
            };
            self.processes.insert(sample.pid, known);
        }
        let known = self.processes.get_mut(&sample.pid)?;
        if let Some(labels) = known.by_thread_name.get(&sample.comm) {
            return labels.clone();
        }
        if THREAD_NAMES_MAX <= known.by_thread_name.len() {
            known.by_thread_name.clear();
        }
        let labels = finish(known.shared.clone(), &sample.comm, &self.host, &self.rules);
        let labels = labels.map(LabelSet::new);
        (known.by_thread_name).insert(sample.comm.clone(), labels.clone());
        labels
    }

    /// Forgets processes in pods when something else is known of pods.
    fn follow_pods(&mut self) {
        let version = self.rules.pods.version();
        if self.pods_version != version {
            self.pods_version = version;
            let is_in_pod = |known: &Known| {
                let uid = known.shared.get(label::POD_UID);
                uid.is_some_and(|uid| !uid.is_empty())
            };
            self.processes.retain(|_pid, known| !is_in_pod(known));
        }
    }

    /// What all threads of a process share.
    fn look_up(&mut self, sample: &StackSample, program: Option<Program>) -> Labels {
        let mut facts = ProcessFacts::read(sample.pid);
        self.remember_cgroup(sample.cgroup_id, &mut facts);
        if facts.exe.is_empty()
            && let Some(program) = &program
        {
            facts.exe.clone_from(&program.path);
        }
        if facts.comm.is_empty() && sample.pid.0 == sample.tid.0 {
            facts.comm.clone_from(&sample.comm);
        }
        let build_id = program
            .filter(|program| program.path == facts.exe)
            .and_then(|program| program.build_id);
        shared_labels(&facts, build_id, sample.pid, &self.rules.pods)
    }

    /// A process that ended before it was read was in a cgroup that is known from others, perhaps.
    fn remember_cgroup(&mut self, id: u64, facts: &mut ProcessFacts) {
        if facts.cgroup.is_empty() {
            facts.cgroup = self.cgroups.get(&id).cloned().unwrap_or_default();
            return;
        }
        if CGROUPS_MAX <= self.cgroups.len() {
            self.cgroups.clear();
        }
        self.cgroups.insert(id, facts.cgroup.clone());
    }
}

/// Labels of a process.
fn shared_labels(facts: &ProcessFacts, build_id: Option<BuildId>, pid: Pid, pods: &Pods) -> Labels {
    let cgroup = CgroupFacts::parse(&facts.cgroup);
    let pod = pods.find(&cgroup);
    let pod = pod.as_deref().cloned().unwrap_or_default();
    let pairs = [
        (label::COMM, facts.comm.clone()),
        (label::PID, pid.to_string()),
        (label::EXE, facts.exe.clone()),
        (
            label::BUILD_ID,
            build_id.map(|id| id.to_string()).unwrap_or_default(),
        ),
        (label::CGROUP, facts.cgroup.clone()),
        (label::SERVICE, service(facts, &cgroup, &pod).to_owned()),
        (label::CONTAINER, cgroup.container),
        (label::UNIT, cgroup.unit),
        (label::POD_UID, cgroup.pod_uid),
        (label::POD, pod.pod),
        (label::NAMESPACE, pod.namespace),
        (label::CONTAINER_NAME, pod.container),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What the process is part of.
fn service<'a>(facts: &'a ProcessFacts, cgroup: &'a CgroupFacts, pod: &'a PodContainer) -> &'a str {
    if facts.is_kernel {
        return "kernel";
    }
    let container = match cgroup.container.get(..SHORT_ID_DIGITS) {
        Some(short) if is_id(&cgroup.container) => short,
        Some(_) | None => &cgroup.container,
    };
    let file_name = facts.exe.rsplit('/').next().unwrap_or_default();
    [
        &pod.container,
        container,
        cgroup.unit_name(),
        file_name,
        &facts.comm,
    ]
    .into_iter()
    .find(|name| !name.is_empty())
    .unwrap_or_default()
}

/// Whether the name of a container is a number that nobody reads to its end.
fn is_id(container: &str) -> bool {
    container.len() == 64 && container.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Adds what is the thread's and the host's, and applies the rules.
fn finish(mut labels: Labels, thread: &str, host: &str, rules: &LabelRules) -> Option<Labels> {
    labels.insert(label::THREAD.to_owned(), thread.to_owned());
    labels.insert(label::HOST.to_owned(), host.to_owned());
    labels.extend(rules.fixed.clone());
    if !rules.rules.iter().all(|rule| rule.apply(&mut labels)) {
        return None;
    }
    labels.retain(|name, value| !name.starts_with(TEMPORARY_PREFIX) && !value.is_empty());
    for value in labels.values_mut() {
        cut(value);
    }
    // What comes from a host says so, whatever the rules did.
    labels
        .entry(label::HOST.to_owned())
        .or_insert_with(|| host.to_owned());
    Some(labels)
}

/// Shortens a value that is too long.
fn cut(value: &mut String) {
    while VALUE_SIZE_BYTES_MAX < value.len() {
        let end = value.char_indices().map(|(start, _)| start);
        let end = end
            .take_while(|start| *start <= VALUE_SIZE_BYTES_MAX)
            .last();
        value.truncate(end.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{
        super::relabel::RuleText, BuildId, CgroupFacts, LabelRules, Labeler, Labels, Pid,
        PodContainer, Pods, ProcessFacts, Program, Rule, StackSample, label, service,
    };
    use crate::model::{Measured, StackEnd, Tid};

    fn sample(pid: u32, comm: &str) -> StackSample {
        StackSample {
            taken_at: Duration::ZERO,
            pid: Pid(pid),
            tid: Tid(pid),
            comm: comm.to_owned(),
            measured: Measured::OnCpu,
            about: Vec::new(),
            cgroup_id: 7,
            user: Vec::new(),
            kernel: Vec::new(),
            end: StackEnd::Complete,
            fallback: false,
        }
    }

    fn labeler(fixed: &[(&str, &str)], rules: Vec<RuleText>) -> Labeler {
        let fixed = fixed
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let rules = rules.into_iter().map(|rule| Rule::new(rule).unwrap());
        let rules = LabelRules {
            fixed: fixed.collect(),
            rules: rules.collect(),
            pods: Pods::default(),
        };
        Labeler::new("here".to_owned(), Arc::new(rules))
    }

    fn labels(labeler: &mut Labeler, sample: &StackSample) -> Option<Labels> {
        let program = || {
            Some(Program {
                path: "/usr/bin/app".to_owned(),
                build_id: BuildId::new(&[0xab]),
            })
        };
        labeler
            .labels_of(sample, program)
            .map(|set| set.labels().clone())
    }

    #[test]
    fn a_process_that_is_gone_has_what_its_mappings_and_its_sample_tell() {
        let found = labels(
            &mut labeler(&[], Vec::new()),
            &sample(u32::MAX - 1, "worker"),
        )
        .unwrap();
        let expected: Labels = [
            (label::HOST, "here"),
            (label::THREAD, "worker"),
            (label::COMM, "worker"),
            (label::PID, "4294967294"),
            (label::EXE, "/usr/bin/app"),
            (label::BUILD_ID, "ab"),
            (label::SERVICE, "app"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        assert_eq!(expected, found);
    }

    #[test]
    fn this_process_is_known_by_its_executable() {
        let found = labels(
            &mut labeler(&[], Vec::new()),
            &sample(std::process::id(), "t"),
        )
        .unwrap();
        assert!(found[label::EXE].contains("profiler"), "{found:?}");
        assert_eq!("t", found[label::THREAD]);
        assert_eq!(None, found.get(label::BUILD_ID), "of another file");
    }

    #[test]
    fn configured_labels_win_and_rules_come_last() {
        let drop_pid = RuleText {
            action: "labeldrop".to_owned(),
            regex: "pid|host".to_owned(),
            ..RuleText::default()
        };
        let drop_idle = RuleText {
            action: "drop".to_owned(),
            source_labels: vec!["thread".to_owned()],
            regex: "idle.*".to_owned(),
            ..RuleText::default()
        };
        let fixed = [("service", "shop"), ("__zone", "a")];
        let mut labeler = labeler(&fixed, vec![drop_pid, drop_idle]);
        let found = labels(&mut labeler, &sample(u32::MAX - 1, "worker")).unwrap();
        assert_eq!("shop", found[label::SERVICE]);
        assert_eq!("here", found[label::HOST]);
        assert!(!found.contains_key(label::PID) && !found.contains_key("__zone"));
        assert_eq!(None, labels(&mut labeler, &sample(u32::MAX - 1, "idle/0")));
    }

    #[test]
    fn a_container_has_the_names_of_its_pod_as_soon_as_they_are_known() {
        let id = "ab".repeat(32);
        let uid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        let facts = ProcessFacts {
            cgroup: format!("/kubepods/burstable/pod{uid}/{id}"),
            ..ProcessFacts::default()
        };
        let pods = Pods::default();
        let look = || super::shared_labels(&facts, None, Pid(1), &pods);
        assert_eq!(
            ("abababababab", ""),
            (&*look()[label::SERVICE], &*look()[label::POD])
        );
        let pod = PodContainer {
            pod_uid: bare(uid),
            pod: "web-1".to_owned(),
            namespace: "shop".to_owned(),
            ..PodContainer::default()
        };
        pods.replace(vec![pod.clone()]);
        assert_eq!(1, pods.version());
        assert_eq!(
            ("web-1", ""),
            (&*look()[label::POD], &*look()[label::CONTAINER_NAME])
        );
        let nginx = PodContainer {
            container_id: id,
            container: "nginx".to_owned(),
            ..pod.clone()
        };
        pods.replace(vec![nginx.clone(), pod.clone()]);
        pods.replace(vec![nginx, pod]);
        assert_eq!(2, pods.version(), "the same again is no change");
        let found = [
            label::SERVICE,
            label::POD,
            label::NAMESPACE,
            label::CONTAINER_NAME,
        ];
        assert_eq!(
            ["nginx", "web-1", "shop", "nginx"],
            found.map(|name| look()[name].clone())
        );
    }

    /// An id as static pods have it.
    fn bare(uid: &str) -> String {
        uid.replace('-', "")
    }

    #[test]
    fn a_service_is_container_then_unit_then_executable() {
        let facts = ProcessFacts {
            exe: "/bin/app".to_owned(),
            ..ProcessFacts::default()
        };
        let pod = PodContainer::default();
        let path = |path: &str| service(&facts, &CgroupFacts::parse(path), &pod).to_owned();
        let id = "ab".repeat(32);
        assert_eq!(
            "abababababab",
            path(&format!("/system.slice/docker-{id}.scope"))
        );
        assert_eq!("web", path("/machine.slice/machine-web.scope"));
        assert_eq!("nginx", path("/system.slice/nginx.service"));
        assert_eq!("app", path("/user.slice/session-1.scope"));
    }
}
