//! What is too much, as data.

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    RulesError, Severity,
    evidence::{Path, SignalTable, Site},
};

/// The rules that hold unless something else is said.
const DEFAULTS: &str = include_str!("rules.toml");

/// All rules.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub(super) hot_function: HotFunction,
    pub(super) hot_path: HotPath,
    pub(super) lock_convoy: LockConvoy,
    pub(super) syscall_storm: SyscallStorm,
    pub(super) tiny_io: TinyIo,
    pub(super) slow_remote: SlowRemote,
    pub(super) retransmits: Retransmits,
    pub(super) allocation_hot_spot: AllocationHotSpot,
    pub(super) leak_suspect: LeakSuspect,
    pub(super) page_fault_storm: PageFaultStorm,
    pub(super) run_queue_saturation: RunQueueSaturation,
    pub(super) one_busy_thread: OneBusyThread,
    pub(super) frames: Frames,
}

/// Defines a rule: three thresholds, and what is its own.
macro_rules! rule {
    ($(#[$what:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        $(#[$what])*
        #[derive(Clone, Debug, Deserialize, PartialEq)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            pub(super) info: f64,
            pub(super) warning: f64,
            pub(super) critical: f64,
            $(pub(super) $field: $kind,)*
        }

        impl $name {
            /// How grave a value is; nothing is said of one below all thresholds.
            pub(super) fn severity(&self, sure: f64) -> Option<Severity> {
                severity([self.info, self.warning, self.critical], sure)
            }

            /// The thresholds.
            fn thresholds(&self) -> [f64; 3] {
                [self.info, self.warning, self.critical]
            }
        }
    };
}

rule!(
    /// A share of CPU time.
    HotFunction {
        cores_least: f64,
        samples_least: f64,
        cores_warning: f64,
        cores_critical: f64,
    }
);
rule!(
    /// A share of CPU time.
    HotPath {
        cores_least: f64,
        samples_least: f64,
        cores_warning: f64,
        cores_critical: f64,
        follow_share: f64,
        trunk_share: f64,
        self_share_most: f64,
        depth_least: usize,
    }
);
rule!(
    /// A share of CPU time and waiting time.
    LockConvoy {
        threads_least: f64,
        threads_warning: f64,
        threads_critical: f64,
        samples_least: f64,
    }
);
rule!(
    /// Calls a second.
    SyscallStorm { mean_ns_most: f64, share_least: f64 }
);
rule!(
    /// Calls a second.
    TinyIo { mean_ns_most: f64, share_least: f64, calls: Vec<String> }
);
rule!(
    /// Nanoseconds.
    SlowRemote { events_least: f64, failed_share: f64 }
);
rule!(
    /// A share of segments.
    Retransmits { events_least: f64, segment_bytes: f64, calls: Vec<String> }
);
rule!(
    /// Bytes a second.
    AllocationHotSpot { share_least: f64 }
);
rule!(
    /// Bytes a second.
    LeakSuspect { kept_share_least: f64, slices_least: usize, growing_share: f64 }
);
rule!(
    /// Faults a second.
    PageFaultStorm { share_least: f64 }
);
rule!(
    /// A share of running and waiting for a CPU.
    RunQueueSaturation {
        cores_least: f64,
        threads_least: f64,
        threads_warning: f64,
        threads_critical: f64,
    }
);
rule!(
    /// CPUs.
    OneBusyThread { share_least: f64, others_least: usize, cores_most: f64 }
);

/// Gives rules that also ask how much there is in all the severity of both.
macro_rules! weighed {
    ($name:ident, $warning:ident, $critical:ident) => {
        impl $name {
            /// How grave a share is of which there is so much in all.
            pub(super) fn severity_of(&self, sure: f64, amount: f64) -> Option<Severity> {
                let by_amount = severity([f64::MIN, self.$warning, self.$critical], amount);
                self.severity(sure).min(by_amount)
            }
        }
    };
}

weighed!(HotFunction, cores_warning, cores_critical);
weighed!(HotPath, cores_warning, cores_critical);
weighed!(LockConvoy, threads_warning, threads_critical);
weighed!(RunQueueSaturation, threads_warning, threads_critical);

/// How code is recognized: by beginnings of names.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Frames {
    waiting_functions: Vec<String>,
    pub(super) active_reasons: Vec<String>,
    library_modules: Vec<String>,
    library_functions: Vec<String>,
    lock_functions: Vec<String>,
    idle_functions: Vec<String>,
    allocator_functions: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self::read("").expect("a test reads the rules that are built in")
    }
}

impl Rules {
    /// The default rules with the values of a TOML text in their places.
    ///
    /// # Errors
    /// A rule or a key that there is not, a value of the wrong kind, thresholds out of order.
    pub fn read(text: &str) -> Result<Self, RulesError> {
        let mut rules: toml::Table = parse(DEFAULTS)?;
        for (name, given) in parse::<toml::Table>(text)? {
            match (rules.get_mut(&name), given) {
                (Some(toml::Value::Table(known)), toml::Value::Table(given)) => known.extend(given),
                (_, given) => drop(rules.insert(name, given)),
            }
        }
        let rules: Self = rules
            .try_into()
            .map_err(|e| RulesError::Parse(Box::new(e)))?;
        rules.check()?;
        Ok(rules)
    }

    /// The place that memory of a stack was allocated for: the innermost function that is neither of
    /// an allocator nor of a library, as its place in [`SignalTable::sites`].
    pub fn allocation_site(&self, table: &SignalTable, path: &Path) -> Option<u32> {
        self.frames.allocation_site(table, path)
    }

