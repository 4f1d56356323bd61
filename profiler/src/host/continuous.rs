//! Sampling for months: a window after the other, named while sampling goes on.
//!
//! Part of the composition root. The sampling thread never waits for names.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use profiler_common::{counter::Tally, sample::SignalCode};

use super::{
    aggregate::{ProfileFacts, Window, build_profile, period},
    bursts::{Burst, Bursts, Usual},
    governing::Budget,
    governor::Relief,
    kernel_counts::KernelCounts,
    labels::{LabelRules, Labeler},
    naming::Namer,
    probe::{Filter, Sampling, SignalOptions, Unwinding},
    process::ObjectsById,
    run::DRAIN_INTERVAL,
    sampling::{Cost, Host, SamplingOptions, kernel_release, raise_priority},
    windows::WindowSet,
};
use crate::{
    clock,
    model::{Batch, BurstOrder, Labels, Loss, Profile, Signal, Window as Span},
};

/// Windows that wait for their names. One is the rule; after the first, whose names are all new,
/// it is quick again. Each may take as much memory as a window does.
const NAMING_QUEUE: usize = 4;
/// Before its end, a window is looked at in this time at least once.
const NEAR: Duration = DRAIN_INTERVAL.saturating_mul(2);
/// How far the wall clock may be from where it was expected before a window says so in its start.
const CLOCK_STEP_MIN: Duration = Duration::from_millis(100);

/// How to watch the whole host.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Name of this host, as profiles and labels have it.
    pub host: String,
    /// How user stacks are followed.
    pub unwinding: Unwinding,
    /// Samples a second and CPU.
    pub rate_hz: u32,
    /// What is watched.
    pub signals: SignalOptions,
    /// Length of a window; windows end at multiples of it since the Unix epoch.
    pub window: Duration,
    /// Where compiled unwind tables are kept for the next run.
    pub cache_dir: Option<PathBuf>,
    /// Whether to look for inlined functions and lines.
    pub inlines: bool,
    /// What it may cost.
    pub budget: Budget,
    /// Orders to sample more for a while; absent when none are taken.
    pub bursts: Option<Bursts>,
}

/// Rules of the labels, which someone else may replace while sampling goes on.
#[derive(Clone, Debug, Default)]
pub struct SharedLabelRules(Arc<Mutex<NewestRules>>);

/// Rules, and whether they were replaced since they were last taken.
type NewestRules = (Arc<LabelRules>, bool);

impl SharedLabelRules {
    /// Replaces the rules, for what is sampled from now on.
    pub fn replace(&self, rules: LabelRules) {
        *self.lock() = (Arc::new(rules), true);
    }

    /// The rules as they are now, for whoever does not follow them.
    pub(super) fn apart(&self) -> Self {
        let (rules, _has_changed) = &*self.lock();
        Self(Arc::new(Mutex::new((Arc::clone(rules), false))))
    }

    /// Whether they were replaced since they were last taken.
    fn has_changed(&self) -> bool {
        self.lock().1
    }

    /// Takes the rules as they are now.
    fn take(&self) -> Arc<LabelRules> {
        let mut shared = self.lock();
        shared.1 = false;
        Arc::clone(&shared.0)
    }

    /// Locks; nothing can panic while it is locked.
    fn lock(&self) -> MutexGuard<'_, NewestRules> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One window of one signal of the host.
#[derive(Clone, Debug)]
pub struct WatchedWindow {
    /// The profile.
    pub profile: Profile,
    /// What it all cost until the end of the window.
    pub cost: Cost,
    /// True for a signal that is watched for a while, beside all others: costs are its own then.
    pub is_further: bool,
}

impl WatchedWindow {
    /// The window as it is delivered.
    pub fn batch(&self) -> Batch {
        let rate_hz = self.profile.quality.rate_asked_hz;
        Batch::from_profile(&self.profile, period(rate_hz))
    }
}

/// What of a host is watched, and until when.
pub(super) struct Scope<'a> {
    /// Which tasks.
    pub(super) filter: Filter,
    /// Labels of every window.
    pub(super) labels: Labels,
    /// Whether it is over; asked all the time.
    pub(super) is_over: &'a (dyn Fn() -> bool + Sync),
}

