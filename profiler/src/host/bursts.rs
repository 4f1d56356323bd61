//! Bursts: more samples, or another signal, for a while, because someone asked the service for it.
//!
//! Part of the composition root. What comes from outside is cut down to the bounds of this host.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
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

/// The order that waits to be carried out; a later one takes its place. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Bursts(Arc<Mutex<Option<BurstOrder>>>);

impl Bursts {
    /// Orders a burst; one that is under way ends.
    pub fn order(&self, order: BurstOrder) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
    }

    /// Takes the order.
    pub(super) fn take(&self) -> Option<BurstOrder> {
        (self.0.lock().unwrap_or_else(PoisonError::into_inner)).take()
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
    /// What is measured.
    pub(super) signal: Signal,
    /// Of whom.
    pub(super) targets: Targets,
    /// Samples a second and CPU in all, of time on the CPU.
    pub(super) rate_hz: u32,
    id: u64,
    /// By the monotonic clock.
    ends_at: Duration,
    /// Samples that were sent before it began.
    samples_before: u64,
    /// What makes the further samples of time on the CPU.
    events: Option<BurstEvents>,
}

/// A window, and what else is known of it.
type WindowWithFacts = (Window, ProfileFacts);

/// How sampling goes on without bursts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    /// What makes the samples.
    pub(super) clock: SamplingClock,
    /// Samples a second and CPU.
    pub(super) rate_hz: u32,
    /// Time off the CPU is measured.
    pub(super) has_off_cpu: bool,
}

impl Burst {
    /// Carries an order out. `None` where nothing comes of it, with the reason in the log: a daemon
    /// goes on sampling, whatever it was told.
    pub(super) fn begin(
        order: &BurstOrder,
        usual: Usual,
        probe: &mut Probe,
        samples_before: u64,
        now: Duration,
    ) -> Option<Self> {
        let rate_hz = order.rate_hz.min(RATE_HZ_MAX);
        let signal = Signal::named(&order.signal);
        let targets = Targets::of(order);
        let events = match signal {
            Signal::Cpu if usual.rate_hz < rate_hz => {
                let further_hz = rate_hz - usual.rate_hz;
                Some(attach(probe, usual.clock, further_hz, order))
            }
            Signal::OffCpu if !usual.has_off_cpu => match probe::attach_off_cpu(probe) {
                Ok(_hook) => None,
                Err(error) => Some(Err(error)),
            },
            Signal::Cpu | Signal::OffCpu => {
                tracing::info!(
                    id = order.id,
                    "a burst asks for no more than is measured anyway"
                );
                return None;
            }
            Signal::Imported => {
                tracing::warn!(id = order.id, signal = order.signal, "no such signal here");
                return None;
            }
        };
        let events = match events.transpose() {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(
                    id = order.id,
                    error = &error as &dyn std::error::Error,
                    "a burst is not possible"
                );
                return None;
            }
        };
        tracing::info!(id = order.id, signal = order.signal, rate_hz, ?order.duration, "a burst begins");
        Some(Self {
            signal,
            targets,
            rate_hz,
            id: order.id,
            ends_at: now.saturating_add(order.duration.min(DURATION_MAX)),
            samples_before,
            events,
        })
    }

    /// Whether it has lasted long enough, or has cost enough.
    pub(super) fn is_over(&self, samples: u64, now: Duration) -> bool {
        let spent = samples.saturating_sub(self.samples_before);
        self.ends_at <= now || SAMPLES_MAX <= spent
    }

    /// Ends what was begun; what was sampled is still to be counted as its own.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn end(&mut self, probe: &mut Probe) -> Result<(), probe::ProbeError> {
        tracing::info!(id = self.id, "a burst is over");
        match self.signal {
            Signal::OffCpu => probe::detach_off_cpu(probe),
            Signal::Cpu | Signal::Imported => {
                self.events = None;
                Ok(())
            }
        }
    }

    /// The windows of a time that it was under way in. `usual` are those of time on and off the CPU,
    /// `own` is the one of its targets' time on the CPU.
    pub(super) fn windows(
        &self,
        [(cpu, mut cpu_facts), (off_cpu, mut off_cpu_facts)]: [WindowWithFacts; 2],
        (own, mut own_facts): WindowWithFacts,
        usual: Usual,
    ) -> Vec<WindowWithFacts> {
        let rate_hz = f64::from(self.rate_hz);
        match (self.signal, &self.targets) {
            (Signal::Cpu, Targets::Host) => {
                // Nothing is left over for the usual window, whose counts are of the whole host.
                cpu_facts.rate_asked_hz = rate_hz;
                cpu_facts.labels = self.labels();
                let mut all = own;
                all.filtered += cpu.filtered;
                for (loss, count) in &cpu.lost {
                    all.lose_many(*loss, *count);
                }
                let off_cpu = usual.has_off_cpu.then_some((off_cpu, off_cpu_facts));
                [(all, cpu_facts)].into_iter().chain(off_cpu).collect()
            }
            (Signal::Cpu, Targets::Processes(_)) => {
                own_facts.rate_asked_hz = rate_hz;
                // Samples are of threads: what the CPUs did besides is not known.
                own_facts.rate_effective_hz = Some(rate_hz);
                own_facts.labels = self.labels();
                let off_cpu = usual.has_off_cpu.then_some((off_cpu, off_cpu_facts));
                let both = [(cpu, cpu_facts), (own, own_facts)];
                both.into_iter().chain(off_cpu).collect()
            }
            (Signal::OffCpu | Signal::Imported, _) => {
                off_cpu_facts.labels = self.labels();
                vec![(cpu, cpu_facts), (off_cpu, off_cpu_facts)]
            }
        }
    }

    /// Labels of what it samples.
    fn labels(&self) -> Labels {
        Labels::from([(label::BURST.to_owned(), self.id.to_string())])
    }
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
        for id in [1, 2] {
            bursts.order(BurstOrder {
                id,
                ..BurstOrder::default()
            });
        }
        assert_eq!(Some(2), bursts.take().map(|order| order.id));
        assert_eq!(None, bursts.take());
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
