//! Every question, answered from values.

use std::{sync::atomic::Ordering, time::Duration};

use super::data::{
    PERIOD_NS, START, WINDOW, limits, nanoseconds, reader, selection, whole, windows,
};
use crate::{
    model::{Batch, Quality, SenderId, TimeRange, Truncation},
    render::Format,
    service::{
        query::{
            By, Level, QueryError, Question, Tree, diff, export, flame_graph, function, names,
            profile, signals, top, trend, values,
        },
        store::StoreError,
    },
};

/// A tree as text: a line a node, indented by depth.
fn draw<const N: usize>(tree: &Tree<N>) -> String {
    let mut depths: Vec<usize> = Vec::new();
    let mut text = String::new();
    for (index, node) in tree.nodes.iter().enumerate() {
        let depth = if index == 0 {
            0
        } else {
            depths[node.parent as usize] + 1
        };
        depths.push(depth);
        let name = match node.level {
            Level::Root => "root",
            Level::Other => "other",
            Level::Place(_) => &tree.place(node).unwrap().function,
        };
        let weights = format!("{:?} {:?}", node.total, node.own);
        for part in [&" ".repeat(depth), name, " ", &weights, "\n"] {
            text.push_str(part);
        }
    }
    text
}

#[test]
fn stacks_merge_into_a_tree_with_inlined_functions_of_their_own() {
    let graph = flame_graph(&reader(), &selection(""), 100, &limits()).unwrap();
    let expected = "\
root [165] [0]
 [truncated] [4] [0]
  [app+0x4] [4] [4]
 main [161] [0]
  work [161] [11]
   inner [120] [120]
   work [30] [30]
";
    assert_eq!(expected, draw(&graph.tree));
    let inner = graph.tree.nodes[5];
    assert!(graph.tree.place(&inner).unwrap().is_inlined);
    assert_eq!(7, graph.tree.nodes_total);
}

#[test]
fn data_that_comes_late_makes_a_kept_answer_old() {
    let reader = reader();
    let total = || {
        let graph = flame_graph(&reader, &selection(""), 100, &limits()).unwrap();
        graph.tree.total()
    };
    let before = (total(), total());
    assert_eq!(([165], [165]), before);
    assert!(0 < reader.cache_stats().hits);
    let batch = Batch {
        windows: windows(),
        ..Batch::default()
    };
    reader.store().append(SenderId(9), 1, batch).unwrap();
    assert_eq!([330], total());
}

#[test]
fn a_tree_that_is_cut_keeps_the_heaviest_nodes_and_every_total() {
    let drawn = |limit| {
        let graph = flame_graph(&reader(), &selection(""), limit, &limits()).unwrap();
        assert!(graph.tree.nodes.len() <= limit.max(2), "{limit}");
        assert_eq!([165], graph.tree.total());
        // Whatever was cut: own weights add up to the total.
        let own: u64 = graph.tree.nodes.iter().map(|node| node.own[0]).sum();
        assert_eq!(165, own);
        draw(&graph.tree)
    };
    assert_eq!("root [165] [0]\n other [165] [165]\n", drawn(0));
    assert_eq!(
        "root [165] [0]\n main [161] [0]\n  other [161] [161]\n other [4] [4]\n",
        drawn(4)
    );
    let six = "\
root [165] [0]
 main [161] [0]
  work [161] [11]
   inner [120] [120]
   work [30] [30]
 other [4] [4]
";
    assert_eq!(six, drawn(6));
    assert_eq!(7, drawn(7).lines().count());
}

#[test]
fn the_second_look_is_the_same_as_the_first_and_comes_from_memory() {
    let reader = reader();
    let draw_it = || {
        let graph = flame_graph(&reader, &selection("{host=\"a\"}"), 100, &limits());
        draw(&graph.unwrap().tree)
    };
    let first = draw_it();
    // What was looked up in between does not show.
    flame_graph(&reader, &selection(""), 100, &limits()).unwrap();
    assert_eq!(first, draw_it());
    let stats = reader.cache_stats();
    assert!(0 < stats.hits && 0 < stats.entries, "{stats:?}");
    assert_eq!(0, stats.uncacheable);
}

#[test]
fn only_the_end_of_a_range_that_may_still_get_data_is_read_again() {
    let reader = reader();
    let mut now = selection("");
    now.range.end = crate::clock::wall();
    for _ in 0..2 {
        reader.merged(&now, &limits()).unwrap();
    }
    let stats = reader.cache_stats();
    // Whole hours are kept, and the whole slots before and after them.
    assert_eq!((4, 2, 4), (stats.hits, stats.uncacheable, stats.entries));
}

