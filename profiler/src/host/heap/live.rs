//! Sampled allocations that are live.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use super::{
    growth::{Growth, Looks, Seen},
    limits::{LIVE_MAX, LOOK_PAUSE, SITES_MAX},
    weight::{Weighted, weigh},
};
use crate::model::{
    Allocation, Avma, Measured, Pid, Signal, StackEnd, StackSample, Tid, UserFrame,
};

/// Where a thread allocates: all of a sample that says so.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Site {
    pid: Pid,
    tid: Tid,
    comm: String,
    cgroup_id: u64,
    user: Vec<UserFrame>,
    end: StackEnd,
    fallback: bool,
}

/// What lives of one site.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// Weighted bytes and objects.
    pub(super) live: Weighted,
    /// Samples behind them.
    pub(super) samples: u64,
    /// Times of the samples' allocation, summed, seconds.
    since_sum: f64,
    seen: Seen,
}

/// One live allocation.
#[derive(Clone, Debug)]
struct Live {
    site: Arc<Site>,
    weighted: Weighted,
    since: Duration,
}

/// Memory of one process.
#[derive(Debug, Default)]
struct Process {
    live: HashMap<Avma, Live>,
    /// When it ended, or began to run another program: what was allocated before is gone.
    gone_at: Duration,
}

/// All live sampled allocations of the host, by process and address.
#[derive(Debug)]
pub struct LiveTable {
    period_bytes: u64,
    processes: HashMap<Pid, Process>,
    sites: HashMap<Arc<Site>, Standing>,
    live: usize,
    looks: Looks,
    first_look: Option<Duration>,
    last_look: Duration,
    refused: u64,
}

impl LiveTable {
    /// Nothing lives yet; allocations are sampled every so many bytes.
    pub fn new(period_bytes: u64) -> Self {
        Self {
            period_bytes,
            processes: HashMap::new(),
            sites: HashMap::new(),
            live: 0,
            looks: Looks::default(),
            first_look: None,
            last_look: Duration::ZERO,
            refused: 0,
        }
    }

    /// Memory was allocated. In: the sample that says where, and a random number from 0 to 1.
    /// Out: what is to be counted: the allocation, and the end of what was at its address before.
    pub fn allocated(
        &mut self,
        sample: StackSample,
        allocation: Allocation,
        uniform: f64,
    ) -> Vec<StackSample> {
        let weighted = weigh(allocation.size_bytes, self.period_bytes, uniform);
        let (pid, at) = (sample.pid, sample.taken_at);
        // Whoever gives memory back without the allocator (munmap) is noticed when it is used again.
        let mut counted: Vec<StackSample> =
            (self.freed(pid, allocation.address, at).into_iter()).collect();
        let is_gone = (self.processes.get(&pid)).is_some_and(|process| at <= process.gone_at);
        let site = self.intern(site_of(sample));
        counted.push(site.sample(at, [weighted.bytes, weighted.objects, 0, 0]));
        if is_gone {
            // Its process has ended since; only its record comes late.
            counted.push(site.sample(at, [0, 0, weighted.bytes, weighted.objects]));
            return counted;
        }
        if !allocation.is_followed {
            // The probe has counted that.
            return counted;
        }
        if LIVE_MAX <= self.live {
            self.refused += 1;
            return counted;
        }
        if let Some(standing) = self.sites.get_mut(&site) {
            standing.live.bytes += weighted.bytes;
            standing.live.objects += weighted.objects;
            standing.samples += 1;
            standing.since_sum += at.as_secs_f64();
        }
        let live = Live {
            site,
            weighted,
            since: at,
        };
        let process = self.processes.entry(pid).or_default();
        process.live.insert(allocation.address, live);
        self.live += 1;
        counted
    }