/// Samples what is in scope until that is over; gives each window to `deliver`, in order, on a thread
/// of its own. The last window ends when sampling does.
///
/// While the queue of windows to be named is full, the open one goes on for another length. One that
/// ends before that was seen is dropped; the next one says so, as [`Loss::NamingBehind`].
///
/// # Errors
/// What kept the probe from being loaded, or sampling from going on.
pub(super) fn watch_scope(
    options: &WatchOptions,
    scope: &Scope<'_>,
    labels: &SharedLabelRules,
    deliver: &mut (dyn FnMut(WatchedWindow) + Send),
) -> anyhow::Result<()> {
    let begun = clock::monotonic();
    let mut host = Host::start(&SamplingOptions {
        filter: scope.filter.clone(),
        unwinding: options.unwinding,
        rate_hz: options.rate_hz,
        cache_dir: options.cache_dir.clone(),
        signals: options.signals.clone(),
    })?;
    let (jobs, waiting) = sync_channel(NAMING_QUEUE);
    let vdso = host.vdso.clone();
    thread::scope(|threads| {
        // The namer is started first: it must not have the sampling thread's priority.
        let inlines = options.inlines;
        let backlog = Backlog::default();
        let taken = backlog.clone();
        let waiting = waiting.into_iter().inspect(move |_job| taken.take());
        let namer = threads.spawn(move || name_all(waiting, inlines, vdso.as_ref(), deliver));
        raise_priority();
        let sampling = host.attach(&options.signals, options.rate_hz, &options.budget)?;
        let started_after = clock::monotonic().saturating_sub(begun);
        let jobs = (jobs, backlog);
        let mut cutter = Cutter::start(options, sampling, jobs, started_after);
        cutter.facts.labels = scope.labels.clone();
        let result = cutter.run(&mut host, labels, scope.is_over);
        drop(cutter);
        let named = namer.join();
        result?;
        named.map_err(|_panic| anyhow::anyhow!("the thread that looks up names panicked"))
    })
}

/// A window of each signal, which wait for their names.
struct NamingJob {
    windows: Vec<(Window, ProfileFacts)>,
    /// Every object of the host: those of ended processes are only kept by this.
    objects: ObjectsById,
    cost: Cost,
}

/// How many jobs wait.
#[derive(Clone, Debug, Default)]
struct Backlog(Arc<AtomicUsize>);

impl Backlog {
    /// Whether there is no room for another job.
    fn is_full(&self) -> bool {
        NAMING_QUEUE <= self.0.load(Ordering::Relaxed)
    }

