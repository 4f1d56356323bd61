//! The life of one alert: broken for long enough it fires, kept for long enough it is over.

use std::time::Duration;

use crate::service::insight::Verdict;

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum State {
    /// The limit is kept.
    #[default]
    Ok,
    /// Broken, not yet for long enough.
    Pending,
    /// Broken for long enough.
    Firing,
    /// Kept again, not yet for long enough.
    Clearing,
}

impl State {
    /// The word on disk.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Clearing => "clearing",
        }
    }

    /// The state of a word; a word that is not known is a limit that is kept.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "pending" => Self::Pending,
            "firing" => Self::Firing,
            "clearing" => Self::Clearing,
            _ => Self::Ok,
        }
    }

    /// Whether someone was told and not told that it is over.
    pub(super) fn is_told(self) -> bool {
        matches!(self, Self::Firing | Self::Clearing)
    }
}

/// How long a limit is broken, or kept, before that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until it fires.
    pub(super) hold: Duration,
    /// Until it is over.
    pub(super) clear: Duration,
}

/// The next state, having been in `state` since `since`. No data changes nothing but what was not
/// told yet: a service that falls silent does not end an alert, and does not make one.
pub(super) fn next(
    state: State,
    since: Duration,
    verdict: Verdict,
    now: Duration,
    patience: Patience,
) -> State {
    let passed = now.saturating_sub(since);
    match (state, verdict) {
        (State::Ok, Verdict::Broken) if patience.hold.is_zero() => State::Firing,
        (State::Ok, Verdict::Broken) => State::Pending,
        (State::Pending, Verdict::Broken) if patience.hold <= passed => State::Firing,
        (State::Pending, Verdict::Kept | Verdict::Unknown) => State::Ok,
        (State::Firing, Verdict::Kept) if patience.clear.is_zero() => State::Ok,
        (State::Firing, Verdict::Kept) => State::Clearing,
        (State::Clearing, Verdict::Broken) => State::Firing,
        (State::Clearing, Verdict::Kept) if patience.clear <= passed => State::Ok,
        (state, _) => state,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Patience, State, next};
    use crate::service::insight::Verdict;

    /// States after each verdict, five seconds apart, with ten seconds to fire and twenty to clear.
    #[track_caller]
    fn check(verdicts: &str, expected: &str) {
        let patience = Patience {
            hold: Duration::from_secs(10),
            clear: Duration::from_secs(20),
        };
        let (mut state, mut since) = (State::Ok, Duration::ZERO);
        let mut states = String::new();
        for (turn, letter) in (1..).zip(verdicts.chars()) {
            let verdict = match letter {
                'b' => Verdict::Broken,
                'k' => Verdict::Kept,
                _ => Verdict::Unknown,
            };
            let now = Duration::from_secs(5 * turn);
            let then = next(state, since, verdict, now, patience);
            if then != state {
                (state, since) = (then, now);
            }
            states.push(state.as_str().chars().next().unwrap());
        }
        assert_eq!(expected, states);
    }

    #[test]
    fn an_alert_fires_and_clears_after_its_times() {
        check("kbbbbkkkkkk", "oppffccccoo");
    }

    #[test]
    fn a_moment_is_no_alert_and_no_end_of_one() {
        check("bkbkbbbkbkb", "popoppfcfcf");
    }

    #[test]
    fn no_data_changes_only_what_nobody_was_told() {
        check("b?bbb????kkkkkk", "poppfffffccccoo");
    }

    #[test]
    fn words_on_disk_are_read_back() {
        for state in [State::Ok, State::Pending, State::Firing, State::Clearing] {
            assert_eq!(state, State::named(state.as_str()));
        }
    }
}
