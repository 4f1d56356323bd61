//! Memory: who allocates much, what stays, and where pages have to be brought in.

use super::look::{Found, Look, path_of};
use crate::service::insight::{
    Finding, FindingKind, Interval, Number, SignalTable, Unit,
    evidence::{Weight, slice_seconds},
    proportion,
    statistics::mean,
};

/// Places of the kinds of values of `alloc`.
const ALLOCATED: usize = 0;
const OBJECTS: usize = 1;
const FREED: usize = 2;

/// Functions that allocate much of what is allocated.
pub(super) fn hot_spots(look: &Look<'_>) -> Vec<Finding> {
    let (table, rule) = (&look.evidence.alloc, &look.rules.allocation_hot_spot);
    let whole = table.whole();
    let sites = table.by(|path| look.rules.frames.allocation_site(table, path));
    let seconds = look.evidence.seconds();
    let finding = |(site, weight): (&u32, &Weight)| {
        let slices = SignalTable::parts(weight, &whole, ALLOCATED);
        let (share, samples) = proportion(&slices, whole.values[OBJECTS].max(1.0));
        let rate = share.times(whole.values[ALLOCATED] / seconds);
        if share.low < rule.share_least {
            return None;
        }
        let severity = rule.severity(rate.low)?;
        let place = table.site(*site).clone();
        let objects = weight.values[OBJECTS] / seconds;
        let summary = format!(
            "`{}` allocates {}, {} of all that {} allocates, in {} objects.",
            place.function,
            Unit::BytesPerSecond.show(rate.value),
            Unit::Ratio.show(share.value),
            look.service(),
            Unit::PerSecond.show(objects),
        );
        let evidence = vec![
            Number::new("bytes_per_second", "allocated", Unit::BytesPerSecond, rate),
            Number::new("share", "share of what is allocated", Unit::Ratio, share),
            Number::new(
                "objects_per_second",
                "objects allocated",
                Unit::PerSecond,
                Interval::exact(objects),
            ),
        ];
        Some(look.finding(Found {
            kind: FindingKind::AllocationHotSpot,
            severity,
            place,
            cost: (share, "allocated bytes"),
            evidence,
            summary,
            shown_by: ("alloc", "alloc_space"),
            samples,
        }))
    };
    sites.iter().filter_map(finding).collect()
}

/// Places whose memory is not freed, and grows.
pub(super) fn leaks(look: &Look<'_>) -> Vec<Finding> {
    let table = &look.evidence.alloc;
    let sites = table.by(|path| look.rules.frames.allocation_site(table, path));
    let found = sites.iter();
    found
        .filter_map(|(site, weight)| leak(look, *site, weight))
        .collect()
}

/// One place, if what it allocates stays and grows all the time.
fn leak(look: &Look<'_>, site: u32, weight: &Weight) -> Option<Finding> {
    let (table, rule) = (&look.evidence.alloc, &look.rules.leak_suspect);
    // Where nothing was freed at all, nothing is there to be divided into slices.
    let freed_in = |slice: usize| weight.slices[FREED].get(slice).copied().unwrap_or_default();
    let allocated_in = weight.slices[ALLOCATED].iter().enumerate();
    let grown: Vec<f64> = allocated_in
        .map(|(slice, allocated)| allocated - freed_in(slice))
        .collect();
    let (allocated, freed) = (weight.values[ALLOCATED], weight.values[FREED]);
    let kept_share = ((allocated - freed) / allocated.max(1.0)).max(0.0);
    if grown.len() < rule.slices_least || kept_share < rule.kept_share_least {
        return None;
    }
    let growing = grown.iter().filter(|bytes| 0.0 < **bytes).count();
    let slices = crate::service::insight::statistics::to_f64(grown.len());
    let growing = crate::service::insight::statistics::to_f64(growing);
    if growing < rule.growing_share * slices {
        return None;
    }
    let seconds = slice_seconds(look.evidence.span, grown.len());
    let rate = mean(&grown)?.times(1.0 / seconds);
    let severity = rule.severity(rate.low)?;
    let place = table.site(site).clone();
    let summary = format!(
        "Memory that `{}` allocates is not freed: it grows by {}, {} of what is allocated there \
         stays; {} of it so far.",
        place.function,
        Unit::BytesPerSecond.show(rate.value),
        Unit::Ratio.show(kept_share),
        Unit::Bytes.show(allocated - freed),
    );
    let whole = table.whole();
    let kept_in_all = (whole.values[ALLOCATED] - whole.values[FREED]).max(1.0);
    let cost = ((allocated - freed) / kept_in_all).clamp(0.0, 1.0);
    let mut finding = look.finding(Found {
        kind: FindingKind::LeakSuspect,
        severity,
        place,
        cost: (Interval::exact(cost), "bytes that stay"),
        evidence: vec![
            Number::new("growth", "growth", Unit::BytesPerSecond, rate),
            Number::new(
                "kept_share",
                "share of what is allocated that stays",
                Unit::Ratio,
                Interval::exact(kept_share),
            ),
        ],
        summary,
        shown_by: ("alloc", "alloc_space"),
        samples: weight.values[OBJECTS],
    });
    finding.path = (table.paths.iter())
        .filter(|path| path.sites.contains(&site))
        .max_by_key(|path| path.values[ALLOCATED].saturating_sub(path.values[FREED]))
        .map_or_else(Vec::new, |path| path_of(table, &path.sites));
    Some(finding)
}

