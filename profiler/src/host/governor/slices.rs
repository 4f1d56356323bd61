//! Slices of time in which a family is on.
//!
//! Pauses have random lengths, so nothing that happens again and again keeps in step with them.
//! Each slice stands for the time since the last one ended, besides its own: its weight is known
//! when it begins, before anything in it was seen. What a late switch adds or takes is made up for
//! by the next slice, so that the slices stand for all the time there was, in the end.

use std::time::Duration;

use super::limits::{CYCLE, SLICE_MIN};

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Switch {
    /// Attach, or stay attached; samples weigh so much from now on.
    On {
        /// What a sample stands for.
        weight: f64,
    },
    /// Detach.
    Off,
}

/// The slices of one family.
#[derive(Clone, Debug)]
pub struct Slices {
    /// When it all began.
    began: Duration,
    /// Begin and weight of the slice that runs.
    running: Option<(Duration, f64)>,
    /// When the next switch is due.
    due: Duration,
    /// Seconds that the slices before the running one stood for.
    represented_seconds: f64,
    /// State of the numbers that pauses are drawn with.
    random: u64,
}

impl Slices {
    /// A family that was just switched on. The seed makes two families pause at different times.
    pub fn start(now: Duration, seed: u64) -> Self {
        Self {
            began: now,
            running: Some((now, 1.0)),
            due: now,
            represented_seconds: 0.0,
            random: seed | 1,
        }
    }

    /// When [`Self::poll`] wants to be called next.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Whether it is to be attached.
    pub fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// Decides what is next; `duty` is the share of time it is to be on, 0 to be off for good.
    pub fn poll(&mut self, now: Duration, duty: f64) -> Option<Switch> {
        if duty <= 0.0 {
            return self.stop(now);
        }
        if now < self.due {
            return None;
        }
        match self.running {
            Some(_slice) if duty < 1.0 => self.pause(now, duty),
            Some(_) | None => self.begin(now, duty),
        }
    }

    /// What the slices stood for, as a share of all the time: 1 in the mean, and exactly when it was
    /// never off.
    pub fn represented_share(&self, now: Duration) -> f64 {
        let elapsed = now.saturating_sub(self.began).as_secs_f64();
        if elapsed <= 0.0 {
            return 1.0;
        }
        self.represented_until(now) / elapsed
    }

    /// Seconds that all slices stood for.
    fn represented_until(&self, now: Duration) -> f64 {
        let running = self.running.map_or(0.0, |(start, weight)| {
            weight * now.saturating_sub(start).as_secs_f64()
        });
        self.represented_seconds + running
    }

    /// Ends the slice that runs.
    fn end_slice(&mut self, now: Duration) {
        self.represented_seconds = self.represented_until(now);
        self.running = None;
    }

    /// Off for good, until there is a duty again. What was left out then is not stood for.
    fn stop(&mut self, now: Duration) -> Option<Switch> {
        let was_on = self.running.is_some();
        self.end_slice(now);
        // What no slice stands for yet is forgotten: nobody can say what it was like.
        self.began = now;
        self.represented_seconds = 0.0;
        self.due = now;
        was_on.then_some(Switch::Off)
    }

    /// Ends a slice, and waits for half the mean pause to one and a half.
    fn pause(&mut self, now: Duration, duty: f64) -> Option<Switch> {
        self.end_slice(now);
        let pause = slice_length(duty).mul_f64(1.0 / duty - 1.0);
        self.due = now + pause.mul_f64(0.5 + self.next_random());
        Some(Switch::Off)
    }

    /// Begins a slice, or goes on with one whose family is not thinned any more.
    fn begin(&mut self, now: Duration, duty: f64) -> Option<Switch> {
        let was_on = self.running.map(|(_start, weight)| weight);
        self.end_slice(now);
        let length = slice_length(duty);
        self.due = now + length;
        let elapsed = self.due.saturating_sub(self.began).as_secs_f64();
        let owed = elapsed - self.represented_seconds;
        // Never below what it is: a slice that is due nothing waits for the time to catch up.
        let weight = (owed / length.as_secs_f64()).max(1.0);
        // Sums of seconds in binary are off by less than this.
        let weight = if weight < 1.0 + 1e-6 { 1.0 } else { weight };
        self.running = Some((now, weight));
        (was_on != Some(weight)).then_some(Switch::On { weight })
    }

    /// A number from 0 to 1 (Marsaglia's xorshift64).
    fn next_random(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        #[expect(clippy::cast_precision_loss, reason = "53 random bits are plenty")]
        let number = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        number
    }
}

/// Length of a slice.
fn slice_length(duty: f64) -> Duration {
    CYCLE.mul_f64(duty.min(1.0)).max(SLICE_MIN)
}