    /// A job more.
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// A job less.
    fn take(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Names windows until there are no more.
fn name_all(
    jobs: impl Iterator<Item = NamingJob>,
    inlines: bool,
    vdso: Option<&Arc<[u8]>>,
    deliver: &mut (dyn FnMut(WatchedWindow) + Send),
) {
    let mut namer = Namer::new(inlines);
    for job in jobs {
        for (window, facts) in &job.windows {
            if Relief::Names <= job.cost.governed.relief {
                namer.forget();
            }
            let names = namer.name(window, &job.objects, vdso);
            deliver(WatchedWindow {
                profile: build_profile(window, &names, facts),
                cost: job.cost.clone(),
                is_further: false,
            });
        }
    }
}

/// Cuts windows where they end.
struct Cutter {
    length: Duration,
    jobs: SyncSender<NamingJob>,
    backlog: Backlog,
    /// What is the same in every window.
    facts: ProfileFacts,
    started_after: Duration,
    /// What is watched.
    signals: Vec<Signal>,
    /// How time on the CPU is sampled without bursts, when it is.
    usual: Option<Usual>,
    /// Orders to sample more for a while.
    orders: Bursts,
    /// The burst that is under way.
    burst: Option<Burst>,
    /// The window that is counted.
    open: OpenWindow,
    /// What the next window has to tell of the ones that were dropped.
    dropped: Dropped,
}

/// Begin and end of the window that is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct OpenWindow {
    /// Its begin, wall clock.
    start: Duration,
    /// Its begin, monotonic clock.
    started: Duration,
    /// Its end, wall clock.
    end: Duration,
    /// Its end, monotonic clock.
    ended: Duration,
}

/// Windows that found no room in the queue.
#[derive(Debug, Default)]
struct Dropped {
    windows: u64,
    lost: BTreeMap<Loss, u64>,
}

impl OpenWindow {
    /// A window that begins at `started` and ends at the next multiple of `length` after now.
    /// `expected` is where the last one was to end; the wall clock may have been set since.
    fn begin(
        length: Duration,
        now: (Duration, Duration),
        started: Duration,
        expected: Option<Duration>,
    ) -> Self {
        let (wall, monotonic) = now;
        let start = wall.saturating_sub(monotonic.saturating_sub(started));
        let start = expected
            .filter(|expected| expected.abs_diff(start) < CLOCK_STEP_MIN)
            .unwrap_or(start);
        let length_ns = length.as_nanos().max(1);
        // What is left of the window after a boundary that was met a moment too early is no window.
        let reached = wall.max(start);
        let end_ns = (reached.as_nanos() / length_ns + 1) * length_ns;
        let end = Duration::from_nanos(u64::try_from(end_ns).unwrap_or(u64::MAX));
        Self {
            start,
            started,
            end,
            ended: monotonic + end.saturating_sub(wall),
        }
    }

    /// Ends it at another time, by the monotonic clock.
    fn end_at(&mut self, ended: Duration) {
        self.end = self.start + ended.saturating_sub(self.started);
        self.ended = ended;
    }

    /// Has it go on for another `length`, when its end is near and nothing was sampled after it yet;
    /// says whether it does.
    fn put_off(&mut self, now: Duration, length: Duration) -> bool {
        let is_near = now < self.ended && self.ended <= now + NEAR;
        if is_near {
            self.end += length;
            self.ended += length;
        }
        is_near
    }
}

impl Cutter {
    /// Opens the first window.
    fn start(
        options: &WatchOptions,
        sampling: Option<Sampling>,
        (jobs, backlog): (SyncSender<NamingJob>, Backlog),
        started_after: Duration,
    ) -> Self {
        let now = (clock::wall(), clock::monotonic());
        Self {
            length: options.window,
            jobs,
            backlog,
            facts: ProfileFacts {
                host: options.host.clone(),
                kernel_release: kernel_release(),
                rate_asked_hz: f64::from(options.rate_hz),
                cpus: sampling.map_or(0, |sampling| sampling.cpus),
                ..ProfileFacts::default()
            },
            started_after,
            signals: options.signals.signals.clone(),
            usual: sampling.map(|sampling| Usual {
                clock: sampling.clock,
                rate_hz: options.rate_hz,
            }),
            orders: options.bursts.clone().unwrap_or_default(),
            burst: None,
            open: OpenWindow::begin(options.window, now, now.1, None),
            dropped: Dropped::default(),
        }
    }

    /// Samples until someone asks to stop, then cuts the last window.
    fn run(
        &mut self,
        host: &mut Host,
        labels: &SharedLabelRules,
        is_over: &dyn Fn() -> bool,
    ) -> anyhow::Result<()> {
        host.windows.labeler = Some(Labeler::new(self.facts.host.clone(), labels.take()));
        host.windows.end_at(self.open.ended);
        while !is_over() {
            if let Some(labeler) = &mut host.windows.labeler
                && labels.has_changed()
            {
                labeler.set_rules(labels.take());
            }
            let rest = self.open.ended.saturating_sub(clock::monotonic());
            host.wait_and_drain(rest.min(DRAIN_INTERVAL))?;
            let now = clock::monotonic();
            if self.backlog.is_full() && self.open.put_off(now, self.length) {
                host.windows.end_at(self.open.ended);
            }
            if self.open.ended <= now {
                self.cut(host)?;
            }
            self.follow_bursts(host)?;
            host.refresh();
            if host.processes.objects.is_used_up() {
                bail!("the numbers of object files are used up; start again");
            }
        }
        if let Some(burst) = &mut self.burst {
            burst.end();
        }
        host.detach(&self.signals);
        host.drain();
        self.cut_last(host)
    }

