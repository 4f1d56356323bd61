//! The merged tree of some stacks.

use std::{
    cmp::{Ordering, Reverse},
    sync::Arc,
};

use super::{limits::NODES_MIN, names::NamedStacks, place::Place};

/// What a node stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Everything.
    Root,
    /// A level of stacks, by its place in [`Tree::places`].
    Place(u32),
    /// All callees of a node that were cut off.
    Other,
}

/// One node, with a weight for each of the selections that were put into the tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Node<const N: usize> {
    /// Index of the node it was called by; the root's own is its own.
    pub parent: u32,
    /// What it stands for.
    pub level: Level,
    /// With all it called.
    pub total: [u64; N],
    /// By itself.
    pub own: [u64; N],
}

/// A tree in depth-first order, root first.
#[derive(Debug)]
pub struct Tree<const N: usize> {
    /// The nodes.
    pub nodes: Vec<Node<N>>,
    /// What levels are called.
    pub places: Arc<Vec<Arc<Place>>>,
    /// Nodes before the cut to the budget.
    pub nodes_total: usize,
}

/// A stack on its way into a tree: its levels, outermost first, and its weights.
type Path<'a, const N: usize> = (&'a [u32], [u64; N]);

impl<const N: usize> Tree<N> {
    /// Merges stacks. `weights` has one entry for each stack; stacks that weigh nothing leave no
    /// trace. At most `node_limit` nodes remain, and at least [`NODES_MIN`]: the heaviest ones; the
    /// rest is in nodes of [`Level::Other`], so that every total stays what it is.
    pub fn build(named: &NamedStacks, weights: &[[u64; N]], node_limit: usize) -> Self {
        let paths = named.stacks.iter().zip(weights);
        let mut paths: Vec<Path<'_, N>> = paths
            .filter(|(_stack, weight)| **weight != [0; N])
            .map(|(stack, weight)| (&*stack.places, *weight))
            .collect();
        // Neighbours share the most levels then, and no table of children is needed.
        paths.sort_unstable_by_key(|(places, _weights)| *places);
        let nodes = grow(&paths);
        let nodes_total = nodes.len();
        let kept = choose(&nodes, node_limit.max(NODES_MIN));
        Self {
            nodes: in_order(&prune(&nodes, &kept), &named.places),
            places: Arc::clone(&named.places),
            nodes_total,
        }
    }

    /// What a node is called; `None` for the root and for what was cut off.
    pub fn place(&self, node: &Node<N>) -> Option<&Place> {
        match node.level {
            Level::Place(number) => self.places.get(number as usize).map(Arc::as_ref),
            Level::Root | Level::Other => None,
        }
    }

    /// Weights of the whole tree.
    pub fn total(&self) -> [u64; N] {
        self.nodes.first().map_or([0; N], |root| root.total)
    }
}

/// Adds weights; sums stop at the largest number there is.
fn add<const N: usize>(sums: &mut [u64; N], weights: &[u64; N]) {
    for (sum, weight) in sums.iter_mut().zip(weights) {
        *sum = sum.saturating_add(*weight);
    }
}

