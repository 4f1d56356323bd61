//! What a sampled allocation stands for.

/// Bytes and objects.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Weighted {
    /// Bytes.
    pub(super) bytes: u64,
    /// Objects.
    pub(super) objects: u64,
}

/// The allocations that a sampled one of this size stands for.
///
/// Every byte is drawn with a probability of one over the period, so an allocation is sampled with
/// `p = 1 - exp(-size / period)` and stands for `1 / p`. That is no integer: one of its neighbours is
/// taken by `uniform`, a random number from 0 to 1, so that the mean is right.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are far below 2^52, and a float is cut to the range of an integer"
)]
pub(super) fn weigh(size_bytes: u64, period_bytes: u64, uniform: f64) -> Weighted {
    let size = size_bytes.max(1) as f64;
    let probability = -(-size / period_bytes.max(1) as f64).exp_m1();
    let weight = probability.recip();
    Weighted {
        bytes: (size * weight).round() as u64,
        objects: (weight + uniform).floor() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::weigh;

    const PERIOD: u64 = 512 << 10;

    #[test]
    fn a_small_object_stands_for_a_period() {
        let weighted = weigh(16, PERIOD, 0.0);
        assert_eq!(PERIOD + 8, weighted.bytes);
        assert_eq!(PERIOD / 16, weighted.objects);
    }

    #[test]
    fn an_allocation_of_many_periods_stands_for_itself() {
        let weighted = weigh(100 * PERIOD, PERIOD, 0.5);
        assert_eq!((100 * PERIOD, 1), (weighted.bytes, weighted.objects));
    }
}
