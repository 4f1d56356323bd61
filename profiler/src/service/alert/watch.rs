//! Looks at the budget again and again, and tells what changes.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    AlertError,
    deliver::Deliveries,
    keep::{Event, Keep, Standing},
    limits::{COMPARE_EVERY, LOOK_TIME_MAX, REPEAT_EVERY},
    machine::{Patience, next},
    message::Message,
};
use crate::{
    clock,
    service::{
        insight::{Judged, Limit, Measure},
        query::{Guide, QueryError, Reader, check_limit, limits::ROWS_READ_MAX, window_of},
        store::QueryLimits,
    },
};

/// File in the store's folder that keeps alerts.
const FILE: &str = "alerts.db";

/// A limit as it was looked at last, and when.
pub(super) type Look = (Judged, Duration);

/// The budget's alerts. Clones share them.
#[derive(Clone)]
pub struct Alerting(pub(super) Arc<Inner>);

/// What all clones share.
pub(super) struct Inner {
    pub(super) guide: Arc<Guide>,
    pub(super) keep: Keep,
    pub(super) deliveries: Vec<Deliveries>,
    /// By limit.
    pub(super) looks: Mutex<BTreeMap<String, Look>>,
    /// When a firing alert was told last, by limit.
    repeated: Mutex<BTreeMap<String, Duration>>,
}

impl Alerting {
    /// Opens what is kept of alerts, and the ways to the receivers. Must be called on the service's
    /// threads.
    ///
    /// # Errors
    /// The file of alerts, or what a receiver needs, cannot be used.
    pub fn open(guide: &Arc<Guide>, folder: &Path) -> Result<Self, AlertError> {
        let receivers = guide.budget.iter().flat_map(|budget| &budget.receivers);
        Ok(Self(Arc::new(Inner {
            guide: Arc::clone(guide),
            keep: Keep::open(&folder.join(FILE))?,
            deliveries: receivers.map(Deliveries::start).collect::<Result<_, _>>()?,
            looks: Mutex::default(),
            repeated: Mutex::default(),
        })))
    }

    /// Looks at the budget until it is told to stop; does nothing without one.
    pub fn start(&self, reader: Arc<Reader>, stop: CancellationToken) -> JoinHandle<()> {
        let this = self.clone();
        tokio::spawn(async move {
            let Some(every) = this.0.guide.budget.as_ref().map(|budget| budget.every) else {
                return;
            };
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = stop.cancelled() => return,
                }
                this.look_now(&reader).await;
            }
        })
    }

    /// Looks at the budget once, on a thread that may block.
    async fn look_now(&self, reader: &Arc<Reader>) {
        let (this, reader) = (self.clone(), Arc::clone(reader));
        let looked = tokio::task::spawn_blocking(move || this.look(&reader, clock::wall())).await;
        match looked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the budget could not be looked at"),
            Err(error) => tracing::error!(%error, "a bug ended a look at the budget"),
        }
    }

    /// Looks at every limit as of some moment, and tells what changed.
    pub(super) fn look(&self, reader: &Reader, now: Duration) -> Result<(), QueryError> {
        let Some(budget) = &self.0.guide.budget else {
            return Ok(());
        };
        let limits = QueryLimits {
            rows_max: ROWS_READ_MAX,
            cancelled: Arc::default(),
            deadline: Some(clock::monotonic().saturating_add(LOOK_TIME_MAX)),
        };
        let when = (window_of(budget, now), None);
        for limit in &budget.limits {
            let (judged, at) = if let Some(look) = self.still_holds(limit, now) {
                look
            } else {
                let rules = &self.0.guide.rules;
                (check_limit(reader, limit, rules, when, &limits)?, now)
            };
            if let Err(error) = self.observe(limit, &judged, now) {
                tracing::error!(%error, alert = limit.name, "the state of an alert was not kept");
            }
            let mut looks = self.0.looks.lock().unwrap_or_else(PoisonError::into_inner);
            looks.insert(judged.name.clone(), (judged, at));
        }
        Ok(())
    }

    /// What was found when a limit on regressions was looked at last, until it is time again.
    fn still_holds(&self, limit: &Limit, now: Duration) -> Option<Look> {
        if !matches!(limit.measure, Measure::Regressions { .. }) {
            return None;
        }
        let looks = self.0.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let last = looks.get(&limit.name);
        last.filter(|(_judged, at)| now < *at + COMPARE_EVERY)
            .cloned()
    }

    /// Moves one alert on, keeps where it stands and tells what there is to tell.
    fn observe(&self, limit: &Limit, judged: &Judged, now: Duration) -> Result<(), AlertError> {
        let before = self.0.keep.standing(&limit.name)?;
        let silences = self.0.keep.silences(now)?;
        let is_silent = silences.iter().any(|silence| silence.is_about(&limit.name));
        let patience = Patience {
            hold: limit.hold,
            clear: limit.clear_after,
        };
        let mut after = before.clone();
        after.state = next(before.state, before.since, judged.verdict, now, patience);
        let event = (after.state != before.state).then(|| Event {
            name: limit.name.clone(),
            at: now,
            before: before.state,
            after: after.state,
            value: judged.measured.interval.value,
            summary: judged.summary.clone(),
            is_silent,
        });
        if event.is_some() {
            after.since = now;
        }
        if after.state.is_told() && !before.state.is_told() {
            after.fired = now;
        }
        let told = tell(&before, &after, is_silent);
        after.is_told = match told {
            Some(is_firing) => is_firing,
            None => before.is_told,
        };
        if after != before {
            self.0.keep.change(&limit.name, &after, event.as_ref())?;
        }
        let message = |is_firing| Message::of(limit, judged, is_firing, [after.fired, now]);
        if let Some(is_firing) = told {
            self.send_all(&message(is_firing));
        } else if after.is_told && !is_silent {
            self.repeat(&message(true));
        }
        Ok(())
    }

    /// Tells every receiver.
    fn send_all(&self, message: &Message) {
        self.note_told(message);
        for receiver in &self.0.deliveries {
            receiver.send(message.clone());
        }
    }

    /// Tells those again that would forget, if it is time.
    fn repeat(&self, message: &Message) {
        let is_due = {
            let repeated = self
                .0
                .repeated
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let last = repeated.get(&message.name).copied();
            last.is_none_or(|last| last + REPEAT_EVERY <= message.now)
        };
        if is_due {
            self.note_told(message);
            let forgetful = self.0.deliveries.iter().filter(|to| to.needs_repeats());
            forgetful.for_each(|to| to.send(message.clone()));
        }
    }

    /// Remembers when an alert was told last.
    fn note_told(&self, message: &Message) {
        let mut repeated = self
            .0
            .repeated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        repeated.insert(message.name.clone(), message.now);
    }
}

/// What there is to tell: that it fires, or that it is over. What was kept quiet is told when the
/// silence ends before the alert does; the end of what was told is told in any case.
fn tell(before: &Standing, after: &Standing, is_silent: bool) -> Option<bool> {
    match (after.state.is_told(), before.is_told) {
        (true, false) if !is_silent => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}
