//! Tables of system calls, connections and memory, from a store.

use std::time::Duration;

use super::{
    data::limits,
    world::{ALLOC, SYSCALL_COUNTS, TCP_COUNTS, World, seconds},
};
use crate::{
    model::TimeRange,
    service::{
        insight::Rules,
        query::{
            CallRow, HeapRow, LeakRow, MemoryRows, QueryError, Reader, TableAsk, heap, leaks,
            parse_selector, syscalls, tcp,
        },
    },
};

/// A mebibyte.
const MIB: u64 = 1 << 20;
/// The programs of the tests.
const NGINX: &[(&str, &str)] = &[("comm", "nginx"), ("service", "web")];
const REDIS: &[(&str, &str)] = &[("comm", "redis"), ("service", "db")];

/// A question for rows apart by labels.
fn ask(selector: &str, range: TimeRange, group_by: &[&str]) -> TableAsk {
    TableAsk {
        matchers: parse_selector(selector).unwrap(),
        range,
        group_by: group_by.iter().map(|name| (*name).to_owned()).collect(),
        limit: 100,
    }
}

/// Two programs that read, in two windows.
fn calls() -> Reader {
    let mut world = World::default();
    for second in [0, 10] {
        world.add(
            second,
            ("syscall_counts", SYSCALL_COUNTS),
            NGINX,
            &[
                ("read;ok;1 µs .. 2 µs", &[94, 150_000]),
                ("read;EAGAIN;500 ns .. 1 µs", &[4, 3_000]),
                ("read;EINTR;8 µs .. 16 µs", &[2, 20_000]),
                ("read;in flight", &[0, 7_000_000]),
                ("exit_group;no return", &[1, 0]),
            ],
        );
        world.add(
            second,
            ("syscall_counts", SYSCALL_COUNTS),
            REDIS,
            &[("read;ok;1 s .. 2 s", &[3, 4_000_000_000])],
        );
    }
    world.reader()
}

/// A row of calls by program and name.
#[track_caller]
fn call<'a>(rows: &'a [CallRow], values: &[&str], name: &str) -> &'a CallRow {
    let is_it = |row: &&CallRow| row.values == values && row.call == name;
    rows.iter().find(is_it).unwrap()
}

#[test]
fn calls_are_told_by_program_with_errors_time_and_bounds() {
    let reader = calls();
    let asked = ask("", seconds(0, 3_600), &["comm"]);
    let found = syscalls(&reader, &asked, &limits()).unwrap();
    assert_eq!(8_014_346_000, found.time_ns);
    let table = found.table;
    // Only twenty seconds have data.
    assert_eq!(seconds(0, 20), table.range);
    let names: Vec<_> = (table.rows.iter())
        .map(|row| (row.values[0].as_str(), row.call.as_str()))
        .collect();
    let expected = [
        ("redis", "read"),
        ("nginx", "read"),
        ("nginx", "exit_group"),
    ];
    assert_eq!(
        (expected.as_slice(), 3),
        (names.as_slice(), table.rows_total)
    );
    let read = call(&table.rows, &["nginx"], "read");
    assert_eq!(
        (200, 14_346_000, 14_000_000),
        (read.calls, read.time_ns, read.in_flight_ns)
    );
    let errors: Vec<_> = read.errors.iter().map(|(e, n)| (e.as_str(), *n)).collect();
    assert_eq!(
        (12, vec![("EAGAIN", 8), ("EINTR", 4)]),
        (read.failed(), errors)
    );
    let bounds = [0.5, 0.98, 0.99].map(|share| read.lengths.bound(share).unwrap());
    assert_eq!("[2000.0, 2000.0, 16000.0]", format!("{bounds:?}"));
    let exit = call(&table.rows, &["nginx"], "exit_group");
    assert_eq!(
        (2, 0, None),
        (exit.calls, exit.failed(), exit.lengths.bound(0.5))
    );
    assert!((10.0 - table.per_second(read.calls)).abs() < 1e-9);
}

