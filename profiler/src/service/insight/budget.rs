//! What an operator allows: limits as data, kept or broken.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    Amount, BudgetError, FindingKind, Interval, Severity, Unit,
    limits::{BUDGET_SIZE_BYTES_MAX, LIMITS_MAX, RECEIVERS_MAX},
};

/// What is looked at when the budget does not say.
const WINDOW_DEFAULT: Duration = Duration::from_secs(30);
/// What a limit on regressions looks at when it does not say: half a minute is too little to tell.
const COMPARE_WINDOW_DEFAULT: Duration = Duration::from_secs(600);
/// How often a service looks when the budget does not say.
const EVERY_DEFAULT: Duration = Duration::from_secs(5);
/// How long a limit is broken before someone is told, when the budget does not say.
const HOLD_DEFAULT: Duration = Duration::from_secs(5);
/// How long a limit is kept before it is over, when the budget does not say.
const CLEAR_DEFAULT: Duration = Duration::from_secs(30);

/// Limits, and who is told when they are broken.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// How far back is looked.
    pub window: Duration,
    /// How often a service looks.
    pub every: Duration,
    /// The limits.
    pub limits: Vec<Limit>,
    /// Who is told.
    pub receivers: Vec<Receiver>,
}

/// One limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// What people call it; each once.
    pub name: String,
    /// Which data, in `PromQL`'s style.
    pub selector: String,
    /// What is measured.
    pub measure: Measure,
    /// Most that is allowed.
    pub at_most: f64,
    /// How grave it is to break it.
    pub severity: Severity,
    /// Whether the number itself counts; otherwise its whole interval has to be above the limit.
    pub is_strict: bool,
    /// How far back it looks at least, whatever the budget's window is.
    pub window: Option<Duration>,
    /// How long it is broken before someone is told.
    pub hold: Duration,
    /// How long it is kept before that is over.
    pub clear_after: Duration,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// The share of CPU time of a function.
    CpuShare {
        /// Its exact name.
        function: String,
        /// With all it calls, or by itself.
        is_total: bool,
    },
    /// CPUs in use, by a function or in all.
    Cores {
        /// Its exact name.
        function: Option<String>,
    },
    /// Threads that wait off the CPU on the average.
    Waiting {
        /// The label `reason`; all when absent.
        reason: Option<String>,
    },
    /// How long the network takes.
    Latency {
        /// Endpoint, or its beginning; all when absent.
        remote: Option<String>,
        /// `connect`, `first_byte` …
        phase: String,
        /// Share of the cases, 0 to 1.
        quantile: f64,
    },
    /// System calls a second.
    Calls {
        /// Which one; all when absent.
        call: Option<String>,
    },
    /// Bytes allocated a second, by a function with all it calls or in all.
    Allocation {
        /// Its exact name.
        function: Option<String>,
    },
    /// Page faults a second.
    PageFaults,
    /// Findings that there are.
    Findings {
        /// Of this kind; of any when absent.
        kind: Option<FindingKind>,
        /// At least so grave.
        least: Severity,
    },
    /// Functions that became slower.
    Regressions {
        /// Than when.
        against: Against,
    },
    /// Any value a second.
    Rate {
        /// The signal.
        signal: String,
        /// The kind of value.
        kind: String,
    },
}

/// With what the present is compared.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The recording that is given as the baseline, or the span of time just before.
    #[default]
    Baseline,
    /// The same span of time a day earlier.
    Yesterday,
    /// The same span of time a week earlier.
    LastWeek,
    /// The build id that was there before.
    PreviousBuild,
}

/// Someone who is told.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// What it is called; each once.
    pub name: String,
    /// Where a webhook takes JSON.
    pub webhook: Option<String>,
    /// Where Alertmanager is: `http://HOST:9093`.
    pub alertmanager: Option<String>,
    /// File with a bearer token.
    pub token_file: Option<PathBuf>,
    /// Certificate that signed the receiver's own (PEM), for https.
    pub ca: Option<PathBuf>,
}

