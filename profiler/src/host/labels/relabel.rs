//! Rules that change labels, with the meaning they have in Prometheus.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>

use regex::{Regex, RegexBuilder};
use xxhash_rust::xxh3::xxh3_64;

use super::{error::RelabelError, limits::REGEX_SIZE_BYTES_MAX};
use crate::model::Labels;

/// A rule as the configuration has it.
#[derive(Clone, Debug)]
pub struct RuleText {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What is put between them.
    pub separator: String,
    /// What the whole joined value, or the whole name, must match.
    pub regex: String,
    /// Where the result goes.
    pub target_label: String,
    /// What the result is; `$1`, `${1}` and `${name}` are groups of the expression.
    pub replacement: String,
    /// What is done.
    pub action: String,
    /// What `hashmod` divides by.
    pub modulus: u64,
}

impl Default for RuleText {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: "replace".to_owned(),
            modulus: 0,
        }
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Sets the target to the replacement if the expression matches.
    Replace,
    /// Leaves out what does not match.
    Keep,
    /// Leaves out what matches.
    Drop,
    /// Sets the target to a hash of the value, modulo something. The hash is our own: numbers differ
    /// from those of Prometheus.
    HashMod,
    /// Copies labels whose name matches to the name that the replacement makes of it.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Sets the target to the value in lower case.
    Lowercase,
    /// Sets the target to the value in upper case.
    Uppercase,
}

impl Action {
    /// The action of a word.
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "replace" => Self::Replace,
            "keep" => Self::Keep,
            "drop" => Self::Drop,
            "hashmod" => Self::HashMod,
            "labelmap" => Self::LabelMap,
            "labeldrop" => Self::LabelDrop,
            "labelkeep" => Self::LabelKeep,
            "lowercase" => Self::Lowercase,
            "uppercase" => Self::Uppercase,
            _ => return None,
        })
    }

    /// The word of an action that needs a target.
    fn word_with_target(self) -> Option<&'static str> {
        match self {
            Self::Replace => Some("replace"),
            Self::HashMod => Some("hashmod"),
            Self::Lowercase => Some("lowercase"),
            Self::Uppercase => Some("uppercase"),
            Self::Keep | Self::Drop | Self::LabelMap | Self::LabelDrop | Self::LabelKeep => None,
        }
    }
}

/// A rule that can be used.
#[derive(Clone, Debug)]
pub struct Rule {
    text: RuleText,
    regex: Regex,
    action: Action,
}

impl Rule {
    /// Checks a rule.
    ///
    /// # Errors
    /// What cannot be used of it.
    pub fn new(text: RuleText) -> Result<Self, RelabelError> {
        let action =
            Action::parse(&text.action).ok_or_else(|| RelabelError::Action(text.action.clone()))?;
        let regex = RegexBuilder::new(&format!("^(?s:{})$", text.regex))
            .size_limit(REGEX_SIZE_BYTES_MAX)
            .build()
            .map_err(|source| RelabelError::Regex {
                regex: text.regex.clone(),
                source: Box::new(source),
            })?;
        if let Some(word) = action.word_with_target()
            && text.target_label.is_empty()
        {
            return Err(RelabelError::NoTarget(word));
        }
        if action == Action::HashMod && text.modulus == 0 {
            return Err(RelabelError::NoModulus);
        }
        Ok(Self {
            text,
            regex,
            action,
        })
    }

    /// Applies the rule. `false` means that what the labels describe is left out.
    pub fn apply(&self, labels: &mut Labels) -> bool {
        match self.action {
            Action::Keep => return self.regex.is_match(&self.value(labels)),
            Action::Drop => return !self.regex.is_match(&self.value(labels)),
            Action::Replace => self.replace(labels),
            Action::HashMod => {
                let hash = xxh3_64(self.value(labels).as_bytes());
                self.set(labels, (hash % self.text.modulus).to_string());
            }
            Action::LabelMap => {
                let mapped = |(name, value): (&String, &String)| {
                    let groups = self.regex.captures(name)?;
                    Some((expand(&self.text.replacement, &groups), value.clone()))
                };
                let copies: Labels = labels.iter().filter_map(mapped).collect();
                labels.extend(copies.into_iter().filter(|(name, _value)| is_name(name)));
            }
            Action::LabelDrop => labels.retain(|name, _value| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name, _value| self.regex.is_match(name)),
            Action::Lowercase => self.set(labels, self.value(labels).to_lowercase()),
            Action::Uppercase => self.set(labels, self.value(labels).to_uppercase()),
        }
        true
    }

    /// The values of the sources, joined. A label that is not there is empty.
    fn value(&self, labels: &Labels) -> String {
        let values: Vec<&str> = (self.text.source_labels.iter())
            .map(|name| labels.get(name).map_or("", String::as_str))
            .collect();
        values.join(&self.text.separator)
    }

    /// Sets the target if the value matches; an empty result removes it.
    fn replace(&self, labels: &mut Labels) {
        let value = self.value(labels);
        let Some(groups) = self.regex.captures(&value) else {
            return;
        };
        let target = expand(&self.text.target_label, &groups);
        if !is_name(&target) {
            return;
        }
        let result = expand(&self.text.replacement, &groups);
        if result.is_empty() {
            labels.remove(&target);
        } else {
            labels.insert(target, result);
        }
    }

    /// Sets the target.
    fn set(&self, labels: &mut Labels, value: String) {
        labels.insert(self.text.target_label.clone(), value);
    }
}

