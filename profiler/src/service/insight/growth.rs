//! Whether something keeps growing, and how sure that is.

use super::statistics::{Interval, false_discovery, mean, to_f64, upper_tail};

/// Fewest slices of time of which anything can be said: two differences and their spread.
pub const GROWTH_SLICES_LEAST: usize = 3;
/// Standard errors beyond which a probability is zero for every purpose; also that of growth
/// without any spread.
const ERRORS_MAX: f64 = 1e6;

/// How something grows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Growth {
    /// In one unit of time, with its interval.
    pub rate: Interval,
    /// How sure it is that this is no chance, 0 to 1: one less the share of false discoveries among
    /// all that are at least as sure.
    pub confidence: f64,
    /// Slices in which it grew.
    pub growing: usize,
}

/// How each of several things grows. In: by thing, what it grew by in each slice of time, in a unit
/// of time; all have the same slices, and what happens in one does not depend on the others.
/// Nothing is said of fewer than [`GROWTH_SLICES_LEAST`] slices.
pub fn growths(things: &[Vec<f64>]) -> Option<Vec<Growth>> {
    let mut found = Vec::with_capacity(things.len());
    let mut chances = Vec::with_capacity(things.len());
    for slices in things {
        if slices.len() < GROWTH_SLICES_LEAST {
            return None;
        }
        let rate = mean(slices)?;
        chances.push(chance(slices, rate.value));
        found.push(Growth {
            rate,
            confidence: 0.0,
            growing: slices.iter().filter(|grown| 0.0 < **grown).count(),
        });
    }
    for (growth, false_share) in found.iter_mut().zip(false_discovery(&chances)) {
        growth.confidence = 1.0 - false_share;
    }
    Some(found)
}

/// How probable a mean as large as this one is where nothing grows.
fn chance(slices: &[f64], mean: f64) -> f64 {
    let count = to_f64(slices.len());
    let squares: f64 = slices.iter().map(|grown| (grown - mean).powi(2)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    let errors = match mean.abs() {
        0.0 => 0.0,
        size if error <= size / ERRORS_MAX => ERRORS_MAX * mean.signum(),
        _ => mean / error,
    };
    upper_tail(errors, count - 1.0)
}

#[cfg(test)]
mod tests {
    use super::growths;

    #[test]
    fn a_steady_leak_is_sure_and_churn_is_not() {
        let churn: Vec<f64> = (0..12)
            .map(|slice| [40.0, -38.0, -1.0][slice % 3])
            .collect();
        let once: Vec<f64> = (0..12)
            .map(|slice| [0.0, 500.0][usize::from(slice == 0)])
            .collect();
        let leak: Vec<f64> = (0..12).map(|slice| [9.0, 10.0, 11.0][slice % 3]).collect();
        let found = growths(&[churn, once, leak, vec![5.0; 12], vec![0.0; 12]]).unwrap();
        assert!(found[0].confidence < 0.9, "{:?}", found[0]);
        assert!(found[1].confidence < 0.9, "{:?}", found[1]);
        assert!(0.999 < found[2].confidence, "{:?}", found[2]);
        assert_eq!((12, 10.0), (found[2].growing, found[2].rate.value));
        assert!(9.0 < found[2].rate.low && found[2].rate.high < 11.0);
        assert!(0.999 < found[3].confidence, "{:?}", found[3]);
        assert!(found[4].confidence <= 0.5, "{:?}", found[4]);
    }

    #[test]
    fn the_luckiest_of_many_is_no_discovery() {
        // A mean that one in a hundred of those that do not grow has by chance.
        let lucky = vec![3.0, -1.0, 4.0, 1.0, 1.5, -0.5];
        let alone = growths(std::slice::from_ref(&lucky)).unwrap()[0];
        let mut many = vec![vec![1.0, -1.0, 2.0, -2.0, 1.0, -1.0]; 100];
        many.push(lucky);
        let among = growths(&many).unwrap()[100];
        assert!(0.9 < alone.confidence, "{alone:?}");
        assert!(among.confidence < 0.6, "{among:?}");
    }

    #[test]
    fn two_slices_say_nothing() {
        assert_eq!(None, growths(&[vec![1.0, 2.0]]));
        assert_eq!(Some(vec![]), growths(&[]));
    }
}