impl Receiver {
    /// Where it is.
    pub fn url(&self) -> &str {
        (self.webhook.as_deref().or(self.alertmanager.as_deref())).unwrap_or_default()
    }
}

/// A budget as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    window: Option<String>,
    every: Option<String>,
    #[serde(default)]
    limit: Vec<WrittenLimit>,
    #[serde(default)]
    receiver: Vec<Receiver>,
}

/// A limit as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLimit {
    name: String,
    #[serde(default)]
    selector: String,
    measure: MeasureName,
    at_most: Option<String>,
    #[serde(default)]
    severity: Severity,
    #[serde(default)]
    strict: bool,
    window: Option<String>,
    #[serde(rename = "for")]
    hold: Option<String>,
    clear_after: Option<String>,
    function: Option<String>,
    #[serde(default)]
    weight: Weight,
    reason: Option<String>,
    remote: Option<String>,
    phase: Option<String>,
    quantile: Option<String>,
    call: Option<String>,
    kind: Option<String>,
    signal: Option<String>,
    least: Option<Severity>,
    #[serde(default)]
    against: Against,
}

/// What is measured, as it is written.
#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum MeasureName {
    CpuShare,
    Cores,
    Waiting,
    Latency,
    Calls,
    Allocation,
    PageFaults,
    Findings,
    Regressions,
    Rate,
}

/// Which weight of a function.
#[derive(Clone, Copy, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Weight {
    #[default]
    #[serde(rename = "self")]
    Own,
    Total,
}

impl Budget {
    /// Reads a budget.
    ///
    /// # Errors
    /// What of it cannot be used, by the name of the limit.
    pub fn read(text: &str) -> Result<Self, BudgetError> {
        at_most("bytes", text.len(), BUDGET_SIZE_BYTES_MAX)?;
        let written: Written =
            toml::from_str(text).map_err(|error| BudgetError::Parse(Box::new(error)))?;
        at_most("limits", written.limit.len(), LIMITS_MAX)?;
        at_most("receivers", written.receiver.len(), RECEIVERS_MAX)?;
        let time = |text: Option<String>, default| match text {
            Some(text) => Amount::duration(&text),
            None => Ok(default),
        };
        let mut names = BTreeSet::new();
        let limits: Vec<Limit> = (written.limit.into_iter())
            .map(WrittenLimit::limit)
            .collect::<Result<_, _>>()?;
        let of_limits = limits.iter().map(|limit| &limit.name);
        if let Some(name) = of_limits.clone().find(|name| !names.insert(name.as_str())) {
            return Err(BudgetError::Twice { name: name.clone() });
        }
        for receiver in &written.receiver {
            check_receiver(receiver)?;
        }
        Ok(Self {
            window: time(written.window, WINDOW_DEFAULT)?,
            every: time(written.every, EVERY_DEFAULT)?.max(Duration::from_secs(1)),
            limits,
            receivers: written.receiver,
        })
    }
}

/// Checks a number against its bound.
fn at_most(what: &'static str, found: usize, most: usize) -> Result<(), BudgetError> {
    if found <= most {
        Ok(())
    } else {
        Err(BudgetError::TooMany { what, found, most })
    }
}

/// Checks that a receiver is one thing, and has an address.
fn check_receiver(receiver: &Receiver) -> Result<(), BudgetError> {
    let wrong = |why| BudgetError::Receiver {
        name: receiver.name.clone(),
        why,
    };
    if receiver.webhook.is_some() == receiver.alertmanager.is_some() {
        return Err(wrong("needs either `webhook` or `alertmanager`"));
    }
    let url = receiver.url();
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(wrong("its address must begin with http:// or https://"));
    }
    if url.starts_with("https://") && receiver.ca.is_none() {
        return Err(wrong(
            "https needs `ca`: the certificate that signed the receiver's own",
        ));
    }
    Ok(())
}