/// A text with the groups it names filled in.
fn expand(text: &str, groups: &regex::Captures<'_>) -> String {
    let mut expanded = String::new();
    groups.expand(text, &mut expanded);
    expanded
}

/// Whether a text can be the name of a label: letters, digits and `_`, no digit first.
fn is_name(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(is_word) && text.starts_with(|c: char| !c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{Labels, RelabelError, Rule, RuleText};

    fn labels(text: &str) -> Labels {
        let pairs = text
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// The text of a rule of these parts; a part that is not given has its default.
    fn rule_text(parts: &[(&str, &str)]) -> RuleText {
        let mut text = RuleText::default();
        for (name, value) in parts {
            let value = (*value).to_owned();
            match *name {
                "source_labels" => {
                    text.source_labels = value.split(',').map(str::to_owned).collect();
                }
                "separator" => text.separator = value,
                "regex" => text.regex = value,
                "target_label" => text.target_label = value,
                "replacement" => text.replacement = value,
                "action" => text.action = value,
                "modulus" => text.modulus = value.parse().unwrap(),
                other => panic!("{other}"),
            }
        }
        text
    }

    /// The rule of these parts, if they make one.
    fn rule(parts: &[(&str, &str)]) -> Result<Rule, RelabelError> {
        Rule::new(rule_text(parts))
    }

    /// What becomes of labels; `None` when they are left out.
    #[track_caller]
    fn check(parts: &[(&str, &str)], before: &str, after: Option<&str>) {
        let mut changed = labels(before);
        let kept = rule(parts).unwrap().apply(&mut changed);
        assert_eq!(after.map(labels), kept.then_some(changed));
    }

    #[test]
    fn replace_joins_its_sources_and_fills_in_groups() {
        let parts = [
            ("source_labels", "comm,pid"),
            ("regex", "(.*);([0-9])(?P<rest>.*)"),
            ("target_label", "who"),
            ("replacement", "${1}-$2-$rest"),
        ];
        check(
            &parts,
            "comm=sh pid=123",
            Some("comm=sh pid=123 who=sh-1-23"),
        );
        check(&parts, "comm=sh", Some("comm=sh"));
    }

    #[test]
    fn replace_by_default_copies() {
        let parts = [("source_labels", "unit"), ("target_label", "service")];
        check(&parts, "unit=a service=b", Some("unit=a service=a"));
        check(&parts, "service=b", Some(""));
    }

    #[test]
    fn replace_sets_a_fixed_value_and_may_make_the_name() {
        check(
            &[("target_label", "env"), ("replacement", "prod")],
            "",
            Some("env=prod"),
        );
        let parts = [
            ("source_labels", "k"),
            ("regex", "(.*)=(.*)"),
            ("target_label", "x_$1"),
            ("replacement", "$2"),
        ];
        check(&parts, "k=a=b", Some("k=a=b x_a=b"));
        check(&parts, "k=a-b=c", Some("k=a-b=c"));
    }

    #[test]
    fn expressions_match_the_whole_value() {
        let keep = [
            ("source_labels", "comm"),
            ("regex", "ngin|x"),
            ("action", "keep"),
        ];
        check(&keep, "comm=nginx", None);
        check(&keep, "comm=x", Some("comm=x"));
    }

    #[test]
    fn keep_and_drop() {
        let parts = |action| {
            [
                ("source_labels", "comm"),
                ("regex", "kworker.*"),
                ("action", action),
            ]
        };
        check(&parts("keep"), "comm=kworker/0", Some("comm=kworker/0"));
        check(&parts("keep"), "", None);
        check(&parts("drop"), "comm=kworker/0", None);
        check(&parts("drop"), "comm=sh", Some("comm=sh"));
    }

    #[test]
    fn names_are_copied_dropped_and_kept() {
        let map = [("regex", "__meta_(.+)"), ("action", "labelmap")];
        check(&map, "__meta_zone=a b=c", Some("__meta_zone=a zone=a b=c"));
        check(
            &[("regex", "p.*"), ("action", "labeldrop")],
            "pid=1 pod=2 comm=3",
            Some("comm=3"),
        );
        check(
            &[("regex", "p.*"), ("action", "labelkeep")],
            "pid=1 comm=3",
            Some("pid=1"),
        );
    }

    #[test]
    fn cases_and_shares() {
        let parts = |action| {
            [
                ("source_labels", "a"),
                ("target_label", "a"),
                ("action", action),
            ]
        };
        check(&parts("lowercase"), "a=Ab", Some("a=ab"));
        check(&parts("uppercase"), "a=Ab", Some("a=AB"));
        let mut shared = labels("a=Ab");
        let parts = [
            ("source_labels", "a"),
            ("target_label", "m"),
            ("action", "hashmod"),
            ("modulus", "8"),
        ];
        assert!(rule(&parts).unwrap().apply(&mut shared));
        assert!(shared["m"].parse::<u64>().unwrap() < 8);
    }

    #[test]
    fn rules_that_cannot_be_used_say_why() {
        let refused = |parts: &[(&str, &str)]| rule(parts).unwrap_err().to_string();
        assert!(refused(&[("action", "explode")]).contains("`explode` is not known"));
        assert!(refused(&[("regex", "("), ("target_label", "a")]).contains("`(`"));
        assert!(refused(&[]).contains("needs a target_label"));
        assert!(refused(&[("action", "hashmod"), ("target_label", "a")]).contains("modulus"));
    }
}
