//! Selections that are made from others.

use crate::{
    model::{MatchKind, Matcher, ProfileType, Selection, TimeRange},
    service::{
        query::{QueryError, Reader, question::types_of},
        store::QueryLimits,
    },
};

/// Values of some labels, and what they weigh together.
pub(super) type Sum = (Vec<String>, u64);

/// What is looked at, whatever the signal.
#[derive(Clone, Debug)]
pub(in crate::service::query) struct Scope {
    /// Conditions on labels.
    pub(in crate::service::query) matchers: Vec<Matcher>,
    /// When.
    pub(in crate::service::query) range: TimeRange,
}

impl Scope {
    /// The same with one more condition.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut scope = self.clone();
        scope.matchers.push(Matcher {
            name: name.to_owned(),
            kind: MatchKind::Equal,
            value: value.to_owned(),
        });
        scope
    }

    /// The same at another time.
    pub(in crate::service::query) fn at(&self, range: TimeRange) -> Self {
        Self {
            range,
            ..self.clone()
        }
    }

    /// One kind of value of a signal; nothing when there is no data of it.
    pub(in crate::service::query) fn selection(
        &self,
        reader: &Reader,
        signal: &str,
        kind: &str,
    ) -> Option<Selection> {
        let types = types_of(reader.store(), self.range, signal);
        let profile_type = types.into_iter().find(|known| known.kind == kind)?;
        Some(self.of(profile_type))
    }

    /// A type of value.
    pub(in crate::service::query) fn of(&self, profile_type: ProfileType) -> Selection {
        Selection {
            profile_type,
            matchers: self.matchers.clone(),
            range: self.range,
        }
    }

    /// Sum of one kind of value of a signal by the values of some labels, heaviest first; the empty
    /// value for what has no such label.
    ///
    /// # Errors
    /// As [`Reader::totals`].
    pub(super) fn sums_by(
        &self,
        reader: &Reader,
        (signal, kind): (&str, &str),
        labels: &[&str],
        limits: &QueryLimits,
    ) -> Result<Vec<Sum>, QueryError> {
        let Some(selection) = self.selection(reader, signal, kind) else {
            return Ok(Vec::new());
        };
        let names: Vec<String> = labels.iter().map(|name| (*name).to_owned()).collect();
        // One step that holds the whole range: steps are counted from the epoch.
        let step = self.range.end.max(std::time::Duration::from_secs(1)) * 2;
        let groups = reader.totals(&selection, step, &names, limits)?;
        let mut sums: Vec<Sum> = (groups.iter())
            .map(|group| {
                let value = |name: &String| group.labels.get(name).cloned().unwrap_or_default();
                let points = group.points.iter().map(|point| point.value);
                (
                    names.iter().map(value).collect(),
                    points.fold(0, u64::saturating_add),
                )
            })
            .collect();
        sums.sort_by(|(a_names, a), (b_names, b)| (b, a_names).cmp(&(a, b_names)));
        Ok(sums)
    }

    /// What selects this, as people write it.
    pub(super) fn text(&self) -> String {
        let matcher = |matcher: &Matcher| {
            let operator = match matcher.kind {
                MatchKind::Equal => "=",
                MatchKind::NotEqual => "!=",
                MatchKind::Regex => "=~",
                MatchKind::NotRegex => "!~",
            };
            let value = matcher.value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{}{operator}\"{value}\"", matcher.name)
        };
        let matchers: Vec<String> = self.matchers.iter().map(matcher).collect();
        format!("{{{}}}", matchers.join(", "))
    }
}
