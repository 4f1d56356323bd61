//! `query watch`.

use std::{collections::HashMap, time::Duration};

use super::{
    args::{ConnectionArgs, WatchArgs},
    client::{Client, refused},
    json,
    text::{Side, Table, marked, quality_line, value_type},
    time::Utc,
};
use crate::{
    cli::exit::{eprint, print},
    render::{clean, quantity, share},
    wire::v1::generated::{FlameGraphResponse, WatchRequest, WatchResponse},
};

/// Most nodes of each window's tree: enough for a table of functions.
const NODES: u32 = 5_000;

/// Shows windows as they arrive, until there were enough.
pub(super) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &WatchArgs,
) -> anyhow::Result<()> {
    let question = WatchRequest {
        signal: args.signal.clone(),
        selector: args.selector.clone(),
        node_limit: NODES,
    };
    // No time limit: windows come for as long as someone watches.
    let answer = client.watch(question).await;
    let mut windows = answer.map_err(|status| refused(&status, to))?.into_inner();
    let mut shown = 0;
    while args.count.is_none_or(|count| shown < count) {
        let window = windows.message().await;
        let Some(window) = window.map_err(|status| refused(&status, to))? else {
            eprint("profiler: the service ended the watch");
            break;
        };
        show(&window, args)?;
        shown += 1;
    }
    Ok(())
}

/// Prints one window.
fn show(window: &WatchResponse, args: &WatchArgs) -> anyhow::Result<()> {
    if 0 < window.skipped {
        eprint(&format!(
            "profiler: too slow, {} windows skipped",
            window.skipped
        ));
    }
    if args.json {
        return print(&format!("{}\n", json::window(window)));
    }
    let graph = window.flame_graph.clone().unwrap_or_default();
    let start = Duration::from_nanos(window.start_ns);
    let value_type = value_type(graph.value_type.as_ref());
    let mut text = format!(
        "{}  {}  {} {}\n",
        Utc(start),
        clean(&window.host),
        quantity(graph.total, &value_type),
        clean(&value_type.kind),
    );
    let mut table = Table::new(&[
        ("SELF", Side::Right),
        ("", Side::Right),
        ("FUNCTION", Side::Left),
    ]);
    for (name, own) in heaviest(&graph, args.limit) {
        table.row(vec![
            quantity(own, &value_type),
            share(own, graph.total),
            name,
        ]);
    }
    text += &table.draw();
    print(&(text + &quality_line(graph.quality.as_ref()) + "\n"))
}

/// The functions that weigh most by themselves.
fn heaviest(graph: &FlameGraphResponse, limit: usize) -> Vec<(String, u64)> {
    let mut weights: HashMap<String, u64> = HashMap::new();
    for node in graph.nodes.iter().filter(|node| 0 < node.self_) {
        let name = graph.strings.get(node.function as usize);
        let name = marked(name.map_or("", String::as_str), node.kind, node.is_inlined);
        let sum = weights.entry(name).or_default();
        *sum = sum.saturating_add(node.self_);
    }
    let mut rows: Vec<(String, u64)> = weights.into_iter().collect();
    rows.sort_by(|(a_name, a), (b_name, b)| (b, a_name).cmp(&(a, b_name)));
    rows.truncate(limit);
    rows
}
