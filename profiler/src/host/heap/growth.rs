//! Whether live memory keeps growing: a straight line through all looks at it.

use std::time::Duration;

/// The looks so far, in seconds since the first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looks {
    /// How many.
    pub(super) count: u32,
    /// Sum of their times, and of the squares.
    sum: f64,
    squares: f64,
}

/// What was seen of one stack. A look that saw nothing of it adds nothing, so stacks that appear
/// later need no history.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Sum of live bytes, of their squares, and of their products with the time.
    bytes: f64,
    squares: f64,
    products: f64,
}

/// The line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Growth {
    /// Bytes an hour.
    pub(super) bytes_per_hour: f64,
    /// Share of the variance that the line explains, 0 to 1.
    pub(super) steadiness: f64,
}

impl Looks {
    /// One more look, so long after the first.
    pub(super) fn look(&mut self, after: Duration) {
        let seconds = after.as_secs_f64();
        self.count += 1;
        self.sum += seconds;
        self.squares += seconds * seconds;
    }
}

impl Seen {
    /// So much is live at a look.
    pub(super) fn add(&mut self, after: Duration, bytes: f64) {
        self.bytes += bytes;
        self.squares += bytes * bytes;
        self.products += bytes * after.as_secs_f64();
    }

    /// The line through what was seen; flat when there is too little.
    pub(super) fn growth(&self, looks: &Looks) -> Growth {
        let count = f64::from(looks.count);
        let times = count * looks.squares - looks.sum * looks.sum;
        let bytes = count * self.squares - self.bytes * self.bytes;
        let both = count * self.products - looks.sum * self.bytes;
        if times <= 0.0 || bytes <= 0.0 {
            return Growth::default();
        }
        Growth {
            bytes_per_hour: both / times * 3_600.0,
            steadiness: (both / times) * (both / bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Growth, Looks, Seen};

    fn growth(bytes: impl Iterator<Item = f64>) -> Growth {
        let (mut looks, mut seen) = (Looks::default(), Seen::default());
        for (second, bytes) in (0..).zip(bytes) {
            let after = Duration::from_secs(second);
            looks.look(after);
            seen.add(after, bytes);
        }
        seen.growth(&looks)
    }

    #[test]
    fn a_leak_is_a_steady_line() {
        let leak = growth((0..20).map(|second| 1e6 * f64::from(second)));
        assert!((leak.bytes_per_hour / 3.6e9 - 1.0).abs() < 1e-9);
        assert!(leak.steadiness > 0.999);
    }

    #[test]
    fn churn_goes_nowhere() {
        let churn = growth((0..20).map(|second| f64::from(second * 7 % 5)));
        assert!(churn.steadiness < 0.1, "{churn:?}");
    }

    #[test]
    fn one_look_shows_no_growth() {
        assert_eq!(Growth::default(), growth([5.0].into_iter()));
        assert_eq!(Growth::default(), growth(std::iter::empty()));
    }
}
