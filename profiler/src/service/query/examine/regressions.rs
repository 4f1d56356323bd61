//! Two selections, compared function by function.

use std::{collections::BTreeMap, time::Duration};

use super::{
    bottlenecks::quality,
    evidence::to_f64,
    lines::locate,
    period::Period,
    select::Scope,
    table::{Columns, Sites, table},
};
use crate::{
    model::{ProfileType, Quality, Selection, TimeRange, label},
    service::{
        insight::{Against, Comparison, Settings, Side, Sides, compare},
        query::{
            QueryError, Reader,
            question::{is_samples, types_of},
        },
        store::QueryLimits,
    },
};

/// Slices of time of each side: many, so that how much they vary is known well.
const SLICES: u32 = 30;
/// A sample of waiting stands for at least so long, in nanoseconds.
const WAIT_SAMPLE_NS: f64 = 1e6;
/// A day.
const DAY: Duration = Duration::from_secs(86_400);
/// How far back the build before this one is looked for.
const BUILDS_WITHIN: Duration = Duration::from_secs(7 * 86_400);
/// Kinds of values that count something, by which is known how much a weight rests on.
const COUNTS: [&str; 5] = ["samples", "events", "calls", "alloc_objects", "faults"];

/// What is compared.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The later selection.
    pub after: Selection,
    /// The earlier one, where it is not told by `against`.
    pub before: Option<Selection>,
    /// With what.
    pub against: Against,
    /// Functions with all they call, or by themselves.
    pub is_total: bool,
    /// What is worth being told.
    pub settings: Settings,
    /// Most functions, slower and faster each.
    pub limit: usize,
}

/// Two selections, compared.
#[derive(Clone, Debug)]
pub struct Regressions {
    /// What changed.
    pub comparison: Comparison,
    /// What was counted.
    pub profile_type: ProfileType,
    /// How good the data of both is.
    pub quality: [Quality; 2],
    /// What was compared, for people.
    pub texts: [String; 2],
}

/// The earlier selection and the later one.
type Both = (Selection, Selection);

/// Compares two selections.
///
/// # Errors
/// Different units; [`QueryError::NoEarlierBuild`]; as [`Reader::merged`].
pub fn regressions(
    reader: &Reader,
    wanted: &Wanted,
    limits: &QueryLimits,
) -> Result<Regressions, QueryError> {
    let (before, after) = selections(reader, wanted, limits)?;
    let units = [&before, &after].map(|selection| selection.profile_type.unit.clone());
    let [unit_before, unit_after] = units;
    if unit_before != unit_after {
        return Err(QueryError::Units {
            before: unit_before,
            after: unit_after,
        });
    }
    let mut sites = Sites::default();
    let mut side =
        |selection: &Selection| read_side(reader, selection, wanted.is_total, &mut sites, limits);
    let (side_before, side_after) = (side(&before)?, side(&after)?);
    let sides = Sides {
        sites: sites.sites,
        before: side_before,
        after: side_after,
    };
    let mut comparison = compare(&sides, &wanted.settings);
    comparison.slower.truncate(wanted.limit);
    comparison.faster.truncate(wanted.limit);
    name_lines(reader, &after, &mut comparison, limits)?;
    let scopes = [&before, &after].map(scope_of);
    Ok(Regressions {
        comparison,
        profile_type: after.profile_type.clone(),
        quality: [
            quality(reader, &scopes[0], limits)?,
            quality(reader, &scopes[1], limits)?,
        ],
        texts: [text_of(&before), text_of(&after)],
    })
}

/// What a selection looks at.
fn scope_of(selection: &Selection) -> Scope {
    Scope {
        matchers: selection.matchers.clone(),
        range: selection.range,
    }
}

/// Length of the span of time of a selection.
fn length_of(selection: &Selection) -> Duration {
    selection.range.end.saturating_sub(selection.range.start)
}