#[test]
fn rows_are_apart_by_what_is_asked_for_and_selected_by_labels() {
    let reader = calls();
    let together = syscalls(&reader, &ask("", seconds(0, 60), &[]), &limits())
        .unwrap()
        .table;
    assert_eq!(206, call(&together.rows, &[], "read").calls);
    let by = ["service", "comm", "nothing"];
    let two = syscalls(&reader, &ask("", seconds(0, 60), &by), &limits())
        .unwrap()
        .table;
    assert_eq!(6, call(&two.rows, &["db", "redis", ""], "read").calls);
    let one = ask("{comm=\"redis\"}", seconds(0, 10), &["comm"]);
    let one = syscalls(&reader, &one, &limits()).unwrap().table;
    assert_eq!((1, 3), (one.rows.len(), one.rows[0].calls));
    let first = TableAsk {
        limit: 1,
        ..ask("", seconds(0, 60), &["comm"])
    };
    let first = syscalls(&reader, &first, &limits()).unwrap().table;
    assert_eq!((1, 3), (first.rows.len(), first.rows_total));
}

#[test]
fn what_was_never_recorded_says_how_to_record_it() {
    let reader = calls();
    let asked = ask("", seconds(0, 60), &["comm"]);
    let error = tcp(&reader, &asked, &limits()).unwrap_err();
    assert!(matches!(error, QueryError::NotRecorded { .. }), "{error}");
    assert!(error.to_string().contains("-e cpu,tcp"), "{error}");
    let rules = Rules::default();
    let error = leaks(&reader, (&asked, MemoryRows::Stacks), &rules, &limits()).unwrap_err();
    assert!(error.to_string().contains("-e cpu,alloc"), "{error}");
    // Recorded, and nothing of it selected: an answer without rows.
    let none = ask("{comm=\"none\"}", seconds(0, 60), &["comm"]);
    let none = syscalls(&reader, &none, &limits()).unwrap().table;
    assert_eq!((0, seconds(0, 60)), (none.rows_total, none.range));
    let many = vec!["comm"; 17];
    let error = syscalls(&reader, &ask("", seconds(0, 60), &many), &limits()).unwrap_err();
    assert!(matches!(error, QueryError::TooLarge { .. }), "{error}");
}

/// A program that is a client of one far end and a server of another.
fn connections() -> Reader {
    let mut world = World::default();
    world.add(
        0,
        ("tcp_counts", TCP_COUNTS),
        NGINX,
        &[
            ("db:5432;client;connect;1 ms .. 2 ms", &[95, 150_000_000, 0]),
            ("db:5432;client;connect;4 ms .. 8 ms", &[5, 30_000_000, 0]),
            (
                "db:5432;client;connect_refused;64 µs .. 128 µs",
                &[4, 300_000, 0],
            ),
            (
                "db:5432;client;connect_timed_out;1 s .. 2 s",
                &[2, 3_000_000_000, 0],
            ),
            (
                "db:5432;client;connect_abandoned;1 s .. 2 s",
                &[1, 1_500_000_000, 0],
            ),
            (
                "db:5432;client;first_byte;16 ms .. 32 ms",
                &[10, 200_000_000, 0],
            ),
            ("db:5432;client;rtt;64 µs .. 128 µs", &[10, 800_000, 0]),
            ("db:5432;client;retransmits", &[7, 0, 0]),
            ("db:5432;client;bytes_sent", &[10, 0, 4_096]),
            ("db:5432;client;bytes_received", &[10, 0, 65_536]),
            ("db:5432;client;something_new", &[1, 1, 1]),
            (
                "10.0.0.9;server :80;accept_queue;1 ms .. 2 ms",
                &[3, 4_000_000, 0],
            ),
        ],
    );
    world.reader()
}

