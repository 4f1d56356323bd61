//! Lengths of time that were counted in buckets.

use super::statistics::Interval;

/// Standard deviations on each side of a 95 % interval.
const Z_95: f64 = 1.96;

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    /// From this length on, in nanoseconds.
    low: f64,
    /// Below this length.
    high: f64,
    /// How many.
    count: f64,
}

/// Lengths of time in buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram(Vec<Bucket>);

impl Histogram {
    /// Adds a bucket by its name, `8 µs .. 16 µs`. False when that cannot be read.
    pub fn add(&mut self, name: &str, count: f64) -> bool {
        let Some((low, high)) = bounds(name) else {
            return false;
        };
        self.0.push(Bucket { low, high, count });
        true
    }

    /// How many.
    pub fn count(&self) -> f64 {
        self.0.iter().map(|bucket| bucket.count).sum()
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// The upper bound of the bucket that a share of all ends in: the share is below it for sure,
    /// whatever the lengths within buckets are. Absent when there are none.
    pub fn bound(&self, share: f64) -> Option<f64> {
        let mut buckets = self.0.clone();
        buckets.retain(|bucket| 0.0 < bucket.count);
        buckets.sort_by(|a, b| a.high.total_cmp(&b.high));
        let rank = share * self.count();
        let mut below = 0.0;
        let reached = buckets.iter().find(|bucket| {
            below += bucket.count;
            rank <= below
        });
        reached.or(buckets.last()).map(|bucket| bucket.high)
    }

    /// The length that a share of all is below, with its interval; absent when there are none.
    /// Within a bucket, lengths are taken to be spread evenly.
    pub fn quantile(&self, share: f64) -> Option<Interval> {
        let count = self.count();
        if count <= 0.0 {
            return None;
        }
        let mut buckets = self.0.clone();
        buckets.sort_by(|a, b| a.low.total_cmp(&b.low));
        let at = |rank: f64| {
            let mut before = 0.0;
            for bucket in &buckets {
                if rank <= before + bucket.count {
                    let part = ((rank - before) / bucket.count).clamp(0.0, 1.0);
                    return bucket.low + part * (bucket.high - bucket.low);
                }
                before += bucket.count;
            }
            buckets.last().map_or(0.0, |last| last.high)
        };
        let rank = share * count;
        let half = Z_95 * (count * share * (1.0 - share)).sqrt();
        Some(Interval {
            value: at(rank),
            low: at((rank - half).max(0.0)),
            high: at((rank + half).min(count)),
        })
    }
}

/// The bounds of a bucket by its name, in nanoseconds. One without an upper bound has twice the
/// lower one.
fn bounds(name: &str) -> Option<(f64, f64)> {
    let name = name.trim();
    if let Some(high) = name.strip_prefix('<') {
        return Some((0.0, nanoseconds(high)?));
    }
    if let Some(low) = name.strip_prefix('≥').or(name.strip_prefix(">=")) {
        let low = nanoseconds(low)?;
        return Some((low, 2.0 * low));
    }
    let (low, high) = name.split_once("..").or_else(|| name.split_once('-'))?;
    let low = if low.trim().is_empty() {
        0.0
    } else {
        nanoseconds(low)?
    };
    let high = if high.trim().is_empty() {
        2.0 * low
    } else {
        nanoseconds(high)?
    };
    (low <= high).then_some((low, high))
}

/// A length of time as text, in nanoseconds. A number alone is nanoseconds.
fn nanoseconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let place = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(place)?;
    let factor = match unit.trim() {
        "" | "ns" => 1.0,
        "µs" | "us" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "min" => 60e9,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::{Histogram, bounds};

    #[test]
    fn names_of_buckets_are_read() {
        assert_eq!(Some((8e3, 16e3)), bounds("8 µs .. 16 µs"));
        assert_eq!(Some((0.0, 1e3)), bounds("< 1us"));
        assert_eq!(Some((1.0e9, 2.0e9)), bounds("1s .."));
        assert_eq!(Some((1.0e9, 2.0e9)), bounds("≥ 1 s"));
        assert_eq!(Some((1024.0, 2048.0)), bounds("1024-2048"));
        for bad in ["", "ok", "x .. y", "2 ms .. 1 ms", "1 parsec .. 2 parsec"] {
            assert_eq!(None, bounds(bad), "{bad}");
        }
    }

    #[test]
    fn a_percentile_lies_within_its_bucket() {
        let mut lengths = Histogram::default();
        assert!(lengths.add("1 ms .. 2 ms", 90.0));
        assert!(lengths.add("2 ms .. 4 ms", 10.0));
        assert!(!lengths.add("ok", 5.0));
        let p95 = lengths.quantile(0.95).unwrap();
        assert!((p95.value - 3e6).abs() < 1.0, "{p95:?}");
        assert!(1e6 < p95.low && p95.low < p95.value && p95.value < p95.high);
        assert_eq!(None, Histogram::default().quantile(0.5));
    }

    #[test]
    fn a_bound_is_that_of_the_bucket_in_which_a_share_is_reached() {
        let mut lengths = Histogram::default();
        assert_eq!(None, lengths.bound(0.5));
        lengths.add("2 ms .. 4 ms", 5.0);
        let mut first = Histogram::default();
        first.add("1 ms .. 2 ms", 95.0);
        first.add("1 s .. 2 s", 0.0);
        lengths.merge(&first);
        let bounds = [0.0, 0.5, 0.95, 0.951, 1.0].map(|share| lengths.bound(share).unwrap());
        assert_eq!(
            "[2000000.0, 2000000.0, 2000000.0, 4000000.0, 4000000.0]",
            format!("{bounds:?}")
        );
    }
}
