//! Bursts: more samples for a while, because someone asked the service for them.
//!
//! Part of the composition root. What comes from outside is cut down to the bounds of this host.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    aggregate::{ProfileFacts, Window},
    probe::{self, BurstEvents, Probe, SamplingClock},
    process::threads_of,
};
use crate::model::{BurstOrder, Labels, Pid, Signal, label};

/// Highest rate, samples a second and CPU: at 5 µs a sample, half a percent of the CPUs.
const RATE_HZ_MAX: u32 = 1_000;
/// Longest burst.
const DURATION_MAX: Duration = Duration::from_secs(600);
/// Samples after which a burst ends early: 10 s of CPU time at 5 µs each.
const SAMPLES_MAX: u64 = 2_000_000;
/// Threads that are sampled more often. Each takes a file descriptor and a bit of kernel memory.
const THREADS_MAX: usize = 4_096;
/// Children that a target may start. A guess; a target that starts more is a build, and known by then.
const TARGETS_MAX: usize = 65_536;

/// The orders that wait to be carried out; a later one takes an earlier one's place. Clones share
/// them.
#[derive(Clone, Debug, Default)]
pub struct Bursts(Arc<Mutex<Orders>>);

/// One order of each kind.
#[derive(Debug, Default)]
struct Orders {
    /// For time on the CPU.
    cpu: Option<BurstOrder>,
    /// For another signal.
    further: Option<BurstOrder>,
}

impl Bursts {
    /// Orders a burst; one of its kind that is under way ends.
    pub fn order(&self, order: BurstOrder) {
        let is_cpu = Signal::named(&order.signal) == Signal::Cpu;
        let mut orders = self.orders();
        if is_cpu {
            orders.cpu = Some(order);
        } else {
            orders.further = Some(order);
        }
    }

    /// Takes the order for time on the CPU.
    pub(super) fn take(&self) -> Option<BurstOrder> {
        self.orders().cpu.take()
    }

    /// Takes the order for another signal.
    pub(super) fn take_further(&self) -> Option<BurstOrder> {
        self.orders().further.take()
    }

    /// Whether there is an order for another signal.
    pub(super) fn has_further(&self) -> bool {
        self.orders().further.is_some()
    }

    /// Locks; nothing can panic while it is locked.
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose samples are a burst's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Targets {
    /// Everyone's.
    Host,
    /// These processes', and those of the children they start.
    Processes(HashSet<Pid>),
}

impl Targets {
    /// Those of an order.
    fn of(order: &BurstOrder) -> Self {
        if order.pids.is_empty() {
            Self::Host
        } else {
            Self::Processes(order.pids.iter().copied().collect())
        }
    }

    /// Whether the samples of a process are the burst's.
    pub(super) fn have(&self, pid: Pid) -> bool {
        match self {
            Self::Host => true,
            Self::Processes(pids) => pids.contains(&pid),
        }
    }

    /// A process made another one.
    pub(super) fn forked(&mut self, parent: Pid, child: Pid) {
        if let Self::Processes(pids) = self
            && pids.contains(&parent)
            && pids.len() < TARGETS_MAX
        {
            pids.insert(child);
        }
    }
}

/// A burst that is under way.
#[derive(Debug)]
pub(super) struct Burst {
    /// Of whom.
    pub(super) targets: Targets,
    /// Samples a second and CPU in all.
    rate_hz: u32,
    id: u64,
    /// By the monotonic clock.
    ends_at: Duration,
    /// Samples that were sent before it began.
    samples_before: u64,
    /// What makes the further samples; nothing any more when it is over.
    events: Option<BurstEvents>,
}

/// A window, and what else is known of it.
type WindowWithFacts = (Window, ProfileFacts);

/// How time on the CPU is sampled without bursts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    /// What makes the samples.
    pub(super) clock: SamplingClock,
    /// Samples a second and CPU.
    pub(super) rate_hz: u32,
}

impl Burst {
    /// Carries an order out. `None` where nothing comes of it, with the reason in the log: a daemon
    /// goes on sampling, whatever it was told.
    pub(super) fn begin(
        order: &BurstOrder,
        usual: Option<Usual>,
        probe: &mut Probe,
        samples_before: u64,
        now: Duration,
    ) -> Option<Self> {
        let rate_hz = order.rate_hz.min(RATE_HZ_MAX);
        let refused = |why| {
            tracing::warn!(id = order.id, signal = order.signal, why, "no burst");
            None
        };
        let Some(usual) = usual else {
            return refused("time on the CPU is not sampled here");
        };
        if rate_hz <= usual.rate_hz {
            return refused("so much is sampled anyway");
        }
        match attach(probe, usual.clock, rate_hz - usual.rate_hz, order) {
            Ok(events) => {
                tracing::info!(id = order.id, rate_hz, ?order.duration, "a burst begins");
                Some(Self {
                    targets: Targets::of(order),
                    rate_hz,
                    id: order.id,
                    ends_at: end_of(order, now),
                    samples_before,
                    events: Some(events),
                })
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(id = order.id, error, "a burst is not possible");
                None
            }
        }
    }

