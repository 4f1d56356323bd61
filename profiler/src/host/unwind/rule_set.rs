//! Distinct rules, numbered in the order they were first met.

use std::collections::HashMap;

use profiler_common::unwind_row::{RuleCode, UnwindRule};

use super::limits::TABLE_RULES_MAX;

/// Slots of the front cache: neighbouring functions share a few dozen rules.
const RECENT_SLOTS: usize = 256;

/// Distinct rules and their numbers.
#[derive(Debug)]
pub(super) struct RuleSet {
    rules: Vec<UnwindRule>,
    numbers: HashMap<UnwindRule, u16>,
    /// Answers most questions without hashing 16 bytes for real.
    recent: Vec<Option<(UnwindRule, RuleCode)>>,
}

impl RuleSet {
    /// Starts empty.
    pub(super) fn new() -> Self {
        Self {
            rules: Vec::new(),
            numbers: HashMap::new(),
            recent: vec![None; RECENT_SLOTS],
        }
    }

    /// The code of a rule, numbering it if it is new. Past the limit a rule is unsupported.
    pub(super) fn code(&mut self, rule: &UnwindRule) -> RuleCode {
        let slot = slot(rule);
        if let Some(Some((known, code))) = self.recent.get(slot)
            && known == rule
        {
            return *code;
        }
        let code = self
            .number(rule)
            .map_or(RuleCode::Unsupported, RuleCode::Rule);
        if let Some(recent) = self.recent.get_mut(slot) {
            *recent = Some((*rule, code));
        }
        code
    }

    /// The rules, by number.
    pub(super) fn into_rules(self) -> Vec<UnwindRule> {
        self.rules
    }

    /// Finds or gives a number.
    fn number(&mut self, rule: &UnwindRule) -> Option<u16> {
        if let Some(number) = self.numbers.get(rule) {
            return Some(*number);
        }
        if self.rules.len() >= TABLE_RULES_MAX {
            return None;
        }
        let number = u16::try_from(self.rules.len()).ok()?;
        self.rules.push(*rule);
        self.numbers.insert(*rule, number);
        Some(number)
    }
}

/// A cheap hash of what varies most: the offsets.
fn slot(rule: &UnwindRule) -> usize {
    let [low, high, ..] = rule.cfa_offset.to_le_bytes();
    let [rbp, ..] = rule.rbp_offset.to_le_bytes();
    let [rbx, ..] = rule.rbx_offset.to_le_bytes();
    let mixed = (low >> 3)
        ^ (high << 5)
        ^ rbp
        ^ rbx.rotate_left(3)
        ^ (rule.cfa_register << 4)
        ^ rule.rbp_kind;
    usize::from(mixed)
}

#[cfg(test)]
mod tests {
    use profiler_common::unwind_row::{RuleCode, UnwindRule};

    use super::{RuleSet, TABLE_RULES_MAX};

    fn rule(cfa_offset: i32) -> UnwindRule {
        UnwindRule {
            cfa_offset,
            ..UnwindRule::default()
        }
    }

    #[test]
    fn a_rule_keeps_its_number() {
        let mut set = RuleSet::new();
        for _ in 0..2 {
            for number in 0..1_000 {
                let code = set.code(&rule(i32::from(number)));
                assert_eq!(RuleCode::Rule(number), code);
            }
        }
        assert_eq!(1_000, set.into_rules().len());
    }

    #[test]
    fn past_the_limit_a_rule_is_unsupported() {
        let mut set = RuleSet::new();
        let last = i32::try_from(TABLE_RULES_MAX).unwrap();
        for cfa_offset in 0..last {
            assert_ne!(RuleCode::Unsupported, set.code(&rule(cfa_offset)));
        }
        assert_eq!(RuleCode::Unsupported, set.code(&rule(last)));
        assert_eq!(RuleCode::Rule(7), set.code(&rule(7)));
    }
}