#[test]
fn quality_is_that_of_the_selection() {
    let reader = reader();
    let quality = |selection| {
        let graph = flame_graph(&reader, &selection, 10, &limits()).unwrap();
        graph.quality
    };
    let all = quality(selection(""));
    let expected = Quality {
        samples: 165,
        idle: 15,
        lost: [(crate::model::Loss::RingFull, 6)].into(),
        complete: 161,
        truncated: [(Truncation::Depth, 4)].into(),
        frames: 5,
        frames_unnamed: 1,
        rate_asked_hz: 100.0,
        rate_effective_hz: 98.0,
        duty_cycle: 1.0,
        ..Quality::default()
    };
    assert_eq!(expected, all);
    // A part of a host: why its stacks were cut is not known of the part.
    let web = quality(selection("{service=\"web\"}"));
    assert_eq!((34, 30), (web.samples, web.complete));
    assert_eq!(Some(&4), web.truncated.get(&Truncation::Other));
    assert_eq!((10, 4), (web.idle, web.lost_total()));
    // The other value of the same samples has the same quality.
    assert_eq!(expected, quality(nanoseconds("")));
}

#[test]
fn top_counts_a_stack_once_and_self_at_the_innermost() {
    let reader = reader();
    let table = |by: By, selection| {
        let top = top(&reader, &selection, &by, 10, &limits()).unwrap();
        assert!(
            top.rows
                .iter()
                .all(|row| row.own <= row.total && row.total <= top.total)
        );
        let rows = top.rows.iter();
        rows.map(|row| format!("{} {} {}", row.name, row.own, row.total))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        vec![
            "inner 120 120",
            "work 41 161",
            "[app+0x4] 4 4",
            "main 0 161",
            "[truncated] 0 4"
        ],
        table(By::Function, selection(""))
    );
    assert_eq!(vec!["app 165 165"], table(By::Module, selection("")));
    assert_eq!(
        vec![
            "src/inner.c 120 120",
            "src/work.c 41 161",
            " 4 4",
            "src/main.c 0 161"
        ],
        table(By::File, selection(""))
    );
    assert_eq!(
        vec!["api 131 131", "web 34 34"],
        table(By::Label("service".to_owned()), selection(""))
    );
    let nanoseconds = format!("main 0 {}", 30 * PERIOD_NS);
    assert_eq!(
        Some(&nanoseconds),
        table(By::Function, nanoseconds_of_web()).get(2)
    );
}

/// Nanoseconds of one service.
fn nanoseconds_of_web() -> crate::model::Selection {
    nanoseconds("{service=\"web\"}")
}

#[test]
fn two_selections_lie_in_one_tree_unscaled() {
    let reader = reader();
    let (before, after) = (selection("{host=\"b\"}"), selection("{host=\"a\"}"));
    let found = diff(&reader, [&before, &after], 100, &limits()).unwrap();
    let expected = "\
root [100, 65] [0, 0]
 [truncated] [0, 4] [0, 0]
  [app+0x4] [0, 4] [0, 4]
 main [100, 61] [0, 0]
  work [100, 61] [0, 11]
   inner [100, 20] [100, 20]
   work [0, 30] [0, 30]
";
    assert_eq!(expected, draw(&found.tree));
    assert_eq!([100, 65], found.qualities.map(|quality| quality.samples));
    let error = diff(&reader, [&nanoseconds(""), &after], 100, &limits()).unwrap_err();
    assert!(matches!(error, QueryError::Units { .. }));
}

#[test]
fn a_function_is_found_in_every_signal_with_its_neighbours() {
    let reader = reader();
    let facts = function(&reader, "work", &selection(""), 10, &limits()).unwrap();
    let [cpu] = facts.signals.as_slice() else {
        panic!("{} signals", facts.signals.len());
    };
    assert_eq!((41, 161, 165), (cpu.own, cpu.total, cpu.selection_total));
    let shares = |shares: &[crate::service::query::Share]| {
        let shares = shares
            .iter()
            .map(|share| format!("{} {}", share.name, share.value));
        shares.collect::<Vec<_>>().join(", ")
    };
    assert_eq!("main 161", shares(&cpu.callers));
    assert_eq!("inner 120", shares(&cpu.callees));
    assert_eq!("api 131, web 30", shares(&cpu.by_service));
    let lines: Vec<_> = cpu.lines.iter().map(|line| (line.line, line.own)).collect();
    assert_eq!(vec![(20, 41)], lines);
    assert!(facts.modules.iter().any(|module| &**module == "app"));
    let none = function(&reader, "nowhere", &selection(""), 10, &limits()).unwrap();
    assert!(none.signals.is_empty() && none.files.is_empty());
}