impl WrittenLimit {
    /// The limit, checked.
    fn limit(self) -> Result<Limit, BudgetError> {
        let name = self.name.clone();
        let wrong = |why| BudgetError::Limit {
            name: name.clone(),
            why,
        };
        let measure = self.measure().map_err(wrong)?;
        let at_most = match (&self.at_most, &measure) {
            (Some(text), _) => {
                let amount = Amount::read(text)?;
                if !amount.dimension.limits(measure.unit()) {
                    return Err(wrong("`at_most` is in a unit that this measure has not"));
                }
                amount.value
            }
            // None at all is what one wants.
            (None, Measure::Findings { .. } | Measure::Regressions { .. }) => 0.0,
            (None, _) => return Err(wrong("`at_most` is missing")),
        };
        let time = |text: &Option<String>, default| match text {
            Some(text) => Amount::duration(text),
            None => Ok(default),
        };
        let compares = matches!(measure, Measure::Regressions { .. });
        let window = self.window.as_deref().map(Amount::duration).transpose()?;
        Ok(Limit {
            window: window.or(compares.then_some(COMPARE_WINDOW_DEFAULT)),
            hold: time(&self.hold, HOLD_DEFAULT)?,
            clear_after: time(&self.clear_after, CLEAR_DEFAULT)?,
            name: self.name,
            selector: self.selector,
            measure,
            at_most,
            severity: self.severity,
            is_strict: self.strict,
        })
    }

    /// What is measured.
    fn measure(&self) -> Result<Measure, &'static str> {
        let function = self.function.clone();
        Ok(match self.measure {
            MeasureName::CpuShare => Measure::CpuShare {
                function: function.ok_or("`cpu_share` needs `function`")?,
                is_total: self.weight == Weight::Total,
            },
            MeasureName::Cores => Measure::Cores { function },
            MeasureName::Waiting => Measure::Waiting {
                reason: self.reason.clone(),
            },
            MeasureName::Latency => Measure::Latency {
                remote: self.remote.clone(),
                phase: self.phase.clone().ok_or("`latency` needs `phase`")?,
                quantile: self.quantile()?,
            },
            MeasureName::Calls => Measure::Calls {
                call: self.call.clone(),
            },
            MeasureName::Allocation => Measure::Allocation { function },
            MeasureName::PageFaults => Measure::PageFaults,
            MeasureName::Findings => Measure::Findings {
                kind: self.finding_kind()?,
                least: self.least.unwrap_or(Severity::Warning),
            },
            MeasureName::Regressions => Measure::Regressions {
                against: self.against,
            },
            MeasureName::Rate => Measure::Rate {
                signal: self.signal.clone().ok_or("`rate` needs `signal`")?,
                kind: self.kind.clone().ok_or("`rate` needs `kind`")?,
            },
        })
    }

    /// The share of cases: `p95` or `95%`; 95 % when nothing is said.
    fn quantile(&self) -> Result<f64, &'static str> {
        const WRONG: &str = "`quantile` must be like `p95` or `95%`";
        let Some(text) = &self.quantile else {
            return Ok(0.95);
        };
        let percent = text.strip_prefix('p').or_else(|| text.strip_suffix('%'));
        let percent: f64 = percent
            .ok_or(WRONG)?
            .trim()
            .parse()
            .map_err(|_no_number| WRONG)?;
        if 0.0 < percent && percent < 100.0 {
            Ok(percent / 100.0)
        } else {
            Err(WRONG)
        }
    }

    /// The kind of finding.
    fn finding_kind(&self) -> Result<Option<FindingKind>, &'static str> {
        let Some(name) = &self.kind else {
            return Ok(None);
        };
        let known = FindingKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name);
        known.map(Some).ok_or("there is no such kind of finding")
    }
}