    /// Begins the burst that was ordered last; ends the one that is over, or was before it.
    fn follow_bursts(&mut self, host: &mut Host) -> anyhow::Result<()> {
        let order = self.orders.take();
        let now = clock::monotonic();
        let samples = host.probe.tally(SignalCode::Cpu, Tally::Sent);
        let is_over = |burst: &Burst| order.is_some() || burst.is_over(samples, now);
        if let Some(burst) = self.burst.as_mut().filter(|burst| is_over(burst)) {
            burst.end();
            self.cut_now(host)?;
            self.burst = None;
            host.windows.burst = None;
        }
        match order {
            Some(order) => self.begin_burst(&order, host, samples),
            None => Ok(()),
        }
    }

    /// Begins a burst, in windows of its own: every window has one rate.
    fn begin_burst(
        &mut self,
        order: &BurstOrder,
        host: &mut Host,
        samples: u64,
    ) -> anyhow::Result<()> {
        self.cut_now(host)?;
        let now = clock::monotonic();
        self.burst = Burst::begin(order, self.usual, &mut host.probe, samples, now);
        host.windows.burst = self.burst.as_ref().map(|burst| burst.targets.clone());
        Ok(())
    }

    /// Ends the window before its time.
    fn cut_now(&mut self, host: &mut Host) -> anyhow::Result<()> {
        let now = clock::monotonic();
        self.open.end_at(now);
        host.windows.end_at(now);
        host.drain();
        self.cut(host)
    }

    /// Hands on the window that is over, and opens the next one.
    fn cut(&mut self, host: &mut Host) -> anyhow::Result<()> {
        let job = self.take(host, self.open.ended);
        let now = (clock::wall(), clock::monotonic());
        self.open = OpenWindow::begin(self.length, now, self.open.ended, Some(self.open.end));
        host.windows.end_at(self.open.ended);
        self.backlog.add();
        match self.jobs.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job)) => {
                self.backlog.take();
                tracing::warn!("names are looked up too slowly; a window is dropped");
                self.dropped.add(&job);
                Ok(())
            }
            Err(TrySendError::Disconnected(_job)) => bail!("nobody looks up names any more"),
        }
    }

    /// Hands on what is left when sampling has stopped.
    fn cut_last(&mut self, host: &mut Host) -> anyhow::Result<()> {
        let now = clock::monotonic();
        while 0 < host.windows.samples() || self.open.started < now {
            let ended = self.open.ended.min(now);
            let job = self.take(host, ended);
            // Sampling is over: now there is time to wait.
            self.backlog.add();
            self.jobs
                .send(job)
                .ok()
                .context("nobody looks up names any more")?;
            self.open.start = self.open.end;
            self.open.started = ended;
            self.open.ended = now;
        }
        Ok(())
    }

    /// Takes the window that ended at `ended` out of the host.
    fn take(&mut self, host: &mut Host, ended: Duration) -> NamingJob {
        let span = Span {
            start: self.open.start,
            duration: ended.saturating_sub(self.open.started),
        };
        host.collect_tables(ended.saturating_sub(Duration::from_nanos(1)));
        let mut dropped = std::mem::take(&mut self.dropped);
        let counts = host.take_counts();
        let coverage = host.take_coverage();
        let WindowSet { each, burst } = host.windows.cut();
        let watched = |window: &Window| self.signals.contains(&window.signal);
        let windows = each.into_iter().filter(watched).map(|mut window| {
            // Whoever is first tells of all that were dropped.
            let dropped = std::mem::take(&mut dropped);
            for (loss, count) in dropped.lost {
                window.lose_many(loss, count);
            }
            let facts = ProfileFacts {
                duty_cycle: Some(coverage.of(window.signal).duty),
                overhead: coverage.of(window.signal).overhead,
                ..self.facts_of(window.signal, span, &counts, dropped.windows)
            };
            (window, facts)
        });
        let usual = windows.collect();
        let windows = match &self.burst {
            None => usual,
            Some(under_way) => {
                let facts = ProfileFacts {
                    host: self.facts.host.clone(),
                    span,
                    kernel_release: self.facts.kernel_release.clone(),
                    ..ProfileFacts::default()
                };
                under_way.windows(usual, (burst, facts))
            }
        };
        NamingJob {
            windows,
            objects: host.processes.objects.share(),
            cost: host.cost(self.started_after),
        }
    }

    /// What the profile of a window says besides its stacks.
    fn facts_of(
        &self,
        signal: Signal,
        span: Span,
        counts: &KernelCounts,
        windows_lost: u64,
    ) -> ProfileFacts {
        let is_sampled = signal == Signal::Cpu;
        let when = |count: u64| if is_sampled { count } else { 0 };
        ProfileFacts {
            host: self.facts.host.clone(),
            span,
            kernel_release: self.facts.kernel_release.clone(),
            rate_asked_hz: if is_sampled {
                self.facts.rate_asked_hz
            } else {
                0.0
            },
            cpus: if is_sampled { self.facts.cpus } else { 0 },
            idle: when(counts.idle),
            filtered: when(counts.of(signal, Tally::Filtered)),
            lost: counts.lost(signal),
            windows_lost,
            labels: self.facts.labels.clone(),
            ..ProfileFacts::default()
        }
    }
}

