//! How sure a number is that rests on samples.

/// Standard deviations on each side of a 95 % interval.
const Z_95: f64 = 1.959_963_984_540_054;
/// Rounds after which the continued fraction has settled, with room: it takes some tens.
const FRACTION_ROUNDS_MAX: u32 = 300;

/// A number with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// The number.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl Interval {
    /// A number that was counted and not sampled.
    pub fn exact(value: f64) -> Self {
        Self {
            value,
            low: value,
            high: value,
        }
    }

    /// The interval in another unit.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            low: self.low * factor,
            high: self.high * factor,
        }
    }
}

/// One part of a whole that was sampled in slices of time.
///
/// In: for each slice the weight of the part and of the whole; how many samples the whole rests on.
/// Out: the share with its interval, and the effective number of samples: as many independent ones
/// would vary from slice to slice as these do. Samples that come in clumps are worth less than
/// their number.
pub fn proportion(slices: &[(f64, f64)], samples: f64) -> (Interval, f64) {
    let part: f64 = slices.iter().map(|(part, _whole)| part).sum();
    let whole: f64 = slices.iter().map(|(_part, whole)| whole).sum();
    if whole <= 0.0 || samples <= 0.0 {
        return (Interval::default(), 0.0);
    }
    let share = (part / whole).clamp(0.0, 1.0);
    let scale = samples / whole;
    let scaled: Vec<(f64, f64)> = (slices.iter())
        .map(|(part, whole)| (part * scale, whole * scale))
        .collect();
    let spread = Spread::of(&scaled, share);
    let effective = samples / spread.dispersion();
    (wilson(share, effective), effective)
}

/// How much shares vary from slice to slice, against what chance alone would give.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    /// Sum of squared deviations, in units of the variance by chance.
    pub(super) squares: f64,
    /// Slices that tell something, less one.
    pub(super) freedom: f64,
}

impl Spread {
    /// The spread of `(part, whole)` in samples around a share.
    pub(super) fn of(slices: &[(f64, f64)], share: f64) -> Self {
        let variance = share * (1.0 - share);
        let told = slices.iter().filter(|(_part, whole)| 0.0 < *whole);
        let count = told.clone().count();
        if count < 2 || variance <= 0.0 {
            return Self::default();
        }
        let squares = told.map(|(part, whole)| {
            let off = part - share * whole;
            off * off / (whole * variance)
        });
        Self {
            squares: squares.sum(),
            freedom: to_f64(count) - 1.0,
        }
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            squares: self.squares + other.squares,
            freedom: self.freedom + other.freedom,
        }
    }

    /// Variance against that by chance; never below one, because less variation than chance gives
    /// is chance as well.
    pub(super) fn dispersion(self) -> f64 {
        if self.freedom < 1.0 {
            1.0
        } else {
            (self.squares / self.freedom).max(1.0)
        }
    }
}

/// The interval of a share that was seen in `samples` draws.
///
/// Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927.
fn wilson(share: f64, samples: f64) -> Interval {
    let z2 = Z_95 * Z_95;
    let denominator = 1.0 + z2 / samples;
    let center = (share + z2 / (2.0 * samples)) / denominator;
    let variance = share * (1.0 - share) / samples + z2 / (4.0 * samples * samples);
    let half = Z_95 * variance.sqrt() / denominator;
    Interval {
        value: share,
        low: (center - half).clamp(0.0, share),
        high: (center + half).clamp(share, 1.0),
    }
}

/// The interval of a mean of independent values; absent for fewer than two.
pub(super) fn mean(values: &[f64]) -> Option<Interval> {
    let count = to_f64(values.len());
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    let half = student_quantile(0.975, count - 1.0) * error;
    Some(Interval {
        value: mean,
        low: mean - half,
        high: mean + half,
    })
}

/// Half the width of a 95 % interval, in standard errors.
pub(super) fn half_width(freedom: f64) -> f64 {
    if freedom < 1.0 {
        Z_95
    } else {
        student_quantile(0.975, freedom)
    }
}

/// Probability that Student's t is above `t`; the normal distribution's for no freedom given.
pub(super) fn upper_tail(t: f64, freedom: f64) -> f64 {
    let freedom = if freedom < 1.0 { 1e9 } else { freedom };
    let x = freedom / (freedom + t * t);
    let both = incomplete_beta(freedom / 2.0, 0.5, x);
    if t < 0.0 {
        1.0 - both / 2.0
    } else {
        both / 2.0
    }
}