    /// Memory was given back: what is to be counted, if it was known.
    pub fn freed(&mut self, pid: Pid, address: Avma, at: Duration) -> Option<StackSample> {
        let live = self.processes.get_mut(&pid)?.live.remove(&address)?;
        self.live -= 1;
        if let Some(standing) = self.sites.get_mut(&live.site) {
            standing.live.bytes -= live.weighted.bytes;
            standing.live.objects -= live.weighted.objects;
            standing.samples -= 1;
            standing.since_sum -= live.since.as_secs_f64();
        }
        let Weighted { bytes, objects } = live.weighted;
        Some(live.site.sample(at, [0, 0, bytes, objects]))
    }

    /// A process ended, or runs another program: gives what is to be counted for all that it had
    /// allocated before, and where that was.
    pub fn ended(&mut self, pid: Pid, at: Duration) -> Vec<(Avma, StackSample)> {
        let process = self.processes.entry(pid).or_default();
        process.gone_at = at;
        let gone: Vec<Avma> = (process.live.iter())
            .filter(|(_address, live)| live.since <= at)
            .map(|(address, _live)| *address)
            .collect();
        let mut samples = Vec::with_capacity(gone.len());
        for address in gone {
            samples.extend(self.freed(pid, address, at).map(|sample| (address, sample)));
        }
        samples
    }

    /// The processes that something lives of.
    pub fn pids(&self) -> Vec<Pid> {
        self.processes.keys().copied().collect()
    }

    /// No more records of a process that has ended will come.
    pub fn forget(&mut self, pid: Pid) {
        if let Entry::Occupied(process) = self.processes.entry(pid)
            && process.get().live.is_empty()
        {
            process.remove();
        }
    }

    /// Looks at what lives now, once a second at most: growth is told from this.
    pub fn look(&mut self, now: Duration) {
        let first = *self.first_look.get_or_insert(now);
        if self.looks.count != 0 && now < self.last_look + LOOK_PAUSE {
            return;
        }
        self.last_look = now;
        let after = now.saturating_sub(first);
        self.looks.look(after);
        for standing in self.sites.values_mut() {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            standing.seen.add(after, standing.live.bytes as f64);
        }
    }

    /// Allocations since this was last asked that found no room, so that nobody will see their end.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// What lives, by stack.
    pub(super) fn standings(&self) -> impl Iterator<Item = (&Arc<Site>, &Standing)> {
        (self.sites.iter()).filter(|(_site, standing)| 0 < standing.samples)
    }

    /// The looks so far.
    pub(super) fn looks(&self) -> &Looks {
        &self.looks
    }

    /// When the oldest live allocation of each site was made.
    pub(super) fn oldest(&self) -> HashMap<&Arc<Site>, Duration> {
        let mut oldest = HashMap::new();
        for live in self
            .processes
            .values()
            .flat_map(|process| process.live.values())
        {
            let since = oldest.entry(&live.site).or_insert(live.since);
            *since = live.since.min(*since);
        }
        oldest
    }

    /// The one copy of a site.
    fn intern(&mut self, site: Site) -> Arc<Site> {
        if let Some((known, _standing)) = self.sites.get_key_value(&site) {
            return Arc::clone(known);
        }
        if SITES_MAX <= self.sites.len() {
            self.sites.retain(|_site, standing| 0 < standing.samples);
        }
        let site = Arc::new(site);
        if self.sites.len() < SITES_MAX {
            self.sites.insert(Arc::clone(&site), Standing::default());
        }
        site
    }
}

/// Where a sample was taken.
fn site_of(sample: StackSample) -> Site {
    Site {
        pid: sample.pid,
        tid: sample.tid,
        comm: sample.comm,
        cgroup_id: sample.cgroup_id,
        user: sample.user,
        end: sample.end,
        fallback: sample.fallback,
    }
}

impl Site {
    /// A sample at this site.
    pub(super) fn sample(&self, taken_at: Duration, values: [u64; 4]) -> StackSample {
        StackSample {
            taken_at,
            pid: self.pid,
            tid: self.tid,
            comm: self.comm.clone(),
            cgroup_id: self.cgroup_id,
            measured: Measured::Counted {
                signal: Signal::Alloc,
                values,
            },
            about: Vec::new(),
            user: self.user.clone(),
            kernel: Vec::new(),
            end: self.end,
            fallback: self.fallback,
        }
    }
}

