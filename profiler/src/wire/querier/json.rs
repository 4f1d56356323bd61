//! Whole numbers of 64 bits in JSON: written as texts, as protobuf's JSON has them, and read as
//! texts or numbers.

use std::fmt;

use serde::{
    Deserializer, Serializer,
    de::{self, Visitor},
    ser::SerializeSeq as _,
};

/// Reads a text or a number.
struct Whole;

impl Visitor<'_> for Whole {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, as a number or a text")
    }

    fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
        // Clients that compute times in floating point send such numbers.
        if number.fract() == 0.0 && number.abs() < 9e15 {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and small enough")]
            let whole = number as i64;
            return Ok(whole);
        }
        Err(E::custom("this number is not whole"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<i64, E> {
        text.parse().map_err(E::custom)
    }
}

/// For fields that are always there.
pub(super) mod whole {
    use super::{Deserializer, Serializer, Whole};

    /// Writes a text.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(in super::super) fn serialize<S: Serializer>(
        number: &i64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    /// Reads a text or a number.
    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<i64, D::Error> {
        deserializer.deserialize_any(Whole)
    }
}

/// For fields that may be missing; only read.
pub(super) mod optional {
    use super::{Deserializer, Whole};

    /// Reads a text or a number.
    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<i64>, D::Error> {
        deserializer.deserialize_any(Whole).map(Some)
    }
}

/// Writes numbers as a list of texts.
pub(super) fn serialize_list<S: Serializer>(
    numbers: &[i64],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(numbers.len()))?;
    for number in numbers {
        list.serialize_element(&number.to_string())?;
    }
    list.end()
}
