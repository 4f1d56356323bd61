//! Functions that became slower, each service by itself: builds change one by one.

use super::{
    bottlenecks::services,
    check::Baseline,
    evidence::to_f64,
    regressions::{Wanted, regressions},
    select::Scope,
};
use crate::{
    model::{Selection, label},
    service::{
        insight::{Against, Change, Settings, limits::CHANGES_MAX},
        query::{QueryError, Reader},
        store::QueryLimits,
    },
};

/// A function that became slower.
pub(super) struct Slower {
    /// Empty where data belongs to no service.
    service: String,
    change: Change,
}

impl Slower {
    /// In words.
    pub(super) fn told(&self) -> String {
        let Self { service, change } = self;
        let of = if service.is_empty() {
            String::new()
        } else {
            format!(" of `{service}`")
        };
        format!(
            "`{}`{of}: {:.2}% of CPU time before, {:.2}% now ({:+.0}%, q = {:.4})",
            change.place.function,
            change.shares[0] * 100.0,
            change.shares[1] * 100.0,
            change.relative * 100.0,
            change.q_value
        )
    }
}

/// Functions that became slower, those that cost the most first; nothing when there is nothing to
/// compare.
///
/// # Errors
/// As [`Reader::merged`].
pub(super) fn slower(
    reader: &Reader,
    scope: &Scope,
    (baseline, against): (Baseline, Against),
    limits: &QueryLimits,
) -> Result<Option<Vec<Slower>>, QueryError> {
    let services = services(reader, scope, false, limits)?;
    let count = to_f64(u64::try_from(services.len()).unwrap_or(u64::MAX));
    let mut settings = Settings::default();
    // Each comparison may be wrong; all of them together are no more often.
    settings.false_discovery_rate /= count.max(1.0);
    let mut slower = Vec::new();
    let mut is_compared = false;
    for service in services {
        let scope = match service.as_str() {
            "" => scope.clone(),
            name => scope.with(label::SERVICE, name),
        };
        let wanted = wanted(reader, &scope, (baseline, against), settings);
        let Some(changes) = compared(reader, wanted, limits)? else {
            continue;
        };
        is_compared = true;
        slower.extend(changes.into_iter().map(|change| Slower {
            service: service.clone(),
            change,
        }));
    }
    slower.sort_by(|a, b| {
        let size = |slower: &Slower| slower.change.difference.value;
        size(b).total_cmp(&size(a))
    });
    Ok(is_compared.then_some(slower))
}

/// What is asked of one service; nothing when it took no CPU time.
fn wanted(
    reader: &Reader,
    scope: &Scope,
    (baseline, against): (Baseline, Against),
    settings: Settings,
) -> Option<Wanted> {
    let after = scope.selection(reader, "cpu", "samples")?;
    let before = baseline.map(|range| Selection {
        range,
        ..after.clone()
    });
    Some(Wanted {
        after,
        before,
        against,
        is_total: false,
        settings,
        limit: CHANGES_MAX,
    })
}

/// What became slower; nothing when one side has no samples, or there is no build before.
fn compared(
    reader: &Reader,
    wanted: Option<Wanted>,
    limits: &QueryLimits,
) -> Result<Option<Vec<Change>>, QueryError> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let found = match regressions(reader, &wanted, limits) {
        Ok(found) => found.comparison,
        Err(QueryError::NoEarlierBuild) => return Ok(None),
        Err(error) => return Err(error),
    };
    let [before, after] = found.samples;
    Ok((0.0 < before && 0.0 < after).then_some(found.slower))
}