impl Standing {
    /// Mean time of allocation of what lives.
    pub(super) fn mean_since(&self) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let mean = self.since_sum / self.samples.max(1) as f64;
        Duration::try_from_secs_f64(mean).unwrap_or_default()
    }

    /// How it grows.
    pub(super) fn growth(&self, looks: &Looks) -> Growth {
        self.seen.growth(looks)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Allocation, Avma, LiveTable, Measured, Pid, StackEnd, StackSample, Tid};
    use crate::model::Signal;

    const PERIOD: u64 = 1_000;

    fn at(second: u64, pid: u32) -> StackSample {
        StackSample {
            taken_at: Duration::from_secs(second),
            pid: Pid(pid),
            tid: Tid(pid),
            comm: "worker".to_owned(),
            cgroup_id: 0,
            measured: Measured::OnCpu,
            about: Vec::new(),
            user: Vec::new(),
            kernel: Vec::new(),
            end: StackEnd::Complete,
            fallback: false,
        }
    }

    fn large(address: u64) -> Allocation {
        Allocation {
            size_bytes: 100 * PERIOD,
            address: Avma(address),
            is_followed: true,
        }
    }

    fn values(samples: impl IntoIterator<Item = StackSample>) -> [u64; 4] {
        let mut sums = [0; 4];
        for sample in samples {
            let Measured::Counted { signal, values } = sample.measured else {
                panic!("{sample:?}");
            };
            assert_eq!(Signal::Alloc, signal);
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value;
            }
        }
        sums
    }

    #[test]
    fn what_is_freed_has_the_weight_it_was_allocated_with() {
        let mut table = LiveTable::new(PERIOD);
        let small = Allocation {
            size_bytes: 10,
            ..large(0x10)
        };
        let [bytes, objects, ..] = values(table.allocated(at(1, 1), small, 0.7));
        assert!(900 < bytes && 90 < objects, "{bytes} {objects}");
        let freed = values(table.freed(Pid(1), Avma(0x10), Duration::from_secs(2)));
        assert_eq!([0, 0, bytes, objects], freed);
        assert_eq!(0, table.standings().count());
        assert!(
            table
                .freed(Pid(1), Avma(0x10), Duration::from_secs(3))
                .is_none()
        );
    }

    #[test]
    fn memory_of_a_process_ends_with_it_and_late_records_too() {
        let mut table = LiveTable::new(PERIOD);
        table.allocated(at(1, 1), large(0x10), 0.0);
        table.allocated(at(1, 2), large(0x10), 0.0);
        let gone = table.ended(Pid(1), Duration::from_secs(5));
        assert_eq!(
            vec![Avma(0x10)],
            gone.iter().map(|gone| gone.0).collect::<Vec<_>>()
        );
        let late = values(table.allocated(at(4, 1), large(0x20), 0.0));
        assert_eq!([100 * PERIOD, 1, 100 * PERIOD, 1], late);
        table.allocated(at(6, 1), large(0x30), 0.0);
        table.forget(Pid(1));
        assert_eq!(
            2,
            table.standings().count(),
            "the other process, and the new program"
        );
    }

    #[test]
    fn an_address_that_is_allocated_again_was_freed_before() {
        let mut table = LiveTable::new(PERIOD);
        table.allocated(at(1, 1), large(0x10), 0.0);
        let again = values(table.allocated(at(2, 1), large(0x10), 0.0));
        assert_eq!([100 * PERIOD, 1, 100 * PERIOD, 1], again);
        assert_eq!(1, table.live);
    }

    #[test]
    fn what_nobody_follows_is_counted_and_not_remembered() {
        let mut table = LiveTable::new(PERIOD);
        let allocation = Allocation {
            is_followed: false,
            ..large(0x10)
        };
        assert_eq!(
            [100 * PERIOD, 1, 0, 0],
            values(table.allocated(at(1, 1), allocation, 0.0))
        );
        assert_eq!((0, 0), (table.live, table.take_refused()));
    }
}
