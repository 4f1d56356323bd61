//! Quality, both ways.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use super::{
    DecodeError, Table,
    generated::{Count, Quality as Message},
};
use crate::model::{Loss, Quality, Truncation};

/// Causes of loss with their words on the wire, which are those of the product's JSON.
const LOSSES: [(Loss, &str); 6] = [
    (Loss::RingFull, "ring_full"),
    (Loss::ScratchBusy, "scratch_busy"),
    (Loss::Undecodable, "undecodable"),
    (Loss::TableFull, "table_full"),
    (Loss::NamingBehind, "naming_behind"),
    (Loss::Other, "other"),
];

/// Reasons of cut stacks with their words.
const TRUNCATIONS: [(Truncation, &str); 10] = [
    (Truncation::Depth, "depth"),
    (Truncation::Unmapped, "unmapped"),
    (Truncation::UnknownProcess, "unknown_process"),
    (Truncation::TableNotReady, "table_not_ready"),
    (Truncation::NoUnwindInfo, "no_unwind_info"),
    (Truncation::UnsupportedRule, "unsupported_rule"),
    (Truncation::UnreadableStack, "unreadable_stack"),
    (Truncation::NotAscending, "not_ascending"),
    (Truncation::NoRegisters, "no_registers"),
    (Truncation::Other, "other"),
];

/// A quality as a message.
pub fn encode_quality(quality: &Quality) -> Message {
    Message {
        samples: quality.samples,
        idle: quality.idle,
        lost: encode_counts(&quality.lost, &LOSSES),
        complete: quality.complete,
        truncated: encode_counts(&quality.truncated, &TRUNCATIONS),
        fallback: quality.fallback,
        frames: quality.frames,
        frames_unnamed: quality.frames_unnamed,
        rate_asked_hz: quality.rate_asked_hz,
        rate_effective_hz: quality.rate_effective_hz,
        duty_cycle: quality.duty_cycle,
        windows_lost: quality.windows_lost,
        overhead: quality.overhead,
    }
}

/// A message as a quality. Causes that are not known are added up as `Other`.
///
/// # Errors
/// Too many causes, or a rate that is no number.
pub fn decode_quality(message: &Message) -> Result<Quality, DecodeError> {
    Ok(Quality {
        samples: message.samples,
        idle: message.idle,
        lost: decode_counts(&message.lost, &LOSSES, Loss::Other)?,
        complete: message.complete,
        truncated: decode_counts(&message.truncated, &TRUNCATIONS, Truncation::Other)?,
        fallback: message.fallback,
        frames: message.frames,
        frames_unnamed: message.frames_unnamed,
        rate_asked_hz: decode_rate("rate asked for", message.rate_asked_hz)?,
        rate_effective_hz: decode_rate("effective rate", message.rate_effective_hz)?,
        duty_cycle: decode_rate("duty cycle", message.duty_cycle)?,
        windows_lost: message.windows_lost,
        overhead: decode_rate("overhead", message.overhead)?,
    })
}

/// Counts with their words.
fn encode_counts<K: Copy + Ord>(counts: &BTreeMap<K, u64>, words: &[(K, &str)]) -> Vec<Count> {
    let word = |key: K| words.iter().find(|(known, _)| *known == key);
    (counts.iter())
        .filter_map(|(key, count)| {
            word(*key).map(|(_, word)| Count {
                cause: (*word).to_owned(),
                count: *count,
            })
        })
        .collect()
}

/// Counts by their words.
fn decode_counts<K: Copy + Ord>(
    counts: &[Count],
    words: &[(K, &str)],
    other: K,
) -> Result<BTreeMap<K, u64>, DecodeError> {
    let table = Table::Causes;
    if table.entries_max() < counts.len() {
        return Err(DecodeError::TooMany { table });
    }
    let mut sums = BTreeMap::new();
    for count in counts {
        let known = words.iter().find(|(_, word)| *word == count.cause);
        let sum: &mut u64 = sums
            .entry(known.map_or(other, |(key, _)| *key))
            .or_default();
        *sum = sum.saturating_add(count.count);
    }
    Ok(sums)
}

/// A rate that can be reckoned with.
fn decode_rate(what: &'static str, rate: f64) -> Result<f64, DecodeError> {
    if rate.is_finite() && 0.0 <= rate {
        return Ok(rate);
    }
    let found = rate.to_bits();
    Err(DecodeError::Range { what, found })
}

#[cfg(test)]
mod tests {
    use super::{
        Count, LOSSES, Loss, Quality, TRUNCATIONS, Truncation, decode_quality, encode_quality,
    };

    /// A quality with a different number everywhere.
    fn quality() -> Quality {
        Quality {
            samples: 1,
            idle: 2,
            lost: LOSSES.iter().map(|(loss, _)| *loss).zip(3..).collect(),
            complete: 20,
            truncated: TRUNCATIONS.iter().map(|(why, _)| *why).zip(21..).collect(),
            fallback: 40,
            frames: 41,
            frames_unnamed: 42,
            rate_asked_hz: 99.0,
            rate_effective_hz: 98.5,
            duty_cycle: 0.5,
            windows_lost: 43,
            overhead: 0.25,
        }
    }

    #[test]
    fn what_is_encoded_comes_back() {
        assert_eq!(
            quality(),
            decode_quality(&encode_quality(&quality())).unwrap()
        );
    }

    #[test]
    fn words_are_those_of_the_json() {
        for (loss, word) in LOSSES {
            assert_eq!(word, serde_json::to_value::<Loss>(loss).unwrap());
        }
        for (why, word) in TRUNCATIONS {
            assert_eq!(word, serde_json::to_value::<Truncation>(why).unwrap());
        }
    }

    #[test]
    fn causes_of_a_newer_daemon_are_counted() {
        let mut message = encode_quality(&Quality::default());
        let count = |cause: &str| Count {
            cause: cause.to_owned(),
            count: 4,
        };
        message.lost = vec![count("cosmic_ray"), count("gremlin"), count("ring_full")];
        let lost = decode_quality(&message).unwrap().lost;
        assert_eq!(Some(&8), lost.get(&Loss::Other));
        assert_eq!(Some(&4), lost.get(&Loss::RingFull));
    }

    #[test]
    fn a_rate_that_is_no_number_is_refused() {
        let mut message = encode_quality(&Quality::default());
        message.duty_cycle = f64::NAN;
        decode_quality(&message).unwrap_err();
    }
}
