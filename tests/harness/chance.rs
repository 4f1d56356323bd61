//! How far a measured share may be from the true one by chance alone.

/// Standard deviations that a measured share may be off: 6 runs in 100,000 are, for an unbiased one.
const DEVIATIONS: f64 = 4.0;

/// How far the share measured with so many samples may be from `share`; both between 0 and 1.
///
/// The binomial bound, and half a sample for the rounding. Sampling in equal steps does better.
pub fn tolerance(share: f64, samples: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a test takes less than 2^52 samples"
    )]
    let samples = samples.max(1) as f64;
    let deviation = (share * (1.0 - share) / samples).sqrt();
    DEVIATIONS * deviation + 0.5 / samples
}

#[cfg(test)]
mod tests {
    use super::tolerance;

    #[test]
    fn a_hundred_times_the_samples_give_a_tenth_of_the_tolerance() {
        let few = tolerance(0.5, 100);
        let many = tolerance(0.5, 10_000);
        assert!((few - 0.205).abs() < 1e-9);
        assert!((few / many - 10.0).abs() < 0.3);
    }

    #[test]
    fn without_samples_everything_is_within_the_tolerance() {
        assert!(tolerance(0.5, 0) >= 0.5);
    }
}