#[test]
fn a_trend_has_a_line_for_each_combination_of_labels() {
    let reader = reader();
    let group_by = ["service".to_owned()];
    let trend = trend(&reader, &selection(""), WINDOW, &group_by, &limits()).unwrap();
    let line = |index: usize| {
        let points = trend.lines[index].points.iter();
        points
            .map(|point| (point.start.saturating_sub(START).as_secs(), point.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(vec![(0, 130), (10, 1)], line(0));
    assert_eq!(vec![(0, 30), (10, 4)], line(1));
    assert_eq!(2, trend.lines.len());
}

#[test]
fn signals_labels_and_values_are_listed() {
    let reader = reader();
    let kinds: Vec<String> = (signals(&reader, whole()).into_iter())
        .flat_map(|signal| signal.value_types)
        .map(|value_type| format!("{} {}", value_type.kind, value_type.unit))
        .collect();
    assert_eq!(vec!["samples count", "cpu nanoseconds"], kinds);
    let found = names(&reader, &selection("{host=\"b\"}")).unwrap();
    assert_eq!(vec!["comm", "host", "service"], Vec::from_iter(found));
    let found = values(&reader, &selection(""), "service", 1).unwrap();
    assert_eq!((vec!["api".to_owned()], true), (found.values, found.is_cut));
    let found = values(&reader, &selection(""), "none", 1).unwrap();
    assert!(found.values.is_empty() && !found.is_cut);
}

#[test]
fn a_file_has_a_root_for_each_comm_and_adds_up() {
    let reader = reader();
    let collapsed = export(&reader, &selection(""), Format::Collapsed, &limits()).unwrap();
    let expected = "\
nginx;main;work 11
nginx;main;work;inner_[i] 120
node;[truncated];[app+0x4] 4
node;main;work;work 30
";
    assert_eq!(expected, String::from_utf8(collapsed).unwrap());
    let profile = profile(&reader, &selection(""), &limits()).unwrap();
    assert_eq!(Ok(()), profile.validate());
    assert_eq!(
        ("a, b", 165),
        (profile.host.as_str(), profile.quality.samples)
    );
    for format in [Format::Svg, Format::Pprof, Format::Json, Format::Speedscope] {
        let file = export(&reader, &selection(""), format, &limits()).unwrap();
        assert!(!file.is_empty(), "{format}");
    }
}

#[test]
fn what_is_left_out_of_a_question_has_a_default() {
    let reader = reader();
    let now = START + WINDOW;
    let resolved = Question::default().resolve(reader.store(), now).unwrap();
    let hour = TimeRange {
        start: (now + Duration::from_nanos(1)).saturating_sub(Duration::from_secs(3600)),
        end: now + Duration::from_nanos(1),
    };
    assert_eq!(hour, resolved.range);
    assert_eq!("cpu:samples:count", resolved.profile_type.to_string());
    let asked = Question {
        kind: "cpu".to_owned(),
        ..Question::default()
    };
    let resolved = asked.resolve(reader.store(), now).unwrap();
    assert_eq!("cpu:cpu:nanoseconds", resolved.profile_type.to_string());
    let asked = Question {
        kind: "bytes".to_owned(),
        ..Question::default()
    };
    let error = asked.resolve(reader.store(), now).unwrap_err();
    assert_eq!(
        "signal `cpu` has no kind `bytes`; it has samples, cpu",
        error.to_string()
    );
    let backwards = Question {
        start: now,
        end: now,
        ..Question::default()
    };
    let error = backwards.resolve(reader.store(), now).unwrap_err();
    assert!(matches!(error, QueryError::Time { .. }));
}

#[test]
fn too_much_and_given_up_are_errors() {
    let reader = reader();
    let mut few = limits();
    few.rows_max = 1;
    let error = flame_graph(&reader, &selection(""), 10, &few).unwrap_err();
    assert!(matches!(
        error,
        QueryError::Store(StoreError::TooMuch { .. })
    ));
    let gone = limits();
    gone.cancelled.store(true, Ordering::Relaxed);
    let error = flame_graph(&reader, &selection(""), 10, &gone).unwrap_err();
    assert!(matches!(error, QueryError::Store(StoreError::Cancelled)));
}
