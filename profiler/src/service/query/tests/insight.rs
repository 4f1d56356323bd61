//! Findings, the ledger, comparisons and budgets, from a store.

use std::time::Duration;

use super::{
    data::limits,
    world::{ALLOC, CPU, OFF_CPU, START, SYSCALL, TCP_COUNTS, World, seconds},
};
use crate::{
    model::{ProfileType, Selection, label},
    service::{
        insight::{Against, Budget, FindingKind, Judged, Rules, Settings, Severity, Verdict},
        query::{
            Ask, Guide, Ledger, LedgerRow, QueryError, Wanted, bottlenecks, check, ledger,
            regressions,
        },
    },
};

/// A day.
const DAY_SECONDS: u64 = 86_400;

/// A selection of samples.
fn samples(start: u64, end: u64) -> Selection {
    Selection {
        profile_type: ProfileType {
            signal: "cpu".to_owned(),
            kind: "samples".to_owned(),
            unit: "count".to_owned(),
        },
        matchers: Vec::new(),
        range: seconds(start, end),
    }
}

/// A minute of a service whose threads queue for a lock, beside one that is fine.
fn minute() -> World {
    let mut world = World::default();
    let api = [("service", "api"), ("pid", "7"), ("thread", "worker")];
    let locked = [&api[..], &[("reason", "lock")]].concat();
    let slept = [&api[..], &[("reason", "timer")]].concat();
    for second in (0..60).step_by(10) {
        let ns = |count: u64| [count, count * 10_000_000];
        world.add(
            second,
            ("cpu", CPU),
            &api,
            &[
                ("main;worker;update;copy_table", &ns(500)),
                ("main;worker;parse", &ns(100)),
            ],
        );
        let even: Vec<String> = (0..30).map(|n| format!("main;step{n}")).collect();
        let values = ns(10);
        let even: Vec<(&str, &[u64])> = even.iter().map(|s| (s.as_str(), &values[..])).collect();
        world.add(second, ("cpu", CPU), &[("service", "fine")], &even);
        world.add(
            second,
            ("offcpu", OFF_CPU),
            &locked,
            &[(
                "main;worker;update;pthread_mutex_lock",
                &[30_000_000_000, 6_000, 1_000_000],
            )],
        );
        world.add(
            second,
            ("offcpu", OFF_CPU),
            &slept,
            &[("main;worker;update;nap", &[5_000_000_000, 10, 0])],
        );
        world.add(
            second,
            ("syscall", SYSCALL),
            &api,
            &[
                ("main;worker;update;read", &[2_000_000, 100]),
                ("main;write", &[1_000_000, 10]),
            ],
        );
        world.add(
            second,
            ("alloc", ALLOC),
            &api,
            &[
                (
                    "main;worker;update;malloc",
                    &[3_000_000, 300, 2_000_000, 200],
                ),
                ("main;other;malloc", &[1_000_000, 100, 1_000_000, 100]),
            ],
        );
        world.add(
            second,
            ("tcp_counts", TCP_COUNTS),
            &api,
            &[
                ("db:5432;client;connect;1 ms .. 2 ms", &[90, 130_000_000, 0]),
                ("db:5432;client;connect;4 ms .. 8 ms", &[10, 60_000_000, 0]),
            ],
        );
    }
    world
}

#[test]
fn a_convoy_is_found_in_its_service_with_file_and_line() {
    let ask = Ask {
        limit: 10,
        least: Severity::Info,
        is_whole: false,
    };
    let reader = minute().reader();
    let selected = (&[][..], seconds(0, 60));
    let found = bottlenecks(&reader, selected, &Rules::default(), ask, &limits()).unwrap();
    assert_eq!(2, found.services);
    let first = &found.findings[0];
    assert_eq!(
        (FindingKind::LockConvoy, "api"),
        (first.kind, &*first.service)
    );
    assert_eq!(
        ("update", "src/update.c", 6),
        (&*first.place.function, &*first.place.file, first.place.line)
    );
    let holder = first.holder.as_ref().unwrap();
    assert_eq!(("copy_table", 10), (&*holder.function, holder.line));
    assert_eq!("{service=\"api\"}", first.selector);
    assert!(
        found
            .findings
            .iter()
            .all(|finding| finding.service != "fine")
    );
}

#[test]
fn nothing_is_found_where_there_is_no_data() {
    let ask = Ask {
        limit: 10,
        least: Severity::Info,
        is_whole: true,
    };
    let reader = World::default().reader();
    let selected = (&[][..], seconds(0, 60));
    let found = bottlenecks(&reader, selected, &Rules::default(), ask, &limits()).unwrap();
    assert!(found.findings.is_empty() && found.signals.is_empty());
}

/// A row of a ledger as one line.
fn row<'a>(ledger: &'a Ledger, name: &str) -> &'a LedgerRow {
    ledger.rows.iter().find(|row| row.name == name).expect(name)
}

