//! Which parts a question reads, and which span of each.
//!
//! Compaction keeps the same rows several times: as they came, by minute, by hour, and by hour and
//! service. For each hour a question reads the coarsest that gives the same answer: whole hours,
//! whole minutes, and windows at the edges. Parts that are not compacted yet are read in any case. Where retention took the
//! finer ones, a coarser step counts when its start is in the span.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    part::{HOUR_NS, Kind, Part, Resolution},
    row_file::Clip,
};
use crate::service::store::column::Column;

/// One part to read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    /// Which.
    pub(super) part: Arc<Part>,
    /// Which span of it.
    pub(super) clip: Clip,
}

/// Compacted parts of one hour and column, by resolution.
type Levels = BTreeMap<Resolution, Arc<Part>>;

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// What kind of part.
    pub(super) kind: Kind,
    /// Of which time.
    pub(super) span: Clip,
    /// Length of the answer's steps: rows whose steps do not fit in them are read finer; zero when
    /// the answer has no steps.
    pub(super) step_ns: u64,
    /// Whether series of a service need not be told apart.
    pub(super) by_service: bool,
}

/// Parts to read.
pub(super) fn plan(
    parts: &[Arc<Part>],
    wanted: Wanted,
    takes: impl Fn(&Column) -> bool,
) -> Vec<Read> {
    let Wanted { kind, span, .. } = wanted;
    let mut reads = Vec::new();
    let mut compacted: BTreeMap<(&Column, u64), Levels> = BTreeMap::new();
    for part in parts {
        let facts = &part.facts;
        let hour_end = facts.partition.saturating_add(HOUR_NS - 1);
        let is_wanted =
            facts.kind == kind && span.touches(facts.partition, hour_end) && takes(&facts.column);
        if !is_wanted {
            continue;
        }
        if facts.level == 0 {
            push(&mut reads, part, span);
        } else {
            let levels = compacted
                .entry((&facts.column, facts.partition))
                .or_default();
            levels.insert(facts.resolution, Arc::clone(part));
        }
    }
    for ((_column, hour), levels) in compacted {
        let clip = Clip {
            start: span.start.max(hour),
            end: span.end.min(hour.saturating_add(HOUR_NS)),
        };
        choose(&mut reads, &levels, clip, wanted);
    }
    reads
}

/// Adds a part if its rows may be in a span.
fn push(reads: &mut Vec<Read>, part: &Arc<Part>, clip: Clip) {
    let facts = &part.facts;
    if clip.start < clip.end && clip.touches(facts.ts_min, facts.ts_max) {
        let part = Arc::clone(part);
        reads.push(Read { part, clip });
    }
}

/// Chooses among the levels of an hour for a span inside it.
fn choose(reads: &mut Vec<Read>, levels: &Levels, clip: Clip, wanted: Wanted) {
    let fits = |resolution: Resolution| wanted.step_ns.is_multiple_of(resolution.step_ns());
    let raw = levels.get(&Resolution::Raw);
    let minute = levels.get(&Resolution::Minute);
    let hour = levels.get(&Resolution::Hour);
    let finest = raw.or(minute).or(hour);
    let service = levels.get(&Resolution::Service);
    let service = service.filter(|_part| wanted.by_service);
    let is_whole = fits(Resolution::Hour) && is_whole_hour(clip);
    if let Some(hour) = service.or(hour).filter(|_part| is_whole) {
        return push(reads, hour, clip);
    }
    let minutes = whole_minutes(clip);
    match (minute, finest) {
        (Some(minute), Some(finest)) if fits(Resolution::Minute) && minutes.start < minutes.end => {
            let (start, end) = (clip.start, minutes.start);
            push(reads, finest, Clip { start, end });
            push(reads, minute, minutes);
            let (start, end) = (minutes.end, clip.end);
            push(reads, finest, Clip { start, end });
        }
        (_minute, Some(finest)) => push(reads, finest, clip),
        (_minute, None) => {}
    }
}

/// Whether a span inside an hour is all of it.
fn is_whole_hour(clip: Clip) -> bool {
    clip.end - clip.start == HOUR_NS
}