    /// Checks the order of all thresholds.
    fn check(&self) -> Result<(), RulesError> {
        let all = [
            ("hot_function", self.hot_function.thresholds()),
            ("hot_path", self.hot_path.thresholds()),
            ("lock_convoy", self.lock_convoy.thresholds()),
            ("syscall_storm", self.syscall_storm.thresholds()),
            ("tiny_io", self.tiny_io.thresholds()),
            ("slow_remote", self.slow_remote.thresholds()),
            ("retransmits", self.retransmits.thresholds()),
            ("allocation_hot_spot", self.allocation_hot_spot.thresholds()),
            ("leak_suspect", self.leak_suspect.thresholds()),
            ("page_fault_storm", self.page_fault_storm.thresholds()),
            (
                "run_queue_saturation",
                self.run_queue_saturation.thresholds(),
            ),
            ("one_busy_thread", self.one_busy_thread.thresholds()),
        ];
        let in_order = |[info, warning, critical]: [f64; 3]| {
            0.0 < info && info <= warning && warning <= critical
        };
        match all
            .into_iter()
            .find(|(_, thresholds)| !in_order(*thresholds))
        {
            Some((rule, _thresholds)) => Err(RulesError::Order { rule }),
            None => Ok(()),
        }
    }
}

/// Reads TOML.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, RulesError> {
    toml::from_str(text).map_err(|error| RulesError::Parse(Box::new(error)))
}

/// How grave a value is.
fn severity([info, warning, critical]: [f64; 3], sure: f64) -> Option<Severity> {
    if critical <= sure {
        Some(Severity::Critical)
    } else if warning <= sure {
        Some(Severity::Warning)
    } else if info <= sure {
        Some(Severity::Info)
    } else {
        None
    }
}

/// Whether a name begins as one of a list does.
fn begins(name: &str, list: &[String]) -> bool {
    list.iter().any(|start| name.starts_with(start.as_str()))
}

impl Frames {
    /// Whether nobody of the service wrote this.
    fn is_library(&self, site: &Site) -> bool {
        begins(&site.module, &self.library_modules)
            || begins(&site.function, &self.library_functions)
            || begins(&site.function, &self.lock_functions)
    }

    /// The innermost level that someone of the service wrote; the innermost one of user space when
    /// there is none.
    pub(super) fn culprit(&self, table: &SignalTable, path: &Path) -> Option<u32> {
        Self::innermost(table, path, |site| !self.is_library(site))
    }

    /// The same, past the functions that hand out memory.
    pub(super) fn allocation_site(&self, table: &SignalTable, path: &Path) -> Option<u32> {
        Self::innermost(table, path, |site| {
            !self.is_library(site) && !begins(&site.function, &self.allocator_functions)
        })
    }

    /// The innermost level of user space that fits, or just the innermost one.
    fn innermost(table: &SignalTable, path: &Path, fits: impl Fn(&Site) -> bool) -> Option<u32> {
        let user = || (path.sites.iter().rev().copied()).filter(|s| table.site(*s).is_user_code());
        user()
            .find(|site| fits(table.site(*site)))
            .or_else(|| user().next())
    }

    /// Whether a stack is the kernel's putting the thread to sleep, or waking one up.
    pub(super) fn is_waiting(&self, table: &SignalTable, path: &Path) -> bool {
        let mut kernel = table
            .names(path)
            .rev()
            .take_while(|site| !site.is_user_code());
        kernel.any(|site| begins(&site.function, &self.waiting_functions))
    }

    /// Whether a stack waits for work, and for no lock.
    pub(super) fn is_idle(&self, table: &SignalTable, path: &Path) -> bool {
        let mut names = table.names(path).rev();
        names.any(|site| begins(&site.function, &self.idle_functions))
    }
}

#[cfg(test)]
mod tests {
    use super::{Rules, Severity};

    #[test]
    fn the_rules_that_are_built_in_can_be_read() {
        let rules = Rules::default();
        assert_eq!(Some(Severity::Warning), rules.hot_function.severity(0.3));
        assert_eq!(None, rules.hot_function.severity(0.099));
    }

    #[test]
    fn a_large_share_of_next_to_nothing_is_good_to_know() {
        let rule = Rules::default().hot_function;
        for (share, cores, severity) in [
            (0.9, 0.1, Some(Severity::Info)),
            (0.9, 0.3, Some(Severity::Warning)),
            (0.9, 0.9, Some(Severity::Critical)),
            (0.35, 9.0, Some(Severity::Warning)),
            (0.05, 9.0, None),
        ] {
            assert_eq!(severity, rule.severity_of(share, cores), "{share} {cores}");
        }
    }

    #[test]
    fn single_values_can_be_replaced() {
        let rules = Rules::read("[hot_function]\ninfo = 0.2\n").unwrap();
        assert_eq!(None, rules.hot_function.severity(0.15));
        assert_eq!(Some(Severity::Critical), rules.hot_function.severity(0.6));
        assert_eq!(Rules::default().frames, rules.frames);
    }

    #[test]
    fn what_is_not_known_or_out_of_order_is_refused() {
        for (text, said) in [
            ("[hot]\ninfo = 1", "hot"),
            ("[hot_function]\nlow = 1.0", "low"),
            ("[hot_function]\ninfo = \"x\"", "invalid type"),
            ("[hot_function]\ninfo = 0.9", "in this order"),
            ("[", "TOML"),
        ] {
            let error = anyhow::Error::from(Rules::read(text).unwrap_err());
            let error = format!("{error:#}");
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
