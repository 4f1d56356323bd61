//! The network: endpoints that are slow or cannot be connected to, and segments sent again.

use std::collections::{BTreeMap, BTreeSet};

use super::look::{Found, Look};
use crate::service::insight::{
    Evidence, Finding, FindingKind, Histogram, Interval, Number, Path, Severity, SignalTable, Site,
    Unit, evidence::Weight, proportion,
};

/// The side that asks.
const CLIENT: &str = "client";
/// Measures of time whose slowness is the other side's.
const MEASURES: [(&str, &str); 2] = [("first_byte", "answers"), ("connect", "is connected to")];
/// Measures of connections that failed.
const FAILURES: [&str; 2] = ["connect_refused", "connect_timed_out"];
/// What the cost of waiting for others is a share of.
const NETWORK_TIME: &str = "CPU, waiting and network time";

/// One measure of an endpoint: levels are endpoint, side, measure, length.
pub(crate) fn measured(
    evidence: &Evidence,
    wanted: impl Fn(&str, &str, &str) -> bool,
) -> (Weight, Histogram) {
    let table = &evidence.tcp_counts;
    let fits = |path: &Path| match table.names(path).collect::<Vec<_>>()[..] {
        [endpoint, side, measure, ..] => {
            wanted(&endpoint.function, &side.function, &measure.function)
        }
        _ => false,
    };
    let mut lengths = Histogram::default();
    for path in table.paths.iter().filter(|path| fits(path)) {
        if let Some(bucket) = path.sites.get(3) {
            let count = crate::service::insight::evidence::number(path.values[0]);
            lengths.add(&table.site(*bucket).function, count);
        }
    }
    (table.of(fits), lengths)
}

/// All endpoints.
fn endpoints(evidence: &Evidence) -> BTreeSet<String> {
    let table = &evidence.tcp_counts;
    let outermost = table.paths.iter().filter_map(|path| path.sites.first());
    outermost
        .map(|site| table.site(*site).function.to_string())
        .collect()
}

/// Endpoints that are slow, or cannot be connected to.
pub(super) fn slow(look: &Look<'_>) -> Vec<Finding> {
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    for endpoint in endpoints(look.evidence) {
        let slow = MEASURES
            .iter()
            .filter_map(|measure| slow_at(look, &endpoint, *measure));
        let worst = slow
            .chain(unreachable_at(look, &endpoint))
            .min_by(Finding::rank);
        if let Some(worst) = worst {
            found.insert(endpoint, worst);
        }
    }
    found.into_values().collect()
}

/// One measure of one endpoint, if it is too slow.
fn slow_at(look: &Look<'_>, endpoint: &str, (name, does): (&str, &str)) -> Option<Finding> {
    let rule = &look.rules.slow_remote;
    let is_wanted =
        |at: &str, side: &str, measure: &str| at == endpoint && side == CLIENT && measure == name;
    let (weight, lengths) = measured(look.evidence, is_wanted);
    let [events, waited_ns, ..] = weight.values;
    if events < rule.events_least {
        return None;
    }
    let mean = waited_ns / events;
    let (p95, word) = match lengths.quantile(0.95) {
        Some(p95) => (p95, "in 95 % of the cases within"),
        None => (Interval::exact(mean), "on the average within"),
    };
    let severity = rule.severity(p95.low)?;
    let place = waiter(look, endpoint).unwrap_or_else(|| Site::thing(endpoint));
    let shown = |value| Unit::Nanoseconds.show(value);
    let summary = format!(
        "`{endpoint}` {does} {word} {} only ({} on the average): {} waits for it, mostly in `{}`.",
        shown(p95.value),
        shown(mean),
        look.service(),
        place.function,
    );
    let exact = |name, text, unit, value| Number::new(name, text, unit, Interval::exact(value));
    let (active, _samples) = look.active_time();
    let share = waited_ns / (active.iter().sum::<f64>() + waited_ns).max(1.0);
    Some(look.finding(Found {
        kind: FindingKind::SlowRemote,
        severity,
        place,
        cost: (Interval::exact(share), NETWORK_TIME),
        evidence: vec![
            Number::new("p95", "95th percentile", Unit::Nanoseconds, p95),
            exact("mean", "mean", Unit::Nanoseconds, mean),
            exact(
                "events_per_second",
                "times",
                Unit::PerSecond,
                events / look.evidence.seconds(),
            ),
        ],
        summary,
        shown_by: ("tcp", "time"),
        samples: events,
    }))
}

