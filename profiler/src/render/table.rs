//! The functions that weigh most, as text.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

use super::{
    label::Labels,
    units::{quantity, share, shown_value_type, total},
};
use crate::model::Profile;

/// What one function weighs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Weight {
    /// In the function itself, what it calls not included.
    pub own: u64,
    /// In the function and all it calls; recursion counts once.
    pub total: u64,
}

/// What every function weighs, by label, in the first value type.
pub fn weights(profile: &Profile) -> HashMap<String, Weight> {
    let labels = Labels::new(profile);
    let mut weights: HashMap<&str, Weight> = HashMap::new();
    for sample in &profile.samples {
        let value = sample.values.first().copied().unwrap_or_default();
        let frames = profile.stack(sample.stack).map(|s| s.frames.as_slice());
        let mut seen = HashSet::new();
        let mut innermost = None;
        for label in labels.root_first(frames.unwrap_or_default()) {
            let weight = weights.entry(&label.text).or_default();
            if seen.insert(&label.text) {
                weight.total = weight.total.saturating_add(value);
            }
            innermost = Some(&label.text);
        }
        if let Some(weight) = innermost.and_then(|text| weights.get_mut(text.as_str())) {
            weight.own = weight.own.saturating_add(value);
        }
    }
    let owned = |(text, weight): (&str, Weight)| (text.to_owned(), weight);
    weights.into_iter().map(owned).collect()
}

/// A table of at most `limit` functions, heaviest self first; each line ends in a newline.
pub fn top(profile: &Profile, limit: usize) -> String {
    let mut rows: Vec<(String, Weight)> = weights(profile).into_iter().collect();
    rows.sort_by(|(a_name, a), (b_name, b)| {
        (b.own, b.total, a_name).cmp(&(a.own, a.total, b_name))
    });
    let value_type = shown_value_type(profile);
    let whole = total(profile);
    let mut text = format!(
        "{:>12} {:>7} {:>12} {:>7}  FUNCTION\n",
        "SELF", "", "TOTAL", ""
    );
    for (name, weight) in rows.into_iter().take(limit) {
        // Writing to a text cannot fail.
        let _infallible = writeln!(
            text,
            "{:>12} {:>7} {:>12} {:>7}  {name}",
            quantity(weight.own, &value_type),
            share(weight.own, whole),
            quantity(weight.total, &value_type),
            share(weight.total, whole),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::top;
    use crate::render::collapsed;

    #[test]
    fn recursion_counts_once_and_self_is_the_innermost() {
        let profile = collapsed::read(b"c;main;f;f 3\nc;main;g_[k] 1\n").unwrap();
        let expected = "        SELF                TOTAL          FUNCTION
           3   75.0%            3   75.0%  f
           1   25.0%            1   25.0%  g_[k]
           0    0.0%            4  100.0%  main
";
        assert_eq!(expected, top(&profile, 10));
        assert_eq!(2, top(&profile, 1).lines().count());
    }
}
