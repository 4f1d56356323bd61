//! The merged tree of a selection, and of two.

use super::{QueryError, names::NamedStacks, reader::Reader, stacks::Stacks, tree::Tree};
use crate::{
    model::{ProfileType, Quality, Selection},
    service::store::{MergedStacks, QueryLimits},
};

/// The merged tree of a selection.
#[derive(Debug)]
pub struct FlameGraph {
    /// What is counted.
    pub profile_type: ProfileType,
    /// The tree, cut to its budget.
    pub tree: Tree<1>,
    /// How good the data is.
    pub quality: Quality,
}

/// Two selections in one tree: weights before and after. They are not scaled.
#[derive(Debug)]
pub struct Diff {
    /// What is counted.
    pub profile_type: ProfileType,
    /// The tree, cut to its budget.
    pub tree: Tree<2>,
    /// How good the data is, before and after.
    pub qualities: [Quality; 2],
}

/// The merged tree of a selection, of at most `node_limit` nodes.
///
/// # Errors
/// As [`Reader::merged`].
pub fn flame_graph(
    reader: &Reader,
    selection: &Selection,
    node_limit: usize,
    limits: &QueryLimits,
) -> Result<FlameGraph, QueryError> {
    let stacks = Stacks::read(reader, selection, limits)?;
    Ok(FlameGraph {
        profile_type: selection.profile_type.clone(),
        tree: tree_of(&stacks.merged, &stacks.named, node_limit),
        quality: stacks.quality,
    })
}

/// The tree of merged stacks.
pub(super) fn tree_of(merged: &MergedStacks, named: &NamedStacks, node_limit: usize) -> Tree<1> {
    let weights: Vec<[u64; 1]> = (merged.stacks.iter())
        .map(|(_id, value)| [*value])
        .collect();
    Tree::build(named, &weights, node_limit)
}

/// Two selections in one tree of at most `node_limit` nodes.
///
/// # Errors
/// As [`Reader::merged`]; [`QueryError::Units`].
pub fn diff(
    reader: &Reader,
    [before, after]: [&Selection; 2],
    node_limit: usize,
    limits: &QueryLimits,
) -> Result<Diff, QueryError> {
    if before.profile_type.unit != after.profile_type.unit {
        return Err(QueryError::Units {
            before: before.profile_type.unit.clone(),
            after: after.profile_type.unit.clone(),
        });
    }
    let stacks = [
        Stacks::read(reader, before, limits)?,
        Stacks::read(reader, after, limits)?,
    ];
    let weights = side_by_side(&stacks[0].merged, &stacks[1].merged);
    let named = reader.named(&MergedStacks {
        stacks: weights.iter().map(|(id, _)| (*id, 0)).collect(),
        rows_read: 0,
    });
    let weights: Vec<[u64; 2]> = weights.into_iter().map(|(_id, pair)| pair).collect();
    Ok(Diff {
        profile_type: after.profile_type.clone(),
        tree: Tree::build(&named, &weights, node_limit),
        qualities: stacks.map(|stacks| stacks.quality),
    })
}

/// Stacks of two selections, each stack once with both weights. Both are in order of id.
fn side_by_side(
    before: &MergedStacks,
    after: &MergedStacks,
) -> Vec<(crate::model::StackId, [u64; 2])> {
    let mut pairs = Vec::with_capacity(before.stacks.len().max(after.stacks.len()));
    pairs.extend(before.stacks.iter().map(|(id, value)| (*id, [*value, 0])));
    pairs.extend(after.stacks.iter().map(|(id, value)| (*id, [0, *value])));
    pairs.sort_by_key(|(id, _pair)| *id);
    pairs.dedup_by(|second, first| {
        let is_same = first.0 == second.0;
        if is_same {
            first.1[1] = second.1[1];
        }
        is_same
    });
    pairs
}
