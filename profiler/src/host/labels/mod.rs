//! What describes a thread: host, service, process, container, unit and what the configuration adds.
//!
//! Job: labels of each thread that was sampled. In: samples, `/proc`, the names of cgroups, the
//! rules of the configuration. Out: [`LabelSet`](crate::model::LabelSet)s, or that the rules leave a
//! thread out. **Invariant:** a process that vanishes while it is read is no error: what cannot be
//! told any more is no label. Nothing is read twice for the same process and thread name.

mod error;
mod limits;

mod cgroup_path;
mod pods;
mod process_facts;
mod relabel;

mod labeler;

pub use self::{
    cgroup_path::CgroupFacts,
    error::RelabelError,
    labeler::{LabelRules, Labeler, Program},
    pods::Pods,
    relabel::{Action, Rule, RuleText},
};
