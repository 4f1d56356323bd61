//! Sampling that goes on: windows, each named while the next one is counted.

use std::{process::Command, thread, time::Duration};

use profiler::{
    clock,
    host::{
        Shutdown,
        run::{
            Budget, SharedLabelRules, SignalOptions, Unwinding, WatchOptions, WatchedWindow, watch,
        },
    },
    model::Profile,
    render::{Format, write},
};
use profiler_tests::{
    harness::{Collapsed, Running, workload},
    require_root,
};

use super::check::{FAST_HZ, check_shares_within};

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(2);
/// Full windows to wait for; the first one and the last one are not full.
const FULL_WINDOWS: usize = 3;

/// What the whole host is watched with.
fn options() -> WatchOptions {
    WatchOptions {
        host: "here".to_owned(),
        unwinding: Unwinding::Auto,
        rate_hz: FAST_HZ,
        signals: SignalOptions::default(),
        window: WINDOW,
        cache_dir: None,
        inlines: false,
        budget: Budget::default(),
        bursts: None,
    }
}

/// Watches the host until there were enough full windows.
fn windows() -> Vec<WatchedWindow> {
    let options = options();
    let watching = thread::spawn(move || {
        let shutdown = Shutdown::default();
        let mut windows = Vec::new();
        let stop = shutdown.clone();
        let deliver = &mut |window: WatchedWindow| {
            windows.push(window);
            if windows.len() > FULL_WINDOWS {
                stop.request();
            }
        };
        watch(&options, &SharedLabelRules::default(), &shutdown, deliver).unwrap();
        windows
    });
    watching.join().unwrap()
}

/// Whoever takes windows too slowly gets longer ones, and none is lost.
#[test]
fn windows_grow_while_those_before_wait() {
    const LENGTH: Duration = Duration::from_secs(1);
    const ENOUGH: Duration = Duration::from_secs(24);
    let _turn = require_root!();
    let mut split = Command::new(workload("split").unwrap());
    let _running = Running::start(split.arg("120")).unwrap();
    let options = WatchOptions {
        window: LENGTH,
        ..options()
    };
    let shutdown = Shutdown::default();
    let stop = shutdown.clone();
    let mut profiles: Vec<Profile> = Vec::new();
    let deliver = &mut |window: WatchedWindow| {
        profiles.push(window.profile);
        let seen: Duration = profiles.iter().map(|profile| profile.window.duration).sum();
        if ENOUGH < seen {
            stop.request();
        } else if !stop.is_requested() {
            clock::sleep(2 * LENGTH);
        }
    };
    watch(&options, &SharedLabelRules::default(), &shutdown, deliver).unwrap();
    let longest = profiles.iter().map(|profile| profile.window.duration).max();
    assert!(2 * LENGTH <= longest.unwrap(), "{longest:?}");
    for pair in profiles.windows(2) {
        let (span, next) = (pair[0].window, pair[1].window);
        let end = span.start + span.duration;
        let is_gapless = end.abs_diff(next.start) < Duration::from_millis(20);
        assert!(is_gapless, "{span:?} {next:?}");
    }
    for profile in &profiles {
        let quality = &profile.quality;
        assert_eq!((0, 0), (quality.windows_lost, quality.lost_total()));
    }
}

/// The stacks of a window as the collapsed format has them.
fn collapsed(window: &WatchedWindow) -> String {
    String::from_utf8(write(&window.profile, Format::Collapsed).unwrap()).unwrap()
}

/// The program that runs is described by its labels.
#[track_caller]
fn check_labels(profile: &Profile) {
    let task = profile.tasks.iter().find(|task| task.comm == "split");
    let labels = &task.unwrap().labels;
    for name in ["comm", "thread", "service"] {
        assert_eq!("split", labels[name], "{name} of {labels:?}");
    }
    assert!(labels["exe"].ends_with("/split"), "{labels:?}");
    assert_eq!("here", labels["host"]);
    assert!(
        labels.contains_key("build_id") && labels.contains_key("pid"),
        "{labels:?}"
    );
}

/// Windows have the shares of the program that runs, names included, and what the probe sent is
/// in the windows: nothing twice, nothing missing.
#[test]
fn windows_hold_every_sample_once() {
    let _turn = require_root!();
    let mut split = Command::new(workload("split").unwrap());
    let _running = Running::start(split.arg("120")).unwrap();
    let windows = windows();

    for pair in windows.windows(2) {
        let (span, next) = (pair[0].profile.window, pair[1].profile.window);
        let end = span.start + span.duration;
        assert!(
            end.abs_diff(next.start) < Duration::from_millis(20),
            "{span:?} {next:?}"
        );
    }
    let mut text = String::new();
    for window in &windows[1..=FULL_WINDOWS] {
        let span = window.profile.window;
        assert_eq!(0, span.start.as_nanos() % WINDOW.as_nanos(), "{span:?}");
        check_labels(&window.profile);
        text.push_str(&collapsed(window));
    }
    let stacks = Collapsed::parse(&text).unwrap().of_comm("split");
    assert!(stacks.total() > 500, "{}", stacks.heaviest(10));
    let shares = [("heavy", 0.6), ("medium", 0.3), ("light", 0.1)];
    check_shares_within(&stacks, &shares, |_| 0.1);
    let counted: u64 = windows
        .iter()
        .map(|window| {
            let quality = &window.profile.quality;
            let values = window.profile.samples.iter();
            let values: u64 = values.filter_map(|sample| sample.values.first()).sum();
            assert_eq!(quality.samples, values);
            assert_eq!(
                0,
                quality.lost_total() + quality.windows_lost,
                "{quality:?}"
            );
            quality.samples
        })
        .sum();
    assert_eq!(
        Some(counted),
        windows.last().map(|window| window.cost.samples_sent)
    );
}
