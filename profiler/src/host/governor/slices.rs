//! Slices of time in which a family is on.
//!
//! Pauses have random lengths, so nothing that happens again and again keeps in step with them.
//! Each slice stands for the time since the last one ended, besides its own: its weight is known
//! when it begins, before anything in it was seen. What a late switch adds or takes is made up for
//! by the next slice, so that the slices stand for all the time there was, in the end.

use std::time::Duration;

use super::limits::{CYCLE, SLICE_MIN};

/// What is to be done now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Switch {
    /// Attach, or stay attached for another slice.
    On,
    /// Detach.
    Off,
}

/// A slice that runs.
#[derive(Clone, Copy, Debug)]
struct Running {
    start: Duration,
    /// When it is to end. What comes after, because a switch was late, stands for itself alone.
    due: Duration,
    weight: f64,
}

impl Running {
    /// Seconds that it stood for until now.
    fn represented_seconds(&self, now: Duration) -> f64 {
        let on_time = now.min(self.due).saturating_sub(self.start);
        self.weight * on_time.as_secs_f64() + now.saturating_sub(self.due).as_secs_f64()
    }

    /// What its samples stood for in the mean until now.
    #[expect(
        clippy::float_cmp,
        reason = "exactly one, or what is counted would be rounded"
    )]
    fn mean_weight(&self, now: Duration) -> f64 {
        let seconds = now.saturating_sub(self.start).as_secs_f64();
        if seconds <= 0.0 || self.weight == 1.0 {
            return self.weight;
        }
        self.represented_seconds(now) / seconds
    }
}

/// The slices of one family.
#[derive(Clone, Debug)]
pub struct Slices {
    /// When it all began.
    began: Duration,
    running: Option<Running>,
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
            running: Some(Running {
                start: now,
                due: now,
                weight: 1.0,
            }),
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

    /// What is to be done now, to be followed by [`Self::begin`] or [`Self::pause`] when it is done;
    /// `duty` is the share of time it is to be on, 0 to be off for good.
    pub fn poll(&self, now: Duration, duty: f64) -> Option<Switch> {
        match self.running {
            Some(_slice) if duty <= 0.0 => Some(Switch::Off),
            None if duty <= 0.0 => None,
            Some(_) | None if now < self.due => None,
            Some(_slice) if duty < 1.0 => Some(Switch::Off),
            Some(_) | None => Some(Switch::On),
        }
    }

    /// It is attached now, or goes on: what samples weigh, and until when.
    pub fn begin(&mut self, now: Duration, duty: f64) -> (f64, Duration) {
        self.end_slice(now);
        let length = slice_length(duty);
        self.due = now + length;
        let elapsed = self.due.saturating_sub(self.began).as_secs_f64();
        let owed = elapsed - self.represented_seconds;
        // Never below what it is: a slice that is due nothing waits for the time to catch up.
        let weight = (owed / length.as_secs_f64()).max(1.0);
        // Sums of seconds in binary are off by less than this.
        let weight = if weight < 1.0 + 1e-6 { 1.0 } else { weight };
        self.running = Some(Running {
            start: now,
            due: self.due,
            weight,
        });
        (weight, self.due)
    }

    /// It is detached now: for half the mean pause to one and a half, or for good without a duty.
    /// Gives what the samples of the slice stood for in the mean.
    pub fn pause(&mut self, now: Duration, duty: f64) -> f64 {
        let weight = self.mean_weight(now);
        self.end_slice(now);
        if duty <= 0.0 {
            // What no slice stands for is forgotten: nobody can say what it was like.
            self.began = now;
            self.represented_seconds = 0.0;
            self.due = now;
        } else {
            let pause = slice_length(duty).mul_f64(1.0 / duty - 1.0);
            self.due = now + pause.mul_f64(0.5 + self.next_random());
        }
        weight
    }

    /// What the samples of the running slice stood for in the mean so far.
    pub fn mean_weight(&self, now: Duration) -> f64 {
        (self.running.as_ref()).map_or(1.0, |running| running.mean_weight(now))
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
        let running = self.running.as_ref();
        let running = running.map_or(0.0, |running| running.represented_seconds(now));
        self.represented_seconds + running
    }

    /// Ends the slice that runs.
    fn end_slice(&mut self, now: Duration) {
        self.represented_seconds = self.represented_until(now);
        self.running = None;
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