    /// Whether it has lasted long enough, or has cost enough.
    pub(super) fn is_over(&self, samples: u64, now: Duration) -> bool {
        let spent = samples.saturating_sub(self.samples_before);
        self.ends_at <= now || SAMPLES_MAX <= spent
    }

    /// Ends what was begun; what was sampled is still to be counted as its own.
    pub(super) fn end(&mut self) {
        tracing::info!(id = self.id, "a burst is over");
        self.events = None;
    }

    /// The windows of a time that it was under way in. `usual` has one of each signal, `own` is the
    /// one of its targets' time on the CPU.
    pub(super) fn windows(
        &self,
        usual: Vec<WindowWithFacts>,
        (mut own, mut own_facts): WindowWithFacts,
    ) -> Vec<WindowWithFacts> {
        let rate_hz = f64::from(self.rate_hz);
        let (cpu, mut others): (Vec<_>, Vec<_>) =
            (usual.into_iter()).partition(|(window, _facts)| window.signal == Signal::Cpu);
        for (window, facts) in cpu {
            match &self.targets {
                // Nothing is left over for the usual window, whose counts are of the whole host.
                Targets::Host => {
                    own_facts = facts;
                    own.filtered += window.filtered;
                    for (loss, count) in &window.lost {
                        own.lose_many(*loss, *count);
                    }
                }
                // Samples are of threads: what the CPUs did besides is not known.
                Targets::Processes(_) => {
                    own_facts.rate_effective_hz = Some(rate_hz);
                    others.insert(0, (window, facts));
                }
            }
        }
        own_facts.rate_asked_hz = rate_hz;
        own_facts.labels = labels_of(self.id);
        others.insert(0, (own, own_facts));
        others
    }
}

/// When a burst that begins now is over.
pub(super) fn end_of(order: &BurstOrder, now: Duration) -> Duration {
    now.saturating_add(order.duration.min(DURATION_MAX))
}

/// Labels of what a burst sees.
pub(super) fn labels_of(id: u64) -> Labels {
    Labels::from([(label::BURST.to_owned(), id.to_string())])
}

/// Attaches the further events of an order for time on the CPU.
fn attach(
    probe: &mut Probe,
    clock: SamplingClock,
    further_hz: u32,
    order: &BurstOrder,
) -> Result<BurstEvents, probe::ProbeError> {
    let events = if order.pids.is_empty() {
        probe::attach_burst(probe, clock, further_hz)
    } else {
        let threads = threads_of(&order.pids, THREADS_MAX);
        probe::attach_burst_to(probe, clock, further_hz, &threads)
    }?;
    tracing::debug!(events = events.count(), further_hz, "sampled more often");
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::{BurstOrder, Bursts, Pid, Targets};

    #[test]
    fn a_later_order_takes_the_place_of_an_earlier_one() {
        let bursts = Bursts::default();
        for (id, signal) in [(1, "cpu"), (2, "cpu"), (3, "offcpu"), (4, "alloc")] {
            bursts.order(BurstOrder {
                id,
                signal: signal.to_owned(),
                ..BurstOrder::default()
            });
        }
        assert_eq!(Some(2), bursts.take().map(|order| order.id));
        assert_eq!(None, bursts.take());
        assert!(bursts.has_further());
        assert_eq!(Some(4), bursts.take_further().map(|order| order.id));
        assert!(!bursts.has_further());
    }

    #[test]
    fn children_of_targets_are_targets() {
        let mut targets = Targets::of(&BurstOrder {
            pids: vec![Pid(1)],
            ..BurstOrder::default()
        });
        targets.forked(Pid(1), Pid(2));
        targets.forked(Pid(2), Pid(3));
        targets.forked(Pid(7), Pid(8));
        let have = [1, 2, 3, 7, 8].map(|pid| targets.have(Pid(pid)));
        assert_eq!([true, true, true, false, false], have);
        assert!(Targets::of(&BurstOrder::default()).have(Pid(8)));
    }
}