/// A selection for people.
fn text_of(selection: &Selection) -> String {
    format!(
        "{} from {} to {}",
        scope_of(selection).text(),
        selection.range.start.as_secs(),
        selection.range.end.as_secs()
    )
}

/// Both selections, as they were asked for.
fn selections(reader: &Reader, wanted: &Wanted, limits: &QueryLimits) -> Result<Both, QueryError> {
    let after = wanted.after.clone();
    let earlier = |offset: Duration| {
        let mut before = after.clone();
        before.range.start = before.range.start.saturating_sub(offset);
        before.range.end = before.range.end.saturating_sub(offset);
        before
    };
    let before = match (wanted.against, &wanted.before) {
        (Against::Baseline, Some(before)) => before.clone(),
        (Against::Baseline, None) => earlier(length_of(&after)),
        (Against::Yesterday, _) => earlier(DAY),
        (Against::LastWeek, _) => earlier(DAY * 7),
        (Against::PreviousBuild, _) => return builds(reader, &after, limits),
    };
    Ok((before, after))
}

/// What tells builds apart, and what they are builds of: an executable by its build id, a service by
/// what its operator calls its versions.
const BUILDS: [[&str; 2]; 2] = [
    [label::BUILD_ID, label::EXE],
    [label::VERSION, label::SERVICE],
];

/// The build of an executable, or the version of a service.
struct Build {
    /// Labels: of the build, and of what it is a build of.
    names: Vec<String>,
    /// Start of its first and its last step.
    seen: [Duration; 2],
    total: u64,
}

/// The newest build of a selection, and the one that was there before it.
fn builds(reader: &Reader, after: &Selection, limits: &QueryLimits) -> Result<Both, QueryError> {
    for names in BUILDS {
        if let Some(both) = builds_by(reader, after, names, limits)? {
            return Ok(both);
        }
    }
    Err(QueryError::NoEarlierBuild)
}

/// The same by two labels, if there are two builds.
fn builds_by(
    reader: &Reader,
    after: &Selection,
    names: [&str; 2],
    limits: &QueryLimits,
) -> Result<Option<Both>, QueryError> {
    const STEP: Duration = Duration::from_secs(60);
    let length = length_of(after);
    let mut all = after.clone();
    all.range.start = all.range.end.saturating_sub(BUILDS_WITHIN);
    let names = names.map(str::to_owned);
    let groups = reader.totals(&all, STEP, &names, limits)?;
    let builds = groups.iter().filter_map(|group| {
        let first = group.points.first()?.start;
        let last = group.points.last()?;
        let in_range = group
            .points
            .iter()
            .filter(|p| after.range.start <= p.start + STEP);
        let value = |name: &String| group.labels.get(name).cloned().unwrap_or_default();
        Some(Build {
            names: names.iter().map(value).collect(),
            seen: [first, last.start],
            total: in_range.fold(0, |sum: u64, point| sum.saturating_add(point.value)),
        })
    });
    let builds: Vec<Build> = builds.filter(|build| !build.names[0].is_empty()).collect();
    let Some(current) = newest(&builds) else {
        return Ok(None);
    };
    let earlier = (builds.iter())
        .filter(|build| build.names[0] != current.names[0] && build.names[1] == current.names[1])
        .filter(|build| build.seen[0] < current.seen[0])
        .max_by_key(|build| build.seen[1]);
    let Some(previous) = earlier else {
        return Ok(None);
    };
    let of = |build: &Build, range| {
        let scope = scope_of(after).at(range).with(&names[0], &build.names[0]);
        scope.of(after.profile_type.clone())
    };
    let until = previous.seen[1] + STEP;
    let before = TimeRange {
        start: until.saturating_sub(length),
        end: until,
    };
    Ok(Some((of(previous, before), of(current, after.range))))
}

