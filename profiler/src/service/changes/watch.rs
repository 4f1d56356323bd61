//! Looks again and again whether a comparison is due.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    ChangesError,
    keep::{Keep, Kept},
    limits::{
        BUILD_EVERY, COMPARE_TIME_MAX, DAY_EVERY, FORGET_AFTER, FUNCTIONS_MAX, LOOK_EVERY,
        SERVICES_MAX, SPAN,
    },
};
use crate::{
    clock,
    model::{MatchKind, Matcher, Selection, label},
    service::{
        insight::{Against, Settings},
        query::{
            QueryError, Question, Reader, Wanted, limits::ROWS_READ_MAX, regressions,
            regressions_response, values,
        },
        store::QueryLimits,
    },
    telemetry::TRACES,
    wire::v1::generated::{self as v1, RegressionsResponse},
};

/// File in the store's folder that keeps comparisons.
const FILE: &str = "changes.db";

/// With what each service is compared, as the wire calls it, and how often.
const COMPARED: [(Against, v1::Against, Duration); 3] = [
    (
        Against::PreviousBuild,
        v1::Against::PreviousBuild,
        BUILD_EVERY,
    ),
    (Against::Yesterday, v1::Against::Yesterday, DAY_EVERY),
    (Against::LastWeek, v1::Against::LastWeek, DAY_EVERY),
];

/// Comparisons of services with their past. Clones share them.
#[derive(Clone)]
pub struct Changes(pub(super) Arc<Keep>);

impl Changes {
    /// Opens what is kept of comparisons.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(folder: &Path) -> Result<Self, ChangesError> {
        Ok(Self(Arc::new(Keep::open(&folder.join(FILE))?)))
    }

    /// Compares what is due until it is told to stop.
    pub fn start(&self, reader: Arc<Reader>, stop: CancellationToken) -> JoinHandle<()> {
        let this = self.clone();
        tokio::spawn(async move {
            let mut ticks = interval(LOOK_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = stop.cancelled() => return,
                }
                this.look_now(&reader, &stop).await;
            }
        })
    }

    /// Compares what is due now, on a thread that may block; it ends early when the service stops.
    async fn look_now(&self, reader: &Arc<Reader>, stop: &CancellationToken) {
        let (this, reader) = (self.clone(), Arc::clone(reader));
        let cancelled = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&cancelled);
        let span = tracing::debug_span!(target: TRACES, "compare");
        let look = move || span.in_scope(|| this.look(&reader, clock::wall(), &told));
        let mut looked = tokio::task::spawn_blocking(look);
        let looked = tokio::select! {
            looked = &mut looked => looked,
            () = stop.cancelled() => {
                cancelled.store(true, Ordering::Relaxed);
                looked.await
            }
        };
        match looked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "comparisons are not kept"),
            Err(error) => tracing::error!(%error, "a bug ended a comparison"),
        }
    }

    /// Compares what is due at some moment.
    pub(super) fn look(
        &self,
        reader: &Reader,
        now: Duration,
        cancelled: &Arc<AtomicBool>,
    ) -> Result<(), ChangesError> {
        self.0.forget(now.saturating_sub(FORGET_AFTER))?;
        let all = match question(now).resolve(reader.store(), now) {
            Ok(all) => all,
            // Nothing was delivered lately.
            Err(_no_data) => return Ok(()),
        };
        let services = values(reader, &all, label::SERVICE, SERVICES_MAX);
        for service in services.map(|found| found.values).unwrap_or_default() {
            let before = self.0.list(&service)?;
            for (against, number, every) in COMPARED {
                let last = before.iter().find(|kept| kept.against == i32::from(number));
                if last.is_some_and(|last| now < last.at + every) {
                    continue;
                }
                let of_service = one(&all, &service);
                let Some(answer) = compared(reader, of_service, against, cancelled) else {
                    continue;
                };
                tell(&service, number, last.map(|last| &last.answer), &answer);
                self.0.put(&Kept {
                    service: service.clone(),
                    against: number.into(),
                    at: now,
                    answer,
                })?;
            }
        }
        Ok(())
    }
}

/// CPU time of everything in the span that is compared.
fn question(now: Duration) -> Question {
    Question {
        start: now.saturating_sub(SPAN),
        end: now,
        ..Question::default()
    }
}

/// The same of one service.
fn one(all: &Selection, service: &str) -> Selection {
    let mut selection = all.clone();
    selection.matchers.push(Matcher {
        name: label::SERVICE.to_owned(),
        kind: MatchKind::Equal,
        value: service.to_owned(),
    });
    selection
}

/// A comparison; nothing where there is nothing to compare with. A failure is told and tried again.
fn compared(
    reader: &Reader,
    after: Selection,
    against: Against,
    cancelled: &Arc<AtomicBool>,
) -> Option<RegressionsResponse> {
    let wanted = Wanted {
        after,
        before: None,
        against,
        is_total: false,
        settings: Settings::default(),
        limit: FUNCTIONS_MAX,
    };
    let limits = QueryLimits {
        rows_max: ROWS_READ_MAX,
        cancelled: Arc::clone(cancelled),
        deadline: Some(clock::monotonic().saturating_add(COMPARE_TIME_MAX)),
    };
    match regressions(reader, &wanted, &limits) {
        Ok(found) => Some(regressions_response(&found))
            .filter(|answer| 0.0 < answer.before_samples && 0.0 < answer.after_samples),
        Err(QueryError::NoEarlierBuild) => None,
        Err(_stopping) if cancelled.load(Ordering::Relaxed) => None,
        Err(error) => {
            tracing::warn!(%error, "a service was not compared with its past");
            None
        }
    }
}

/// Logs functions that were not slower when it was looked last.
fn tell(
    service: &str,
    against: v1::Against,
    before: Option<&RegressionsResponse>,
    after: &RegressionsResponse,
) {
    let named = |answer: &RegressionsResponse| -> Vec<String> {
        let places = answer
            .slower
            .iter()
            .filter_map(|change| change.place.clone());
        places.map(|place| place.function).collect()
    };
    let known = before.map(named).unwrap_or_default();
    for function in named(after).iter().filter(|name| !known.contains(name)) {
        let against = against.as_str_name();
        tracing::info!(service, function, against, "a function became slower");
    }
}
