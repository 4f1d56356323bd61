//! How good the data of a selection is.

use std::collections::{BTreeSet, HashSet};

use super::{
    QueryError,
    names::NamedStacks,
    question::{is_samples, types_of},
    reader::Reader,
    series::by_label,
};
use crate::{
    model::{Labels, Matcher, Quality, Selection, Truncation, label},
    service::store::{HostFacts, LabelFilter, MergedStacks, QueryLimits},
};

/// How good the data of a selection is.
///
/// Samples and cut stacks are counted in the stacks themselves, frames in their definitions. What
/// stacks do not tell (idle, lost, rates) is that of the hosts concerned as a whole; so is why stacks
/// were cut, where the selection is all that its hosts delivered.
///
/// # Errors
/// As [`Reader::merged`]: a selection of another value than samples reads its samples too.
pub(super) fn of_selection(
    reader: &Reader,
    selection: &Selection,
    merged: &MergedStacks,
    named: &NamedStacks,
    limits: &QueryLimits,
) -> Result<Quality, QueryError> {
    let hosts = of_hosts(reader, selection, limits)?;
    of_selection_beside(reader, selection, hosts, (merged, named), limits)
}

/// The same, where the quality of the hosts concerned is known.
///
/// # Errors
/// As [`of_selection`].
pub(super) fn of_selection_beside(
    reader: &Reader,
    selection: &Selection,
    hosts: Quality,
    (merged, named): (&MergedStacks, &NamedStacks),
    limits: &QueryLimits,
) -> Result<Quality, QueryError> {
    if is_samples(&selection.profile_type) {
        return Ok(of_stacks(hosts, merged, named));
    }
    let signal = &selection.profile_type.signal;
    let types = types_of(reader.store(), selection.range, signal);
    let Some(samples) = types.into_iter().find(is_samples) else {
        return Ok(with_frames(hosts, named));
    };
    let counted = Selection {
        profile_type: samples,
        ..selection.clone()
    };
    let merged = reader.merged(&counted, limits)?;
    Ok(of_stacks(hosts, &merged, &reader.named(&merged)))
}

/// Quality of the hosts concerned, added up; rates are means, weighted by windows.
///
/// # Errors
/// As [`Reader::totals`].
pub(super) fn of_hosts(
    reader: &Reader,
    selection: &Selection,
    limits: &QueryLimits,
) -> Result<Quality, QueryError> {
    let mut sum = Quality::default();
    let mut windows = 0.0;
    each_concerned(reader, selection, limits, |facts| {
        add_counts(&mut sum, &facts.quality);
        let weight = to_f64(facts.windows);
        windows += weight;
        sum.rate_asked_hz += weight * facts.quality.rate_asked_hz;
        sum.rate_effective_hz += weight * facts.quality.rate_effective_hz;
        sum.duty_cycle += weight * facts.quality.duty_cycle;
    })?;
    if 0.0 < windows {
        sum.rate_asked_hz /= windows;
        sum.rate_effective_hz /= windows;
        sum.duty_cycle /= windows;
    }
    Ok(sum)
}

/// Names of the hosts whose data a selection reads.
///
/// # Errors
/// As [`Reader::totals`].
pub(super) fn hosts_concerned(
    reader: &Reader,
    selection: &Selection,
    limits: &QueryLimits,
) -> Result<BTreeSet<String>, QueryError> {
    let mut names = BTreeSet::new();
    each_concerned(reader, selection, limits, |facts| {
        if !names.contains(&facts.host) {
            names.insert(facts.host.clone());
        }
    })?;
    Ok(names)
}

/// Gives the hosts to `each` whose data a selection reads: by the conditions on the host, and by
/// series where there are others. A host may be given more than once, each time with other windows.
///
/// # Errors
/// As [`Reader::totals`].
fn each_concerned(
    reader: &Reader,
    selection: &Selection,
    limits: &QueryLimits,
    each: impl FnMut(&HostFacts),
) -> Result<(), QueryError> {
    let pieces = reader.hosts(selection.range, &selection.profile_type.signal);
    let (on_host, others): (Vec<Matcher>, Vec<Matcher>) =
        (selection.matchers.iter().cloned()).partition(|matcher| matcher.name == label::HOST);
    let filter = LabelFilter::new(&on_host)?;
    let named = if others.is_empty() {
        None
    } else {
        let totals = by_label(reader, selection, label::HOST, limits)?;
        let names = totals.into_iter().map(|(host, _total)| host);
        Some(names.collect::<HashSet<String>>())
    };
    let is_concerned = |facts: &&HostFacts| {
        let is_named = named
            .as_ref()
            .is_none_or(|names| names.contains(&facts.host));
        is_named && (on_host.is_empty() || filter.accepts(&host_labels(&facts.host)))
    };
    let hosts = pieces.iter().flat_map(|piece| piece.iter());
    hosts.filter(is_concerned).for_each(each);
    Ok(())
}

/// A host as labels.
fn host_labels(host: &str) -> Labels {
    Labels::from([(label::HOST.to_owned(), host.to_owned())])
}

/// Adds what is counted.
fn add_counts(sum: &mut Quality, other: &Quality) {
    let add = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
    add(&mut sum.samples, other.samples);
    add(&mut sum.idle, other.idle);
    add(&mut sum.complete, other.complete);
    add(&mut sum.fallback, other.fallback);
    add(&mut sum.frames, other.frames);
    add(&mut sum.frames_unnamed, other.frames_unnamed);
    add(&mut sum.windows_lost, other.windows_lost);
    for (cause, count) in &other.lost {
        add(sum.lost.entry(*cause).or_default(), *count);
    }
    for (reason, count) in &other.truncated {
        add(sum.truncated.entry(*reason).or_default(), *count);
    }
}

/// Replaces what the stacks tell better.
pub(super) fn of_stacks(hosts: Quality, merged: &MergedStacks, named: &NamedStacks) -> Quality {
    let mut samples: u64 = 0;
    let mut cut: u64 = 0;
    for ((_id, value), stack) in merged.stacks.iter().zip(&named.stacks) {
        samples = samples.saturating_add(*value);
        if stack.is_cut {
            cut = cut.saturating_add(*value);
        }
    }
    let is_all_of_them = hosts.samples == samples && hosts.truncated_total() == cut;
    let mut quality = with_frames(hosts, named);
    quality.samples = samples;
    quality.complete = samples.saturating_sub(cut);
    if !is_all_of_them {
        // A mark in a stack does not say why, and which samples fell back is not kept by stack.
        quality.truncated.clear();
        quality.fallback = 0;
        if 0 < cut {
            quality.truncated.insert(Truncation::Other, cut);
        }
    }
    quality
}

/// Replaces the counts of frames.
fn with_frames(mut quality: Quality, named: &NamedStacks) -> Quality {
    let frames = named.frame_counts();
    quality.frames = frames.all;
    quality.frames_unnamed = frames.unnamed;
    quality
}

/// Nearest floating-point number.
#[expect(
    clippy::cast_precision_loss,
    reason = "a weight of a mean; 53 bits are plenty"
)]
fn to_f64(count: u64) -> f64 {
    count as f64
}
