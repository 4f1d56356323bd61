//! Lets through one message in a while, and counts the others.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Lets one message through each `interval`. For what a stranger can make us write.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    state: Mutex<State>,
}

/// What was let through.
#[derive(Debug, Default)]
struct State {
    /// Monotonic time of the last message.
    last: Option<Duration>,
    held_back: u64,
}

impl Throttle {
    /// Nothing was let through yet.
    pub fn new(interval: Duration) -> Self {
        let state = Mutex::default();
        Self { interval, state }
    }

    /// Whether a message may be written at this moment of monotonic time; if so, how many were not
    /// since the last one.
    pub fn pass(&self, now: Duration) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = (state.last).is_none_or(|last| self.interval <= now.saturating_sub(last));
        if !is_due {
            state.held_back = state.held_back.saturating_add(1);
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Throttle;

    #[test]
    fn one_message_in_a_while_says_how_many_were_held_back() {
        let throttle = Throttle::new(Duration::from_secs(10));
        let pass = |second| throttle.pass(Duration::from_secs(second));
        assert_eq!(Some(0), pass(1));
        assert_eq!(None, pass(2));
        assert_eq!(None, pass(10));
        assert_eq!(Some(2), pass(11));
    }
}