#[test]
fn the_ledger_adds_up_what_a_function_takes_in_every_signal() {
    let reader = minute().reader();
    let found = ledger(&reader, "update", &samples(0, 60), 10, &limits()).unwrap();
    assert_eq!(seconds(0, 60), found.range);
    let names: Vec<&str> = found.rows.iter().map(|row| row.name).collect();
    // `update` is never innermost on a CPU: it takes nothing by itself.
    let expected = [
        "cpu_total",
        "off_cpu",
        "run_queue",
        "syscall_time",
        "syscall_calls",
        "alloc_bytes",
        "alloc_objects",
        "kept_bytes",
    ];
    assert_eq!(&expected[..], names);
    let cpu = row(&found, "cpu_total");
    assert_eq!(6 * 500 * 10_000_000, cpu.value);
    assert!((cpu.per_second - 5e8).abs() < 1.0, "{cpu:?}");
    // The other service has three hundred samples a window.
    assert!((cpu.share - 500.0 / 900.0).abs() < 1e-9, "{cpu:?}");
    assert_eq!("api", cpu.services[0].name);
    let waits = row(&found, "off_cpu");
    let reasons: Vec<&str> = waits.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(vec!["lock", "timer"], reasons);
    assert!((waits.parts[0].mean_ns - 5e6).abs() < 1.0, "{waits:?}");
    let calls = row(&found, "syscall_time");
    assert_eq!(
        ("read", 12_000_000),
        (calls.parts[0].name.as_str(), calls.parts[0].value)
    );
    assert!(
        (calls.parts[0].mean_ns - 20_000.0).abs() < 1e-6,
        "{calls:?}"
    );
    assert_eq!(6_000_000, row(&found, "kept_bytes").value);
    assert!(
        ledger(&reader, "none", &samples(0, 60), 10, &limits())
            .unwrap()
            .rows
            .is_empty()
    );
}

/// Five minutes of a busy service from a second on, in which `serialize` takes so many of ten
/// thousand samples a window.
fn five_minutes(world: &mut World, from: u64, build: &str, serialize: u64) {
    let labels = [
        ("service", "api"),
        (label::BUILD_ID, build),
        (label::EXE, "/bin/app"),
    ];
    let others: Vec<String> = (0..40).map(|n| format!("main;f{n}")).collect();
    for window in 0..30 {
        let at = from + window * 10;
        // A little more and less, as chance has it; the same in both recordings on the average.
        let wave = |n: u64| (n * 7 + window * 13) % 11;
        let values: Vec<[u64; 2]> = (0..40).map(|n| [230 + wave(n), 0]).collect();
        let mut stacks: Vec<(&str, &[u64])> = (others.iter().zip(&values))
            .map(|(stack, values)| (stack.as_str(), &values[..]))
            .collect();
        let serialize = [serialize + wave(3), 0];
        stacks.push(("main;serialize", &serialize));
        world.add(at, ("cpu", CPU), &labels, &stacks);
    }
}

/// What is compared.
fn wanted(after: Selection, against: Against) -> Wanted {
    Wanted {
        after,
        before: None,
        against,
        is_total: false,
        settings: Settings::default(),
        limit: 10,
    }
}

#[test]
fn a_slower_function_is_found_against_every_earlier_time_and_build() {
    let week = 7 * DAY_SECONDS;
    let mut world = World::default();
    five_minutes(&mut world, 0, "a", 500);
    five_minutes(&mut world, week - DAY_SECONDS, "a", 500);
    five_minutes(&mut world, week - 300, "a", 500);
    five_minutes(&mut world, week, "b", 600);
    let reader = world.reader();
    let after = samples(week, week + 300);
    for against in [
        Against::Baseline,
        Against::Yesterday,
        Against::LastWeek,
        Against::PreviousBuild,
    ] {
        let found = regressions(&reader, &wanted(after.clone(), against), &limits()).unwrap();
        let slower: Vec<&str> = (found.comparison.slower.iter())
            .map(|change| &*change.place.function)
            .collect();
        assert_eq!(vec!["serialize"], slower, "{against:?}");
        assert_eq!(9, found.comparison.slower[0].place.line);
    }
    let same = wanted(samples(week - 300, week), Against::Yesterday);
    let same = Wanted {
        before: Some(samples(0, 300)),
        against: Against::Baseline,
        ..same
    };
    let found = regressions(&reader, &same, &limits()).unwrap();
    assert!(found.comparison.slower.is_empty() && found.comparison.faster.is_empty());
    let first = wanted(samples(0, 300), Against::PreviousBuild);
    let none = regressions(&reader, &first, &limits());
    assert!(matches!(none, Err(QueryError::NoEarlierBuild)), "{none:?}");
}