/// The value that Student's t is below with a probability of at least one half.
pub(super) fn student_quantile(probability: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e3);
    // Halved until nothing is left of the difference.
    for _round in 0..60 {
        let middle = f64::midpoint(low, high);
        if upper_tail(middle, freedom) > 1.0 - probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The regularized incomplete beta function.
///
/// Source: DLMF 8.17.22, the continued fraction, evaluated from the front.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if 1.0 <= x {
        return 1.0;
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    if x < (a + 1.0) / (a + b + 2.0) {
        front.exp() * beta_fraction(a, b, x) / a
    } else {
        1.0 - front.exp() * beta_fraction(b, a, 1.0 - x) / b
    }
}

/// The continued fraction of the incomplete beta function.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    /// Keeps a divisor from being zero.
    fn apart(value: f64) -> f64 {
        if value.abs() < 1e-300 { 1e-300 } else { value }
    }
    let mut numerator = 1.0;
    let mut denominator = 1.0 / apart(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = denominator;
    for round in 1..=FRACTION_ROUNDS_MAX {
        let m = f64::from(round);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        denominator = 1.0 / apart(1.0 + even * denominator);
        numerator = apart(1.0 + even / numerator);
        fraction *= denominator * numerator;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        denominator = 1.0 / apart(1.0 + odd * denominator);
        numerator = apart(1.0 + odd / numerator);
        let step = denominator * numerator;
        fraction *= step;
        if (step - 1.0).abs() < 1e-14 {
            break;
        }
    }
    fraction
}

/// Logarithm of the gamma function, for positive numbers.
///
/// Source: DLMF 5.11.1, Stirling's series, after 5.5.1 has moved the number to where it is exact.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse
        * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0))));
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

/// Smallest share of false discoveries at which each hypothesis would be rejected.
///
/// Source: Y. Benjamini, Y. Hochberg, Controlling the false discovery rate, 1995.
pub(super) fn false_discovery(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*b].total_cmp(&p_values[*a]));
    let count = to_f64(p_values.len());
    let mut q_values = vec![1.0; p_values.len()];
    let mut least: f64 = 1.0;
    for (place, index) in order.into_iter().enumerate() {
        let rank = count - to_f64(place);
        least = least.min(p_values[index] * count / rank);
        q_values[index] = least;
    }
    q_values
}

/// Nearest floating-point number.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of slices and functions are far below 2^53"
)]
pub(super) fn to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{
        Interval, false_discovery, ln_gamma, mean, proportion, student_quantile, upper_tail, wilson,
    };

    #[track_caller]
    fn near(expected: f64, found: f64) {
        assert!(
            (expected - found).abs() < 1e-4 * expected.abs().max(1e-3),
            "{expected} {found}"
        );
    }

    #[test]
    fn distributions_agree_with_printed_tables() {
        near(24.0_f64.ln(), ln_gamma(5.0));
        near(std::f64::consts::PI.sqrt().ln(), ln_gamma(0.5));
        near(0.025, upper_tail(1.959_964, 0.0));
        near(0.001_349_9, upper_tail(3.0, 0.0));
        near(0.975, upper_tail(-1.959_964, 0.0));
        near(12.7062, student_quantile(0.975, 1.0));
        near(2.228_14, student_quantile(0.975, 10.0));
        near(2.001_72, student_quantile(0.975, 58.0));
    }

    #[test]
    fn a_share_of_few_samples_is_unsure() {
        let Interval { low, high, .. } = wilson(0.5, 10.0);
        near(0.236_59, low);
        near(0.763_41, high);
        let (even, effective) = proportion(&[(50.0, 100.0); 6], 600.0);
        near(0.5, even.value);
        near(600.0, effective);
    }

    #[test]
    fn samples_in_clumps_are_worth_less_than_their_number() {
        let clumped = [(100.0, 100.0), (0.0, 100.0), (100.0, 100.0), (0.0, 100.0)];
        let (share, effective) = proportion(&clumped, 400.0);
        near(0.5, share.value);
        assert!(effective < 4.0, "{effective}");
        assert!(share.low < 0.2 && 0.8 < share.high, "{share:?}");
        assert_eq!(Interval::default(), proportion(&[], 0.0).0);
    }

    #[test]
    fn a_mean_has_the_interval_of_students_distribution() {
        let mean = mean(&[1.0, 2.0, 3.0]).unwrap();
        near(2.0, mean.value);
        near(2.0 - 4.302_65 / 3.0_f64.sqrt(), mean.low);
        assert_eq!(None, super::mean(&[1.0]));
    }

    #[test]
    fn false_discoveries_are_counted_from_the_largest() {
        let found = false_discovery(&[0.01, 0.04, 0.03, 0.5]);
        for (expected, found) in [0.04, 0.053_333, 0.053_333, 0.5].into_iter().zip(found) {
            near(expected, found);
        }
        assert!(false_discovery(&[]).is_empty());
    }
}