#[test]
fn connections_are_told_by_far_end_and_side() {
    let asked = ask("", seconds(0, 60), &["comm"]);
    let table = tcp(&connections(), &asked, &limits()).unwrap();
    let ends: Vec<_> = (table.rows.iter())
        .map(|row| {
            (
                row.values[0].as_str(),
                row.far_end.as_str(),
                row.side.as_str(),
            )
        })
        .collect();
    let expected = vec![
        ("nginx", "db:5432", "client"),
        ("nginx", "10.0.0.9", "server :80"),
    ];
    assert_eq!(expected, ends);
    let (client, server) = (&table.rows[0], &table.rows[1]);
    assert_eq!(
        (100, 180_000_000),
        (client.connect.count, client.connect.time_ns)
    );
    assert_eq!(
        [4, 2, 1],
        [client.refused, client.timed_out, client.abandoned]
    );
    assert_eq!(
        (Some(2e6), Some(8e6)),
        (
            client.connect.lengths.bound(0.95),
            client.connect.lengths.bound(0.96)
        )
    );
    assert_eq!((10, 10), (client.first_byte.count, client.round_trip.count));
    assert_eq!(
        [7, 4_096, 65_536],
        [client.retransmits, client.bytes_sent, client.bytes_received]
    );
    assert_eq!((3, 0), (server.accept_queue.count, server.connect.count));
}

/// Windows of a program that leaks 1 MiB in each beside churn and a cache that is filled once, on
/// two stacks of the same function.
fn leaking(windows: u64) -> Reader {
    let mut world = World::default();
    for window in 0..windows {
        let (up, down) = (
            [40, 90][usize::from(window % 2 == 0)],
            [90, 40][usize::from(window % 2 == 0)],
        );
        let filled = if window == 0 { 50 * MIB } else { 1 };
        world.add(
            10 * window,
            ("alloc", ALLOC),
            NGINX,
            &[
                ("main;serve;remember;operator new", &[MIB, 4, 0, 0]),
                ("main;admin;remember;operator new", &[MIB / 2, 2, 0, 0]),
                (
                    "main;serve;scratch;malloc",
                    &[up * MIB, 100, down * MIB, 100],
                ),
                ("main;fill", &[filled, 10, 0, 0]),
            ],
        );
    }
    world.reader()
}

/// The row of a function.
#[track_caller]
fn of<'a>(rows: &'a [HeapRow], function: &str) -> &'a HeapRow {
    let is_it = |row: &&HeapRow| &*row.place.site.function == function;
    rows.iter().find(is_it).unwrap()
}

#[test]
fn the_heap_is_told_by_function_past_the_allocator_or_by_stack() {
    let reader = leaking(2);
    let asked = ask("", seconds(0, 60), &["comm"]);
    let rules = Rules::default();
    let table = heap(&reader, (&asked, MemoryRows::Functions), &rules, &limits()).unwrap();
    assert_eq!(3, table.rows_total);
    let remember = of(&table.rows, "remember");
    assert_eq!(
        (3 * MIB, 12),
        (remember.allocated_bytes, remember.allocated_objects)
    );
    assert_eq!((3 << 20, 12), (remember.live_bytes, remember.live_objects));
    assert_eq!(
        ("src/remember.c", 8),
        (&*remember.place.site.file, remember.place.site.line)
    );
    assert!(remember.place.stack.is_empty());
    let scratch = of(&table.rows, "scratch");
    assert_eq!(
        (0, 130 * MIB),
        (scratch.live_bytes, scratch.allocated_bytes)
    );
    // Most live bytes first.
    assert_eq!("fill", &*table.rows[0].place.site.function);
    let one = ask("", seconds(10, 20), &["comm"]);
    let later = heap(&reader, (&one, MemoryRows::Functions), &rules, &limits()).unwrap();
    assert_eq!(-(50 << 20), of(&later.rows, "scratch").live_bytes);
    let stacks = heap(&reader, (&asked, MemoryRows::Stacks), &rules, &limits()).unwrap();
    assert_eq!(4, stacks.rows_total);
    let admin = stacks
        .rows
        .iter()
        .find(|row| row.place.stack.contains(&"admin".to_owned()));
    let admin = admin.unwrap();
    assert_eq!(
        ["operator new", "remember", "admin", "main"].as_slice(),
        admin.place.stack
    );
    assert_eq!(
        (1 << 20, "remember"),
        (admin.live_bytes, &*admin.place.site.function)
    );
}