impl Measure {
    /// What its number counts.
    pub fn unit(&self) -> Unit {
        match self {
            Self::CpuShare { .. } => Unit::Ratio,
            Self::Cores { .. } => Unit::Cores,
            Self::Waiting { .. } => Unit::Threads,
            Self::Latency { .. } => Unit::Nanoseconds,
            Self::Calls { .. } | Self::PageFaults | Self::Rate { .. } => Unit::PerSecond,
            Self::Allocation { .. } => Unit::BytesPerSecond,
            Self::Findings { .. } | Self::Regressions { .. } => Unit::Count,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let of = |name: &Option<String>| {
            (name.as_ref()).map_or(String::new(), |name| format!(" of `{name}`"))
        };
        match self {
            Self::CpuShare {
                function,
                is_total: true,
            } => format!("share of CPU time of `{function}` with all it calls"),
            Self::CpuShare { function, .. } => {
                format!("share of CPU time of `{function}` by itself")
            }
            Self::Cores { function } => format!("CPUs in use{}", of(function)),
            Self::Waiting { reason } => format!("threads waiting{}", of(reason)),
            Self::Latency {
                remote,
                phase,
                quantile,
            } => format!("p{:.0} of {phase}{}", quantile * 100.0, of(remote)),
            Self::Calls { call } => format!("system calls{}", of(call)),
            Self::Allocation { function } => format!("allocation{}", of(function)),
            Self::PageFaults => "page faults".to_owned(),
            Self::Findings { kind, least } => {
                let kind = kind.map_or("findings", FindingKind::as_str);
                format!("{kind} that are {} or graver", least.as_str())
            }
            Self::Regressions { against } => format!(
                "functions slower than {}",
                match against {
                    Against::Baseline => "the baseline",
                    Against::Yesterday => "yesterday",
                    Against::LastWeek => "last week",
                    Against::PreviousBuild => "the previous build",
                }
            ),
            Self::Rate { signal, kind } => format!("{kind} of {signal}"),
        }
    }
}

/// What was measured for a limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// The number.
    pub interval: Interval,
    /// What it is made of, for people: findings, functions.
    pub details: Vec<String>,
    /// The command that shows it.
    pub command: String,
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Not above.
    Kept,
    /// Above.
    Broken,
    /// There is no data to tell from.
    Unknown,
}

/// A limit that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Name of the limit.
    pub name: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was measured; zero when nothing was.
    pub measured: Measured,
    /// The limit.
    pub at_most: f64,
    /// What both count.
    pub unit: Unit,
    /// How grave it is.
    pub severity: Severity,
    /// One sentence.
    pub summary: String,
}