/// One endpoint, if too many connections to it fail.
fn unreachable_at(look: &Look<'_>, endpoint: &str) -> Option<Finding> {
    let rule = &look.rules.slow_remote;
    let count = |names: &[&str]| {
        let is_wanted = |at: &str, side: &str, measure: &str| {
            at == endpoint && side == CLIENT && names.contains(&measure)
        };
        measured(look.evidence, is_wanted).0.values[0]
    };
    let (failed, connected) = (count(&FAILURES), count(&["connect"]));
    let tried = failed + connected;
    let (share, _samples) = proportion(&[(failed, tried)], tried);
    if tried < rule.events_least || share.low < rule.failed_share {
        return None;
    }
    let place = waiter(look, endpoint).unwrap_or_else(|| Site::thing(endpoint));
    let summary = format!(
        "{} of the connections to `{endpoint}` fail; {} makes them mostly in `{}`.",
        Unit::Ratio.show(share.value),
        look.service(),
        place.function,
    );
    Some(look.finding(Found {
        kind: FindingKind::SlowRemote,
        severity: Severity::Warning,
        place,
        cost: (share, "connections to it"),
        evidence: vec![
            Number::new(
                "failed_share",
                "connections that failed",
                Unit::Ratio,
                share,
            ),
            Number::new("tried", "connections", Unit::Count, Interval::exact(tried)),
        ],
        summary,
        shown_by: ("tcp", "events"),
        samples: tried,
    }))
}

/// The function of the service that waits for an endpoint the longest. Where stacks do not say for
/// which one they wait, that is for any.
fn waiter(look: &Look<'_>, endpoint: &str) -> Option<Site> {
    let table = &look.evidence.tcp;
    let is_there = |path: &Path| table.names(path).any(|site| &*site.function == endpoint);
    longest(look, table, is_there).or_else(|| longest(look, table, |_path| true))
}

/// The function of the service that takes the longest to send.
fn sender(look: &Look<'_>) -> Option<Site> {
    let table = &look.evidence.syscall;
    let calls = &look.rules.retransmits.calls;
    longest(look, table, |path| {
        let call = table.names(path).next_back();
        call.is_some_and(|call| calls.iter().any(|known| **known == *call.function))
    })
}

/// The function of the service that takes the most of some stacks.
fn longest(look: &Look<'_>, table: &SignalTable, fits: impl Fn(&Path) -> bool) -> Option<Site> {
    let culprits = table.by(|path| {
        let culprit = look.rules.frames.culprit(table, path);
        culprit.filter(|_site| fits(path))
    });
    let longest = (culprits.iter()).max_by(|(a_site, a), (b_site, b)| {
        (a.values[0].total_cmp(&b.values[0])).then_with(|| b_site.cmp(a_site))
    });
    longest.map(|(site, _weight)| table.site(*site).clone())
}

/// Endpoints to which too much has to be sent again.
pub(super) fn retransmits(look: &Look<'_>) -> Vec<Finding> {
    let found = endpoints(look.evidence).into_iter();
    found
        .filter_map(|endpoint| retransmits_at(look, &endpoint))
        .collect()
}

/// One endpoint, if too much has to be sent to it again.
fn retransmits_at(look: &Look<'_>, endpoint: &str) -> Option<Finding> {
    let rule = &look.rules.retransmits;
    let of = |name: &'static str| {
        let is_wanted =
            move |at: &str, _side: &str, measure: &str| at == endpoint && measure == name;
        measured(look.evidence, is_wanted).0
    };
    let again = of("retransmits").values[0];
    let [sends, _time, sent_bytes, ..] = of("bytes_sent").values;
    let segments = (sent_bytes / rule.segment_bytes).max(sends) + again;
    if again < rule.events_least {
        return None;
    }
    let (share, _samples) = proportion(&[(again, segments)], segments);
    let severity = rule.severity(share.low)?;
    let who = sender(look).or_else(|| waiter(look, endpoint));
    let place = who.unwrap_or_else(|| Site::thing(endpoint));
    let per_second = again / look.evidence.seconds();
    let summary = format!(
        "{} of the segments to `{endpoint}` have to be sent again ({}): the network on the way \
         loses them; {} sends mostly in `{}`.",
        Unit::Ratio.show(share.value),
        Unit::PerSecond.show(per_second),
        look.service(),
        place.function,
    );
    Some(look.finding(Found {
        kind: FindingKind::Retransmits,
        severity,
        place,
        cost: (share, "segments to it"),
        evidence: vec![
            Number::new(
                "retransmit_share",
                "segments sent again",
                Unit::Ratio,
                share,
            ),
            Number::new(
                "retransmits_per_second",
                "segments sent again",
                Unit::PerSecond,
                Interval::exact(per_second),
            ),
        ],
        summary,
        shown_by: ("tcp", "events"),
        samples: segments,
    }))
}