#[test]
fn a_leak_is_sure_and_churn_and_a_cache_that_is_filled_are_not() {
    let reader = leaking(24);
    let asked = ask("", seconds(0, 240), &["comm"]);
    let rules = Rules::default();
    let found = leaks(&reader, (&asked, MemoryRows::Functions), &rules, &limits()).unwrap();
    assert_eq!((12, 3), (found.slices, found.places));
    let sure: Vec<&LeakRow> = (found.table.rows.iter())
        .filter(|row| 0.95 <= row.growth.confidence)
        .collect();
    assert_eq!(1, sure.len(), "{:?}", found.table.rows);
    let leak = sure[0];
    assert_eq!(
        ("remember", "nginx"),
        (
            &*leak.heap.place.site.function,
            leak.heap.place.values[0].as_str()
        )
    );
    // A mebibyte and a half in ten seconds.
    let hourly = 1.5 * 1_048_576.0 * 360.0;
    assert!(
        (leak.growth.rate.value / hourly - 1.0).abs() < 1e-9,
        "{:?}",
        leak.growth
    );
    assert_eq!(
        (12, Duration::from_secs(240)),
        (leak.growth.growing, leak.age)
    );
    let stacks = leaks(&reader, (&asked, MemoryRows::Stacks), &rules, &limits()).unwrap();
    let two = &stacks.table.rows[..2];
    assert!(
        two.iter()
            .all(|row| &*row.heap.place.site.function == "remember"),
        "{two:?}"
    );
    assert_eq!(
        Some("serve"),
        two[0].heap.place.stack.get(2).map(String::as_str)
    );
}

#[test]
fn windows_in_which_memory_is_only_freed_count() {
    let mut world = World::default();
    let stack = |values: &'static [u64; 4]| [("main;hold;malloc", &values[..])];
    world.add(0, ("alloc", ALLOC), NGINX, &stack(&[9_000, 9, 0, 0]));
    world.add(10, ("alloc", ALLOC), NGINX, &stack(&[0, 0, 8_000, 8]));
    let asked = ask("", seconds(0, 60), &[]);
    let asked = (&asked, MemoryRows::Functions);
    let table = heap(&world.reader(), asked, &Rules::default(), &limits()).unwrap();
    assert_eq!(seconds(0, 20), table.range);
    assert_eq!(
        (1_000, 1),
        (table.rows[0].live_bytes, table.rows[0].live_objects)
    );
}

#[test]
fn a_call_that_never_ended_is_told() {
    let mut world = World::default();
    let waits: &[(&str, &[u64])] = &[("poll;in flight", &[0, 10_000_000_000])];
    world.add(0, ("syscall_counts", SYSCALL_COUNTS), REDIS, waits);
    let asked = ask("", seconds(0, 60), &["comm"]);
    let table = syscalls(&world.reader(), &asked, &limits()).unwrap().table;
    let poll = call(&table.rows, &["redis"], "poll");
    assert_eq!((0, 10_000_000_000), (poll.calls, poll.in_flight_ns));
}

#[test]
fn lost_windows_are_told_whichever_signal_told_of_them() {
    let mut world = World::default();
    world.add(
        0,
        ("alloc", ALLOC),
        NGINX,
        &[("main;f;malloc", &[9, 9, 0, 0])],
    );
    world.lose(10, 3);
    let asked = ask("{comm=\"nginx\"}", seconds(0, 60), &[]);
    let asked = (&asked, MemoryRows::Functions);
    let table = heap(&world.reader(), asked, &Rules::default(), &limits()).unwrap();
    assert_eq!(3, table.quality.windows_lost);
}

#[test]
fn growth_over_two_windows_is_not_judged() {
    let asked = ask("", seconds(0, 20), &[]);
    let found = leaks(
        &leaking(2),
        (&asked, MemoryRows::Stacks),
        &Rules::default(),
        &limits(),
    );
    let found = found.unwrap();
    assert_eq!(
        (2, 3, 0),
        (found.slices, found.slices_least, found.table.rows_total)
    );
}