/// Holds what was measured against a limit; nothing measured is no verdict.
pub fn judge(limit: &Limit, measured: Option<Measured>) -> Judged {
    let unit = limit.measure.unit();
    let what = limit.measure.text();
    let allowed = unit.show(limit.at_most);
    let Some(measured) = measured else {
        return Judged {
            name: limit.name.clone(),
            verdict: Verdict::Unknown,
            summary: format!("{what}: no data; at most {allowed} is allowed"),
            measured: Measured::default(),
            at_most: limit.at_most,
            unit,
            severity: limit.severity,
        };
    };
    let Interval { value, low, .. } = measured.interval;
    let sure = if limit.is_strict { value } else { low };
    let (verdict, stands) = if limit.at_most < sure {
        (Verdict::Broken, "is above")
    } else if limit.at_most < value {
        (Verdict::Kept, "may be above, but not for sure,")
    } else {
        (Verdict::Kept, "is within")
    };
    Judged {
        name: limit.name.clone(),
        verdict,
        summary: format!(
            "{what}: {} {stands} the limit of {allowed}",
            unit.show(value)
        ),
        measured,
        at_most: limit.at_most,
        unit,
        severity: limit.severity,
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Measure, Measured, Verdict, judge};
    use crate::service::insight::Interval;

    /// A budget of one limit.
    fn one(lines: &str) -> Result<Budget, super::BudgetError> {
        Budget::read(&format!("[[limit]]\nname = \"n\"\n{lines}\n"))
    }

    #[test]
    fn every_measure_can_be_written() {
        for lines in [
            "measure = \"cpu_share\"\nfunction = \"serialize\"\nat_most = \"5%\"",
            "measure = \"cpu_share\"\nfunction = \"f\"\nweight = \"total\"\nat_most = \"0.05\"",
            "measure = \"cores\"\nat_most = \"1.5\"",
            "measure = \"waiting\"\nreason = \"lock\"\nat_most = \"2\"",
            "measure = \"latency\"\nphase = \"connect\"\nremote = \"db:\"\nquantile = \"p99\"\nat_most = \"3ms\"",
            "measure = \"calls\"\ncall = \"read\"\nat_most = \"10k/s\"",
            "measure = \"allocation\"\nat_most = \"50MiB/s\"",
            "measure = \"page_faults\"\nat_most = \"100/s\"",
            "measure = \"findings\"\nkind = \"leak_suspect\"",
            "measure = \"regressions\"\nagainst = \"yesterday\"",
            "measure = \"rate\"\nsignal = \"cpu\"\nkind = \"samples\"\nat_most = \"5/s\"\nfor = \"1m\"",
        ] {
            let budget = one(lines).unwrap();
            assert_eq!(1, budget.limits.len());
            assert!(!budget.limits[0].measure.text().is_empty());
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (lines, said) in [
            (
                "measure = \"cpu_share\"\nat_most = \"5%\"",
                "needs `function`",
            ),
            ("measure = \"cores\"", "`at_most` is missing"),
            ("measure = \"cores\"\nat_most = \"5ms\"", "in a unit"),
            ("measure = \"speed\"\nat_most = \"5\"", "speed"),
            ("measure = \"cores\"\nat_least = \"5\"", "at_least"),
            ("measure = \"findings\"\nkind = \"bug\"", "no such kind"),
            (
                "measure = \"latency\"\nphase = \"x\"\nquantile = \"95\"\nat_most = \"1s\"",
                "p95",
            ),
        ] {
            let error = anyhow::Error::from(one(lines).unwrap_err());
            let error = format!("{error:#}");
            assert!(error.contains(said), "{lines}: {error}");
        }
        let twice = "[[limit]]\nname = \"a\"\nmeasure = \"findings\"\n".repeat(2);
        assert!(
            Budget::read(&twice)
                .unwrap_err()
                .to_string()
                .contains("`a`")
        );
    }

    #[test]
    fn receivers_are_one_thing_with_an_address() {
        let read = |lines: &str| Budget::read(&format!("[[receiver]]\nname = \"r\"\n{lines}"));
        let budget = read("alertmanager = \"http://127.0.0.1:9093\"").unwrap();
        assert_eq!("http://127.0.0.1:9093", budget.receivers[0].url());
        for lines in [
            "",
            "webhook = \"ftp://x\"",
            "webhook = \"https://x\"",
            "webhook = \"http://x\"\nalertmanager = \"http://y\"",
        ] {
            read(lines).unwrap_err();
        }
    }

    #[test]
    fn a_limit_is_broken_when_the_whole_interval_is_above() {
        let lines = "measure = \"cpu_share\"\nfunction = \"f\"\nat_most = \"5%\"";
        let mut limit = one(lines).unwrap().limits.remove(0);
        assert!(matches!(
            limit.measure,
            Measure::CpuShare {
                is_total: false,
                ..
            }
        ));
        let measured = |value, low| {
            Some(Measured {
                interval: Interval {
                    value,
                    low,
                    high: value,
                },
                ..Measured::default()
            })
        };
        assert_eq!(
            Verdict::Broken,
            judge(&limit, measured(0.06, 0.055)).verdict
        );
        let unsure = judge(&limit, measured(0.06, 0.045));
        assert_eq!(Verdict::Kept, unsure.verdict);
        assert!(
            unsure.summary.contains("not for sure"),
            "{}",
            unsure.summary
        );
        assert_eq!(Verdict::Kept, judge(&limit, measured(0.05, 0.05)).verdict);
        assert_eq!(Verdict::Unknown, judge(&limit, None).verdict);
        limit.is_strict = true;
        assert_eq!(
            Verdict::Broken,
            judge(&limit, measured(0.06, 0.045)).verdict
        );
    }
}