#[cfg(test)]
mod tests {
    use crate::service::insight::{
        Evidence, FindingKind, Severity,
        find::fixture::{first, kinds, minute, table},
    };

    /// A minute of the network.
    fn network(counts: &[(&str, [u64; 3])]) -> Evidence {
        Evidence {
            tcp_counts: table(counts),
            tcp: table(&[
                ("main;handle;load_user;__recv", [9_000_000_000, 100]),
                (
                    "main;ask;__recv;first_byte_[k];client_[k];10.0.0.3:1_[k]",
                    [5, 1],
                ),
                ("main;log", [1_000_000, 1]),
            ]),
            ..minute()
        }
    }

    #[test]
    fn an_endpoint_that_answers_late_is_found() {
        let found = first(&network(&[
            (
                "10.0.0.1:5432;client;first_byte;1 ms .. 2 ms",
                [50, 75_000_000, 0],
            ),
            (
                "10.0.0.1:5432;client;first_byte;200 ms .. 400 ms",
                [50, 15_000_000_000, 0],
            ),
            (
                "10.0.0.2:80;client;first_byte;1 ms .. 2 ms",
                [5_000, 7_500_000_000, 0],
            ),
        ]));
        assert_eq!(
            (FindingKind::SlowRemote, "load_user"),
            (found.kind, &*found.place.function)
        );
        assert_eq!(Severity::Warning, found.severity);
        assert!(found.summary.contains("10.0.0.1:5432"), "{}", found.summary);
    }

    #[test]
    fn who_waits_for_the_endpoint_itself_is_named() {
        let slow = "10.0.0.3:1;client;first_byte;200 ms .. 400 ms";
        let found = first(&network(&[(slow, [50, 15_000_000_000, 0])]));
        assert_eq!("ask", &*found.place.function);
        assert!(
            found.summary.contains("300 ms on the average"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn quick_answers_few_of_them_and_our_own_are_fine() {
        for counts in [
            (
                "a:1;client;first_byte;1 ms .. 2 ms",
                [5_000, 7_500_000_000, 0],
            ),
            ("a:1;client;first_byte;1 s .. 2 s", [3, 4_500_000_000, 0]),
            (
                "a:1;server;first_byte;1 s .. 2 s",
                [5_000, 7_500_000_000_000, 0],
            ),
        ] {
            assert!(kinds(&network(&[counts])).is_empty(), "{counts:?}");
        }
    }

    #[test]
    fn connections_that_fail_are_found() {
        let failing = network(&[
            ("db:1;client;connect_refused", [40, 0, 0]),
            ("db:1;client;connect;64 µs .. 128 µs", [60, 5_000_000, 0]),
        ]);
        assert!(
            first(&failing)
                .summary
                .starts_with("40.0% of the connections")
        );
    }

    #[test]
    fn a_path_that_loses_segments_is_found() {
        let counts = |again: u64| {
            network(&[
                ("a:1;client;retransmits", [again, 0, 0]),
                ("a:1;client;bytes_sent", [1_000, 0, 144_800_000]),
            ])
        };
        let found = first(&counts(5_000));
        assert_eq!(FindingKind::Retransmits, found.kind);
        assert_eq!(Severity::Warning, found.severity);
        assert_eq!(
            "load_user", &*found.place.function,
            "nobody was seen sending"
        );
        let mut sending = counts(5_000);
        sending.syscall = table(&[
            ("main;replicate;__send;sendto_[k]", [9_000_000_000, 100]),
            ("main;log;__write;write_[k]", [1_000_000, 1]),
            ("main;wait;epoll_wait_[k]", [50_000_000_000, 1]),
        ]);
        assert_eq!("replicate", &*first(&sending).place.function);
        assert!(kinds(&counts(50)).is_empty());
        assert!(kinds(&counts(5)).is_empty());
    }
}