#[test]
fn a_version_that_is_slower_is_found_where_builds_do_not_change() {
    let mut world = World::default();
    for (second, version, serialize) in [(0, "1", 500), (300, "2", 700)] {
        for window in 0..30 {
            let labels = [("service", "api"), (label::VERSION, version)];
            let stacks: [(&str, &[u64]); 2] = [
                ("main;serialize", &[serialize, 0]),
                ("main;rest", &[9_000, 0]),
            ];
            world.add(second + window * 10, ("cpu", CPU), &labels, &stacks);
        }
    }
    let asked = wanted(samples(300, 600), Against::PreviousBuild);
    let found = regressions(&world.reader(), &asked, &limits()).unwrap();
    let slower = &found.comparison.slower[0];
    assert_eq!("serialize", &*slower.place.function);
    assert!(
        found.texts[0].contains("version=\"1\""),
        "{:?}",
        found.texts
    );
}

#[test]
fn a_limit_on_regressions_looks_at_each_service_and_as_far_back_as_it_says() {
    let mut world = World::default();
    five_minutes(&mut world, DAY_SECONDS, "a", 500);
    five_minutes(&mut world, DAY_SECONDS + 300, "b", 600);
    for second in (0..600).step_by(10) {
        let fine: [(&str, &[u64]); 2] = [("main;a", &[500, 0]), ("main;b", &[500, 0])];
        let labels = [
            ("service", "fine"),
            (label::BUILD_ID, "c"),
            (label::EXE, "/bin/fine"),
        ];
        world.add(DAY_SECONDS + second, ("cpu", CPU), &labels, &fine);
    }
    let checked = |world: &World, limit: &str| {
        let text = format!("[[limit]]\nname = \"n\"\nmeasure = \"regressions\"\n{limit}");
        let budget = Budget::read(&text).unwrap();
        let when = (seconds(DAY_SECONDS + 570, DAY_SECONDS + 600), None);
        let checked = check(&world.reader(), &budget, &Rules::default(), when, &limits());
        checked.unwrap().limits.remove(0)
    };
    let broken = checked(&world, "against = \"previous_build\"");
    assert_eq!(Verdict::Broken, broken.verdict);
    let details = &broken.measured.details;
    assert!(
        details[0].starts_with("`serialize` of `api`: "),
        "{details:?}"
    );
    assert_eq!(1, details.len(), "{details:?}");
    // A build that just came is compared although most of the data is of the one before it.
    five_minutes(&mut world, DAY_SECONDS - 300, "a", 500);
    let broken = checked(&world, "against = \"previous_build\"\nwindow = \"20m\"");
    assert_eq!(Verdict::Broken, broken.verdict, "{broken:?}");
    // How far back it looks can be seen in what shows it.
    let from = |judged: &Judged, second: u64| {
        let start = START + Duration::from_secs(DAY_SECONDS + second);
        let from = format!("--from {} ", start.as_secs());
        let command = &judged.measured.command;
        assert!(command.contains(&from), "{command} instead of {from}");
    };
    from(&checked(&world, ""), 0);
    from(&checked(&world, "window = \"1m\""), 540);
    from(&checked(&world, "window = \"10s\""), 570);
}

#[test]
fn a_budget_is_measured_in_every_signal() {
    let budget = Budget::read(
        r#"
        [[limit]]
        name = "copying stays small"
        selector = '{service="api"}'
        measure = "cpu_share"
        function = "copy_table"
        at_most = "50%"
        [[limit]]
        name = "half a CPU"
        selector = '{service="api"}'
        measure = "cores"
        at_most = "0.7"
        [[limit]]
        name = "few wait for locks"
        measure = "waiting"
        reason = "lock"
        at_most = "1"
        [[limit]]
        name = "the database is near"
        measure = "latency"
        remote = "db:"
        phase = "connect"
        quantile = "p95"
        at_most = "3ms"
        [[limit]]
        name = "little is allocated"
        measure = "allocation"
        function = "update"
        at_most = "1MiB/s"
        [[limit]]
        name = "no convoy"
        measure = "findings"
        kind = "lock_convoy"
        [[limit]]
        name = "nothing of what is not there"
        measure = "page_faults"
        at_most = "1/s"
        "#,
    )
    .unwrap();
    let reader = minute().reader();
    let guide = Guide::default();
    let when = (seconds(0, 60), None);
    let checked = check(&reader, &budget, &guide.rules, when, &limits()).unwrap();
    assert!(checked.is_broken());
    let verdicts: Vec<Verdict> = checked.limits.iter().map(|judged| judged.verdict).collect();
    let expected = [
        Verdict::Broken,
        Verdict::Kept,
        Verdict::Broken,
        Verdict::Broken,
        Verdict::Kept,
        Verdict::Broken,
        Verdict::Unknown,
    ];
    assert_eq!(&expected[..], verdicts, "{checked:#?}");
    let convoy = &checked.limits[5].measured;
    assert!(convoy.details[0].contains("update"), "{convoy:?}");
}