impl Dropped {
    /// Counts windows with all that they had to tell of losses.
    fn add(&mut self, job: &NamingJob) {
        for (window, facts) in &job.windows {
            self.windows += 1 + facts.windows_lost;
            let lost = window.lost.iter().chain(&facts.lost);
            for (loss, count) in lost.chain([(&Loss::NamingBehind, &window.samples)]) {
                *self.lost.entry(*loss).or_default() += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::OpenWindow;

    const TEN: Duration = Duration::from_secs(10);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_first_window_ends_at_the_next_multiple() {
        let open = OpenWindow::begin(TEN, (seconds(1003.5), seconds(7.0)), seconds(7.0), None);
        let expected = OpenWindow {
            start: seconds(1003.5),
            started: seconds(7.0),
            end: seconds(1010.0),
            ended: seconds(13.5),
        };
        assert_eq!(expected, open);
    }

    #[test]
    fn a_window_is_put_off_only_just_before_its_end() {
        let open = OpenWindow::begin(TEN, (seconds(1003.5), seconds(7.0)), seconds(7.0), None);
        let put_off = |now: f64| {
            let mut open = open;
            let is_put_off = open.put_off(seconds(now), TEN);
            (is_put_off, open.end, open.ended)
        };
        let as_it_was = (false, seconds(1010.0), seconds(13.5));
        assert_eq!(as_it_was, put_off(12.0), "the queue may have room by then");
        assert_eq!((true, seconds(1020.0), seconds(23.5)), put_off(13.4));
        assert_eq!(as_it_was, put_off(13.5), "the next one has samples");
    }

    #[test]
    fn the_next_window_begins_where_the_last_one_ended() {
        let now = (seconds(1010.002), seconds(13.502));
        let open = OpenWindow::begin(TEN, now, seconds(13.5), Some(seconds(1010.0)));
        assert_eq!((seconds(1010.0), seconds(1020.0)), (open.start, open.end));
        assert_eq!(seconds(23.5), open.ended);
    }

    #[test]
    fn a_clock_that_is_a_little_behind_makes_no_short_window() {
        let now = (seconds(1009.999), seconds(13.5));
        let open = OpenWindow::begin(TEN, now, seconds(13.5), Some(seconds(1010.0)));
        assert_eq!((seconds(1010.0), seconds(1020.0)), (open.start, open.end));
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let now = (seconds(5000.0), seconds(13.5));
        let open = OpenWindow::begin(TEN, now, seconds(13.5), Some(seconds(1010.0)));
        assert_eq!((seconds(5000.0), seconds(5010.0)), (open.start, open.end));
        assert_eq!(seconds(23.5), open.ended);
    }
}