/// Places at which many pages have to be brought in.
pub(super) fn page_faults(look: &Look<'_>) -> Vec<Finding> {
    let (table, rule) = (&look.evidence.page_fault, &look.rules.page_fault_storm);
    let whole = table.whole();
    let sites = table.by(|path| look.rules.frames.culprit(table, path));
    let seconds = look.evidence.seconds();
    let finding = |(site, weight): (&u32, &Weight)| {
        let (share, samples) = proportion(&SignalTable::parts(weight, &whole, 0), whole.values[0]);
        let rate = share.times(whole.values[0] / seconds);
        if share.low < rule.share_least {
            return None;
        }
        let severity = rule.severity(rate.low)?;
        let place = table.site(*site).clone();
        let summary = format!(
            "`{}` makes {} page faults, {} of those of {}: it touches memory for the first time \
             again and again; keeping it and using it again helps.",
            place.function,
            Unit::PerSecond.show(rate.value),
            Unit::Ratio.show(share.value),
            look.service(),
        );
        Some(look.finding(Found {
            kind: FindingKind::PageFaultStorm,
            severity,
            place,
            cost: (share, "page faults"),
            evidence: vec![
                Number::new("faults_per_second", "page faults", Unit::PerSecond, rate),
                Number::new("share", "share of page faults", Unit::Ratio, share),
            ],
            summary,
            shown_by: ("page_fault", "faults"),
            samples,
        }))
    };
    sites.iter().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use crate::service::insight::{
        Evidence, FindingKind, Severity,
        find::fixture::{first, kinds, minute, table},
    };

    /// A mebibyte.
    const MIB: u64 = 1 << 20;

    /// A minute of allocations.
    fn allocating(stacks: &[(&str, [u64; 4])]) -> Evidence {
        Evidence {
            alloc: table(stacks),
            ..minute()
        }
    }

    #[test]
    fn a_function_that_allocates_much_is_found() {
        let found = first(&allocating(&[
            (
                "main;parse;make_node;operator new;malloc",
                [60_000 * MIB, 900_000, 60_000 * MIB, 900_000],
            ),
            (
                "main;rest;malloc",
                [6_000 * MIB, 90_000, 6_000 * MIB, 90_000],
            ),
        ]));
        assert_eq!(
            (FindingKind::AllocationHotSpot, "make_node"),
            (found.kind, &*found.place.function)
        );
        assert_eq!(Severity::Warning, found.severity, "{}", found.summary);
    }

    #[test]
    fn little_or_even_allocation_is_fine() {
        assert!(
            kinds(&allocating(&[(
                "main;f;malloc",
                [60 * MIB, 900, 60 * MIB, 900]
            )]))
            .is_empty()
        );
        let stacks: Vec<(String, [u64; 4])> = (0..10)
            .map(|n| {
                (
                    format!("main;f{n};malloc"),
                    [6_000 * MIB, 900, 6_000 * MIB, 900],
                )
            })
            .collect();
        let stacks: Vec<(&str, [u64; 4])> = stacks.iter().map(|(s, v)| (s.as_str(), *v)).collect();
        assert!(kinds(&allocating(&stacks)).is_empty());
    }

    #[test]
    fn memory_that_stays_is_a_suspect() {
        let found = first(&allocating(&[
            ("main;serve;remember;malloc", [120 * MIB, 12_000, 0, 0]),
            (
                "main;serve;scratch;malloc",
                [900 * MIB, 90_000, 899 * MIB, 89_900],
            ),
        ]));
        assert_eq!(
            (FindingKind::LeakSuspect, "remember"),
            (found.kind, &*found.place.function)
        );
        assert_eq!(Severity::Warning, found.severity);
    }

    #[test]
    fn memory_of_which_nothing_is_ever_freed_is_a_suspect() {
        let mut evidence = allocating(&[("main;remember;malloc", [120 * MIB, 12_000, 0, 0])]);
        evidence.alloc.paths[0].slices[2] = Box::default();
        assert_eq!(FindingKind::LeakSuspect, first(&evidence).kind);
    }

    #[test]
    fn churn_and_a_cache_that_is_filled_once_are_no_suspects() {
        let churn = allocating(&[("main;f;malloc", [900 * MIB, 90_000, 890 * MIB, 89_000])]);
        assert!(kinds(&churn).is_empty());
        let mut cache = allocating(&[("main;fill;malloc", [120 * MIB, 12_000, 0, 0])]);
        let path = &mut cache.alloc.paths[0];
        path.slices[0] = [120 * MIB, 0, 0, 0, 0, 0].into();
        assert!(kinds(&cache).is_empty());
    }

    #[test]
    fn a_storm_of_page_faults_is_found() {
        let faults = |count: u64| Evidence {
            page_fault: table(&[
                (
                    "main;make_buffer;memset;asm_exc_page_fault_[k]",
                    [count, count * 4096],
                ),
                ("main;rest", [count / 10, 0]),
            ]),
            ..minute()
        };
        let found = first(&faults(1_200_000));
        assert_eq!(
            (FindingKind::PageFaultStorm, "make_buffer"),
            (found.kind, &*found.place.function)
        );
        assert_eq!(Severity::Warning, found.severity);
        assert!(kinds(&faults(6_000)).is_empty());
    }
}
