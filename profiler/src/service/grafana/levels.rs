//! Trees as levels of numbers, which is how Grafana takes them.

use std::collections::HashMap;

use crate::{
    service::query::{Level as Stands, Node, Tree},
    wire::querier::{FlameGraph, FlameGraphDiff, Level},
};

/// What the root is called.
const ROOT: &str = "total";
/// What is called so was cut off.
const OTHER: &str = "other";

/// A tree by levels; `N` weights stand beside each other in each node.
pub(super) struct Levels<const N: usize> {
    pub(super) names: Vec<String>,
    pub(super) rows: Vec<Level>,
    pub(super) totals: [i64; N],
    pub(super) own_max: i64,
}

/// A level while it grows: where its last node ends.
struct Growing<const N: usize> {
    values: Vec<i64>,
    ends: [i64; N],
}

impl<const N: usize> Levels<N> {
    /// Lays a tree out. Its nodes are in depth-first order, so that each level fills from the left.
    pub(super) fn of(tree: &Tree<N>) -> Self {
        let mut names = NameTable::default();
        let mut levels: Vec<Growing<N>> = Vec::new();
        // Of each node: its depth, and where its next child starts.
        let mut open: Vec<(usize, [i64; N])> = Vec::with_capacity(tree.nodes.len());
        let mut own_max = 0;
        for (index, node) in tree.nodes.iter().enumerate() {
            let (depth, starts) = if index == 0 {
                (0, [0; N])
            } else {
                let (depth, next) = &mut open[node.parent as usize];
                let starts = *next;
                for (next, total) in next.iter_mut().zip(node.total) {
                    *next = next.saturating_add(whole(total));
                }
                (*depth + 1, starts)
            };
            open.push((depth, starts));
            if levels.len() <= depth {
                levels.push(Growing {
                    values: Vec::new(),
                    ends: [0; N],
                });
            }
            own_max = own_max.max(node.own.into_iter().map(whole).max().unwrap_or_default());
            levels[depth].add(node, starts, names.number(tree, node));
        }
        Self {
            names: names.texts,
            rows: (levels.into_iter())
                .map(|level| Level {
                    values: level.values,
                })
                .collect(),
            totals: tree.total().map(whole),
            own_max,
        }
    }
}

impl<const N: usize> Growing<N> {
    /// Adds a node on the right.
    fn add(&mut self, node: &Node<N>, starts: [i64; N], name: i64) {
        for (weight, start) in starts.into_iter().enumerate() {
            let total = whole(node.total[weight]);
            let gap = start.saturating_sub(self.ends[weight]);
            self.values.extend([gap, total, whole(node.own[weight])]);
            self.ends[weight] = start.saturating_add(total);
        }
        self.values.push(name);
    }
}

/// Names, each once.
#[derive(Default)]
struct NameTable {
    texts: Vec<String>,
    numbers: HashMap<String, i64>,
}

impl NameTable {
    /// The number of a node's name.
    fn number<const N: usize>(&mut self, tree: &Tree<N>, node: &Node<N>) -> i64 {
        let text = match (tree.place(node), node.level) {
            (Some(place), _) => &*place.function,
            (None, Stands::Root) => ROOT,
            (None, Stands::Place(_) | Stands::Other) => OTHER,
        };
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = i64::try_from(self.texts.len()).expect("a tree has few names");
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

/// One tree; none when nothing was selected.
pub(super) fn flame_graph(tree: &Tree<1>) -> Option<FlameGraph> {
    let levels = Levels::of(tree);
    let [total] = levels.totals;
    (0 < total).then_some(FlameGraph {
        names: levels.names,
        levels: levels.rows,
        total,
        max_self: levels.own_max,
    })
}

/// Two trees.
pub(super) fn diff(tree: &Tree<2>) -> FlameGraphDiff {
    let levels = Levels::of(tree);
    let [left, right] = levels.totals;
    FlameGraphDiff {
        names: levels.names,
        levels: levels.rows,
        total: left.saturating_add(right),
        max_self: levels.own_max,
        left_ticks: left,
        right_ticks: right,
    }
}

/// A weight as the protocol has it.
fn whole(weight: u64) -> i64 {
    i64::try_from(weight).unwrap_or(i64::MAX)
}