/// The tree of sorted paths, in depth-first order.
fn grow<const N: usize>(paths: &[Path<'_, N>]) -> Vec<Node<N>> {
    let mut nodes = vec![Node {
        parent: 0,
        level: Level::Root,
        total: [0; N],
        own: [0; N],
    }];
    // Nodes of the path before, outermost first, the root left out.
    let mut open: Vec<u32> = Vec::new();
    let mut before: &[u32] = &[];
    for (path, weight) in paths {
        let shared = (before.iter().zip(*path))
            .take_while(|(a, b)| a == b)
            .count();
        open.truncate(shared);
        for place in path.iter().skip(shared) {
            let number = u32::try_from(nodes.len()).expect("levels are bounded by memory");
            nodes.push(Node {
                parent: open.last().copied().unwrap_or_default(),
                level: Level::Place(*place),
                total: [0; N],
                own: [0; N],
            });
            open.push(number);
        }
        let innermost = open.last().copied().unwrap_or_default();
        add(&mut nodes[innermost as usize].own, weight);
        before = path;
    }
    sum_up(&mut nodes);
    nodes
}

/// Sets the totals from the nodes' own weights.
fn sum_up<const N: usize>(nodes: &mut [Node<N>]) {
    for index in (0..nodes.len()).rev() {
        let own = nodes[index].own;
        add(&mut nodes[index].total, &own);
        // A node comes after the one it was called by.
        if 0 < index {
            let Node { parent, total, .. } = nodes[index];
            add(&mut nodes[parent as usize].total, &total);
        }
    }
}

/// How heavy a node is among others. A node is never heavier than its parent.
fn heft<const N: usize>(node: &Node<N>) -> u128 {
    node.total.iter().map(|weight| u128::from(*weight)).sum()
}

/// Which nodes stay: as many of the heaviest as the budget allows, together with one node for the
/// rest below each node that loses any.
fn choose<const N: usize>(nodes: &[Node<N>], budget: usize) -> Vec<bool> {
    if nodes.len() <= budget {
        return vec![true; nodes.len()];
    }
    let mut children = vec![0_u32; nodes.len()];
    for node in nodes.iter().skip(1) {
        children[node.parent as usize] += 1;
    }
    // Heaviest first; a parent before its children when they weigh the same.
    let mut order: Vec<(Reverse<u128>, usize)> = (nodes.iter().enumerate())
        .map(|(index, node)| (Reverse(heft(node)), index))
        .collect();
    order.select_nth_unstable(budget);
    order.truncate(budget);
    order.sort_unstable();
    let mut kept = vec![false; nodes.len()];
    let mut size = 0;
    for (_heft, index) in order {
        // The node, and one for its children, none of which is kept yet.
        let mut grown = size + 1 + usize::from(0 < children[index]);
        let parent = nodes[index].parent as usize;
        if index != parent {
            children[parent] -= 1;
            // The last child makes the node for the rest superfluous.
            grown -= usize::from(children[parent] == 0);
        }
        if grown > budget {
            break;
        }
        size = grown;
        kept[index] = true;
    }
    kept
}

/// The nodes that stay, with nodes for the rest. Still a parent comes before its children.
fn prune<const N: usize>(nodes: &[Node<N>], kept: &[bool]) -> Vec<Node<N>> {
    let mut numbers = vec![0_u32; nodes.len()];
    let mut pruned: Vec<Node<N>> = Vec::new();
    // By new number of the parent: the number of the node for the rest.
    let mut others: Vec<Option<u32>> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let next = u32::try_from(pruned.len()).expect("fewer than there were");
        let parent = numbers[node.parent as usize];
        if kept[index] {
            numbers[index] = next;
            pruned.push(Node { parent, ..*node });
            others.push(None);
        } else if kept[node.parent as usize] {
            let other = *others[parent as usize].get_or_insert(next);
            if other == next {
                pruned.push(Node {
                    parent,
                    level: Level::Other,
                    total: [0; N],
                    own: [0; N],
                });
                others.push(None);
            }
            let rest = &mut pruned[other as usize];
            add(&mut rest.total, &node.total);
            add(&mut rest.own, &node.total);
        }
    }
    pruned
}

/// The nodes in depth-first order, children by name: the same data gives the same bytes, whatever
/// was looked up before.
fn in_order<const N: usize>(nodes: &[Node<N>], places: &[Arc<Place>]) -> Vec<Node<N>> {
    let mut by_parent: Vec<u32> = (1..nodes.len())
        .map(|index| u32::try_from(index).expect("numbers of nodes fit"))
        .collect();
    by_parent.sort_unstable_by(|a, b| {
        let (a, b) = (&nodes[*a as usize], &nodes[*b as usize]);
        // Reversed, because children are taken from the end.
        (b.parent.cmp(&a.parent)).then_with(|| compare(b.level, a.level, places))
    });
    // First and last of the children of each node.
    let mut spans = vec![(0, 0); nodes.len()];
    for (place, index) in by_parent.iter().enumerate() {
        let span = &mut spans[nodes[*index as usize].parent as usize];
        if span.1 == 0 {
            span.0 = place;
        }
        span.1 = place + 1;
    }
    let mut ordered: Vec<Node<N>> = Vec::with_capacity(nodes.len());
    let mut pending = vec![(0_u32, 0_u32)];
    while let Some((index, parent)) = pending.pop() {
        let number = u32::try_from(ordered.len()).expect("numbers of nodes fit");
        ordered.push(Node {
            parent,
            ..nodes[index as usize]
        });
        let (first, last) = spans[index as usize];
        pending.extend(by_parent[first..last].iter().map(|child| (*child, number)));
    }
    ordered
}

/// Order of siblings: by name, what was cut off last.
fn compare(a: Level, b: Level, places: &[Arc<Place>]) -> Ordering {
    let key = |level| match level {
        Level::Root => (0, None),
        Level::Place(number) => (1, places.get(number as usize)),
        Level::Other => (2, None),
    };
    key(a).cmp(&key(b))
}