/// The newest build of what weighs most: one that just came is compared while the one before it still
/// runs elsewhere.
fn newest(builds: &[Build]) -> Option<&Build> {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for build in builds {
        *totals.entry(&build.names[1]).or_default() += build.total;
    }
    let (heaviest, _total) = totals.into_iter().max_by_key(|(_name, total)| *total)?;
    let present = builds.iter().filter(|build| 0 < build.total);
    present
        .filter(|build| build.names[1] == heaviest)
        .max_by_key(|build| build.seen[0])
}

/// Reads one side: weights of functions by slice.
fn read_side(
    reader: &Reader,
    selection: &Selection,
    is_total: bool,
    sites: &mut Sites,
    limits: &QueryLimits,
) -> Result<Side, QueryError> {
    let scope = scope_of(selection);
    let signal = selection.profile_type.signal.as_str();
    let Some(period) = Period::of(reader, &scope, &[signal], limits)? else {
        return Ok(Side::default());
    };
    let mut side = Side::default();
    for range in period.slices(SLICES) {
        let mut selection = selection.clone();
        selection.range = range;
        let merged = reader.merged(&selection, limits)?;
        let named = reader.named(&merged);
        let mut weights: Vec<f64> = Vec::new();
        let mut total = 0.0;
        for ((_id, value), stack) in merged.stacks.iter().zip(&named.stacks) {
            let value = to_f64(*value);
            total += value;
            let levels = if is_total {
                &*stack.places
            } else {
                stack.places.last().map_or(&[][..], std::slice::from_ref)
            };
            let levels = levels
                .iter()
                .map(|p| sites.number(&named.places[*p as usize]));
            let mut levels: Vec<u32> = levels.collect();
            levels.sort_unstable();
            levels.dedup();
            for site in levels {
                let site = site as usize;
                weights.resize(weights.len().max(site + 1), 0.0);
                weights[site] += value;
            }
        }
        side.totals.push(total);
        side.slices.push(weights);
    }
    let whole: f64 = side.totals.iter().sum();
    side.samples = samples(reader, selection, whole, limits)?;
    Ok(side)
}

/// How many samples a weight rests on.
fn samples(
    reader: &Reader,
    selection: &Selection,
    whole: f64,
    limits: &QueryLimits,
) -> Result<f64, QueryError> {
    if is_samples(&selection.profile_type) {
        return Ok(whole);
    }
    let scope = scope_of(selection);
    let signal = selection.profile_type.signal.as_str();
    let types = types_of(reader.store(), scope.range, signal);
    let counted = types
        .into_iter()
        .find(|known| COUNTS.contains(&known.kind.as_str()));
    let count = match counted {
        Some(counted) => {
            let sums = scope.sums_by(reader, (signal, &counted.kind), &[], limits)?;
            sums.iter().map(|(_names, sum)| to_f64(*sum)).sum()
        }
        None => f64::INFINITY,
    };
    let spans = match selection.profile_type.unit.as_str() {
        // CPU time is told from samples, of which there is a count.
        "nanoseconds" if signal != "cpu" => whole / WAIT_SAMPLE_NS,
        "nanoseconds" | "bytes" => f64::INFINITY,
        _ => whole,
    };
    let least = spans.min(count);
    Ok(if least.is_finite() { least } else { 0.0 })
}

/// Adds the lines that changes are about.
fn name_lines(
    reader: &Reader,
    after: &Selection,
    comparison: &mut Comparison,
    limits: &QueryLimits,
) -> Result<(), QueryError> {
    let changes = comparison.slower.iter_mut().chain(&mut comparison.faster);
    let mut changes = changes.peekable();
    if changes.peek().is_none() {
        return Ok(());
    }
    let columns = Columns {
        signal: &after.profile_type.signal,
        kinds: &[&after.profile_type.kind],
        sliced: &[],
    };
    let table = table(reader, &scope_of(after), &columns, &[], limits)?;
    for change in changes {
        locate(reader, &table, &mut change.place);
    }
    Ok(())
}