/// The whole minutes inside a span.
fn whole_minutes(clip: Clip) -> Clip {
    let step = Resolution::Minute.step_ns();
    Clip {
        start: clip.start.next_multiple_of(step),
        end: clip.end - clip.end % step,
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::{Wanted, plan};
    use crate::service::store::{
        column::Column,
        embedded::{
            part::{HOUR_NS, Kind, Part, PartFacts, Resolution},
            row_file::Clip,
        },
    };

    const MINUTE: u64 = 60_000_000_000;

    /// Two compacted hours from hour 10 on and one part of hour 11 that is not, without the raw
    /// part of hour 10 when `expired`.
    fn parts(expired: bool) -> Vec<Arc<Part>> {
        let part = |hour: u64, level, resolution: Resolution| {
            let profile_type = crate::model::ProfileType {
                signal: String::new(),
                kind: String::new(),
                unit: String::new(),
            };
            let facts = PartFacts {
                name: format!("{hour}-L{level}-{}", resolution.name()),
                kind: Kind::Samples,
                resolution,
                level,
                column: Column {
                    profile_type,
                    period_ns: 0,
                },
                partition: hour * HOUR_NS,
                ts_min: hour * HOUR_NS,
                ts_max: (hour + 1) * HOUR_NS - 1,
                rows: 1,
                size_bytes: 1,
            };
            Part::new(Path::new("/nowhere"), facts)
        };
        let mut parts = vec![part(11, 0, Resolution::Raw)];
        for hour in [10, 11] {
            parts.extend(Resolution::ALL.map(|resolution| part(hour, 1, resolution)));
        }
        parts.retain(|part| !(expired && part.facts.name == "10-L1-raw"));
        parts
    }

    /// Names and spans in minutes of what is read.
    fn reads(expired: bool, from: u64, to: u64, step_minutes: u64) -> Vec<(String, u64, u64)> {
        reads_by(false, expired, (from, to), step_minutes)
    }

    /// The same, where series of a service need not be told apart.
    fn reads_by(
        by_service: bool,
        expired: bool,
        (from, to): (u64, u64),
        step_minutes: u64,
    ) -> Vec<(String, u64, u64)> {
        let span = Clip {
            start: from * MINUTE + 1,
            end: to * MINUTE,
        };
        let wanted = Wanted {
            kind: Kind::Samples,
            span,
            step_ns: step_minutes * MINUTE,
            by_service,
        };
        let reads = plan(&parts(expired), wanted, |_column| true);
        let to_row = |read: &super::Read| {
            let clip = read.clip;
            (
                read.part.facts.name.clone(),
                clip.start / MINUTE,
                clip.end / MINUTE,
            )
        };
        reads.iter().map(to_row).collect()
    }

    fn row(name: &str, start: u64, end: u64) -> (String, u64, u64) {
        (name.to_owned(), start, end)
    }

    #[test]
    fn edges_are_read_fine_and_the_inside_coarse() {
        let expected = vec![
            row("11-L0-raw", 605, 720),
            row("10-L1-raw", 605, 606),
            row("10-L1-1m", 606, 660),
            row("11-L1-1h", 660, 720),
        ];
        assert_eq!(expected, reads(false, 605, 720, 0));
    }

    #[test]
    fn whole_hours_of_services_are_read_by_service() {
        let expected = vec![
            row("11-L0-raw", 605, 720),
            row("10-L1-raw", 605, 606),
            row("10-L1-1m", 606, 660),
            row("11-L1-1h_service", 660, 720),
        ];
        assert_eq!(expected, reads_by(true, false, (605, 720), 0));
    }

    #[test]
    fn steps_that_hours_do_not_fit_are_read_by_minute() {
        let expected = vec![
            row("11-L0-raw", 605, 720),
            row("10-L1-raw", 605, 606),
            row("10-L1-1m", 606, 660),
            row("11-L1-1m", 660, 720),
        ];
        assert_eq!(expected, reads(false, 605, 720, 5));
    }

    #[test]
    fn what_retention_took_is_read_coarser() {
        let expected = vec![row("10-L1-1m", 605, 606), row("10-L1-1m", 606, 640)];
        assert_eq!(expected, reads(true, 605, 640, 0));
    }
}
