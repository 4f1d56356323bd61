//! What all rules need: the evidence, and a finding put together.

use crate::service::insight::{
    Evidence, Finding, FindingKind, Interval, Number, Path, Rules, Severity, SignalTable, Site,
    Unit, limits::PATH_LEVELS_MAX,
};

/// A sample of waiting stands for at least so long, in nanoseconds: what the probe draws one for.
pub(super) const WAIT_SAMPLE_NS: f64 = 1e6;

/// What a rule looks at.
pub(super) struct Look<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) rules: &'a Rules,
}

/// What a rule found, before it is dressed for people.
pub(super) struct Found {
    pub(super) kind: FindingKind,
    pub(super) severity: Severity,
    pub(super) place: Site,
    /// A share and what it is a share of.
    pub(super) cost: (Interval, &'static str),
    pub(super) evidence: Vec<Number>,
    pub(super) summary: String,
    /// Signal and kind of value that show it.
    pub(super) shown_by: (&'static str, &'static str),
    pub(super) samples: f64,
}

/// CPU time and the waiting that keeps work from going on.
pub(super) const ACTIVE_TIME: &str = "CPU and waiting time";
/// CPU time.
pub(super) const CPU_TIME: &str = "CPU time";

impl Look<'_> {
    /// A finding with the command that shows it.
    pub(super) fn finding(&self, found: Found) -> Finding {
        let (signal, value_kind) = found.shown_by;
        let (cost, cost_of) = found.cost;
        Finding {
            kind: found.kind,
            severity: found.severity,
            command: self.command(signal, value_kind, &found),
            place: found.place,
            path: Vec::new(),
            holder: None,
            cost: Number::new("cost", "cost", Unit::Ratio, cost),
            cost_of,
            evidence: found.evidence,
            summary: found.summary,
            signal,
            value_kind,
            selector: self.evidence.selector.clone(),
            service: self.evidence.service.clone(),
            samples: found.samples,
        }
    }

    /// What a person types to see it.
    fn command(&self, signal: &str, kind: &str, found: &Found) -> String {
        let selector = quoted(&self.evidence.selector);
        let from = self.evidence.start.as_secs();
        let end = self.evidence.start + self.evidence.span;
        let to = end.as_secs() + u64::from(0 < end.subsec_nanos());
        let time = format!("--from {from} --to {to}");
        if found.kind == FindingKind::HotFunction {
            let function = quoted(&found.place.function);
            return format!("profiler query function {function} {selector} {time}");
        }
        format!("profiler query flamegraph {selector} --signal {signal} --kind {kind} {time}")
    }

    /// The service as people call it.
    pub(super) fn service(&self) -> String {
        match self.evidence.service.as_str() {
            "" => "all that was looked at".to_owned(),
            service => format!("`{service}`"),
        }
    }

    /// Waiting for a lock, having nothing to do left out.
    pub(super) fn is_lock_wait(&self, table: &SignalTable, path: &Path) -> bool {
        !self.rules.frames.is_idle(table, path)
    }

    /// CPU time and active waiting by slice, and the samples that all of it rests on.
    pub(super) fn active_time(&self) -> (Vec<f64>, f64) {
        let cpu = self.evidence.cpu.whole();
        let period = self.evidence.cpu_period_ns;
        let mut slices: Vec<f64> = if cpu.slices[0].is_empty() {
            vec![cpu.values[0] * period]
        } else {
            cpu.slices[0].iter().map(|count| count * period).collect()
        };
        let mut samples = cpu.values[0];
        for reason in &self.rules.frames.active_reasons {
            let Some(table) = self.evidence.off_cpu.get(reason) else {
                continue;
            };
            let waited = table.of(|path| reason != "lock" || self.is_lock_wait(table, path));
            samples += wait_samples(waited.values[0], waited.values[1]);
            let parts = if waited.slices[0].is_empty() {
                vec![waited.values[0]]
            } else {
                waited.slices[0].clone()
            };
            slices.resize(slices.len().max(parts.len()), 0.0);
            for (sum, part) in slices.iter_mut().zip(parts) {
                *sum += part;
            }
        }
        (slices, samples)
    }
}

/// Samples that some waiting rests on, at most: one each time, and one for each span that a sample
/// stands for.
pub(super) fn wait_samples(nanoseconds: f64, events: f64) -> f64 {
    let spans = nanoseconds / WAIT_SAMPLE_NS;
    if events <= 0.0 {
        spans
    } else {
        spans.min(events)
    }
}

/// A path for people: the innermost levels, outermost first.
pub(super) fn path_of(table: &SignalTable, sites: &[u32]) -> Vec<Site> {
    let skipped = sites.len().saturating_sub(PATH_LEVELS_MAX);
    let sites = sites.iter().skip(skipped);
    sites.map(|site| table.site(*site).clone()).collect()
}

/// A text as a shell takes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::{quoted, wait_samples};

    #[test]
    fn what_a_shell_would_read_is_quoted() {
        assert_eq!("'{a=\"b\"}'", quoted("{a=\"b\"}"));
        assert_eq!("'a'\\''; rm'", quoted("a'; rm"));
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the numbers are exact")]
    fn waiting_rests_on_no_more_samples_than_events_or_spans() {
        assert_eq!(5.0, wait_samples(5e6, 100.0));
        assert_eq!(2.0, wait_samples(5e6, 2.0));
        assert_eq!(5.0, wait_samples(5e6, 0.0));
    }
}
