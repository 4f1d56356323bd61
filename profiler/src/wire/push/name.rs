//! Names of applications: `app.cpu{label=value,…}`.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use super::limits::LABELS_MAX;

/// Last parts of names that say what was counted.
const SIGNALS: [&str; 13] = [
    "cpu",
    "wall",
    "itimer",
    "alloc_objects",
    "alloc_space",
    "inuse_objects",
    "inuse_space",
    "goroutines",
    "mutex_count",
    "mutex_duration",
    "block_count",
    "block_duration",
    "exceptions",
];

/// The name of an application, taken apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AppName {
    /// The application.
    pub service: String,
    /// What was counted, when the name says it.
    pub signal: Option<String>,
    /// Further labels.
    pub labels: BTreeMap<String, String>,
}

/// Takes a name apart. What does not fit is left out: names come from people.
pub fn parse_name(name: &str) -> AppName {
    let (app, labels) = name.split_once('{').unwrap_or((name, ""));
    let labels = labels.strip_suffix('}').unwrap_or(labels);
    let labels = (labels.split(',').take(LABELS_MAX))
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let known = app.rsplit_once('.');
    let known = known.filter(|(app, signal)| !app.is_empty() && SIGNALS.contains(signal));
    AppName {
        service: known.map_or(app, |(app, _)| app).to_owned(),
        signal: known.map(|(_, signal)| signal.to_owned()),
        labels,
    }
}

#[cfg(test)]
mod tests {
    use super::{AppName, BTreeMap, parse_name};

    #[test]
    fn names_are_taken_apart() {
        let name = parse_name("shop.api.cpu{region=eu, pod=\"a-1\",bad,=x,y=}");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!("shop.api", name.service);
        assert_eq!(Some("cpu"), name.signal.as_deref());
        let labels = BTreeMap::from([pair("region", "eu"), pair("pod", "a-1")]);
        assert_eq!(labels, name.labels);
    }

    #[test]
    fn a_plain_name_is_a_service() {
        let service = "my.app".to_owned();
        let plain = AppName {
            service,
            ..AppName::default()
        };
        assert_eq!(plain, parse_name("my.app"));
        assert_eq!(AppName::default(), parse_name(""));
    }
}
