//! Everything that one function takes, across signals.

use std::collections::{BTreeMap, HashSet};

use super::{
    evidence::{seconds, to_f64},
    period::Period,
    select::Scope,
    table::{Columns, table},
};
use crate::{
    model::{Selection, StackId, TimeRange, ValueType, label},
    service::{
        insight::{Path, SignalTable},
        query::{QueryError, Reader, series::split},
        store::QueryLimits,
    },
};

/// Which stacks count for a function.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Part {
    /// Those in which it is innermost.
    Own,
    /// Those in which it is at all.
    Total,
}

/// What a number is divided into.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Divided {
    /// Nothing.
    Not,
    /// What threads waited for.
    Reason,
    /// The innermost level: which system call.
    Innermost,
}

/// One number of the ledger.
struct Entry {
    name: &'static str,
    text: &'static str,
    signal: &'static str,
    kind: &'static str,
    /// Taken away from it; empty for nothing.
    less: &'static str,
    /// Counts how often, where `kind` is time; empty where that is not known.
    count: &'static str,
    part: Part,
    divided: Divided,
}

/// Builds an entry that is not divided.
const fn plain(
    name: &'static str,
    text: &'static str,
    signal: &'static str,
    kind: &'static str,
    part: Part,
) -> Entry {
    Entry {
        name,
        text,
        signal,
        kind,
        less: "",
        count: "",
        part,
        divided: Divided::Not,
    }
}

/// All numbers, in the order in which they are told.
const ENTRIES: [Entry; 12] = [
    plain("cpu_self", "CPU by itself", "cpu", "cpu", Part::Own),
    plain(
        "cpu_total",
        "CPU with all it calls",
        "cpu",
        "cpu",
        Part::Total,
    ),
    Entry {
        count: "events",
        divided: Divided::Reason,
        ..plain(
            "off_cpu",
            "waiting off the CPU",
            "offcpu",
            "delay",
            Part::Total,
        )
    },
    plain(
        "run_queue",
        "waiting for a CPU",
        "offcpu",
        "runqueue",
        Part::Total,
    ),
    Entry {
        count: "calls",
        divided: Divided::Innermost,
        ..plain(
            "syscall_time",
            "time in system calls",
            "syscall",
            "time",
            Part::Total,
        )
    },
    Entry {
        divided: Divided::Innermost,
        ..plain(
            "syscall_calls",
            "system calls",
            "syscall",
            "calls",
            Part::Total,
        )
    },
    plain(
        "alloc_bytes",
        "bytes allocated",
        "alloc",
        "alloc_space",
        Part::Total,
    ),
    plain(
        "alloc_objects",
        "objects allocated",
        "alloc",
        "alloc_objects",
        Part::Total,
    ),
    Entry {
        less: "free_space",
        ..plain(
            "kept_bytes",
            "bytes kept",
            "alloc",
            "alloc_space",
            Part::Total,
        )
    },
    plain(
        "page_faults",
        "page faults",
        "page_fault",
        "faults",
        Part::Total,
    ),
    Entry {
        count: "events",
        ..plain(
            "tcp_wait",
            "waiting for the network",
            "tcp",
            "time",
            Part::Total,
        )
    },
    plain(
        "tcp_events",
        "waits for the network",
        "tcp",
        "events",
        Part::Total,
    ),
];

/// A part of a number.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerPart {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: i64,
    /// The same a second.
    pub per_second: f64,
    /// Mean length of one, in nanoseconds; zero where that is not known.
    pub mean_ns: f64,
}

/// One number of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerRow {
    /// For programs.
    pub name: &'static str,
    /// For people.
    pub text: &'static str,
    /// The signal.
    pub signal: &'static str,
    /// What is counted.
    pub value_type: ValueType,
    /// How much; bytes kept may be less than nothing.
    pub value: i64,
    /// The same a second.
    pub per_second: f64,
    /// Of the whole selection.
    pub share: f64,
    /// What the parts are: `reason`, `call`; empty without.
    pub parts_are: &'static str,
    /// Heaviest first.
    pub parts: Vec<LedgerPart>,
    /// By service, heaviest first.
    pub services: Vec<LedgerPart>,
    /// By version, or build where there is none, heaviest first.
    pub versions: Vec<LedgerPart>,
}

/// Everything that a function takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Numbers that are known of it.
    pub rows: Vec<LedgerRow>,
    /// When; nothing without data.
    pub range: TimeRange,
}

/// Adds up what a function takes, by its exact name. At most `limit` parts of each number.
///
/// # Errors
/// As [`Reader::merged`].
pub fn ledger(
    reader: &Reader,
    function: &str,
    selection: &Selection,
    limit: usize,
    limits: &QueryLimits,
) -> Result<Ledger, QueryError> {
    let scope = Scope {
        matchers: selection.matchers.clone(),
        range: selection.range,
    };
    let Some(period) = Period::of(reader, &scope, &super::evidence::SIGNALS, limits)? else {
        return Ok(Ledger::default());
    };
    let search = Search {
        reader,
        function,
        scope: scope.at(period.range),
        seconds: seconds(period.length()),
        limit,
        limits,
    };
    let mut rows = Vec::new();
    for entry in &ENTRIES {
        rows.extend(search.row(entry)?);
    }
    Ok(Ledger {
        rows,
        range: period.range,
    })
}

/// What is looked for.
struct Search<'a> {
    reader: &'a Reader,
    function: &'a str,
    scope: Scope,
    seconds: f64,
    limit: usize,
    limits: &'a QueryLimits,
}

impl Search<'_> {
    /// One number; nothing when the function is not in the signal.
    fn row(&self, entry: &Entry) -> Result<Option<LedgerRow>, QueryError> {
        let Some(selection) = self.scope.selection(self.reader, entry.signal, entry.kind) else {
            return Ok(None);
        };
        let table = self.table(&self.scope, entry)?;
        let stacks: HashSet<StackId> = (table.paths.iter())
            .filter(|path| self.is_in(&table, path, entry.part))
            .map(|path| path.stack)
            .collect();
        if stacks.is_empty() {
            return Ok(None);
        }
        let of_function = table
            .paths
            .iter()
            .filter(|path| stacks.contains(&path.stack));
        let value = of_function.fold(0_i64, |sum, path| sum.saturating_add(amount(path)));
        let whole = table
            .paths
            .iter()
            .fold(0_i64, |sum, path| sum.saturating_add(amount(path)));
        let version = self.version()?;
        Ok(Some(LedgerRow {
            name: entry.name,
            text: entry.text,
            signal: entry.signal,
            value_type: ValueType {
                kind: selection.profile_type.kind,
                unit: selection.profile_type.unit,
            },
            value,
            per_second: signed(value) / self.seconds,
            share: if whole == 0 {
                0.0
            } else {
                signed(value) / signed(whole)
            },
            parts_are: match entry.divided {
                Divided::Not => "",
                Divided::Reason => "reason",
                Divided::Innermost => "call",
            },
            parts: self.parts(entry, &table)?,
            services: self.by_label(entry, &stacks, label::SERVICE)?,
            versions: self.by_label(entry, &stacks, version)?,
        }))
    }

    /// The values of an entry: what is counted, what is taken away, how often.
    fn table(&self, scope: &Scope, entry: &Entry) -> Result<SignalTable, QueryError> {
        let columns = Columns {
            signal: entry.signal,
            kinds: &[entry.kind, entry.less, entry.count],
            sliced: &[],
        };
        table(self.reader, scope, &columns, &[], self.limits)
    }

    /// Whether the function is in a stack.
    fn is_in(&self, table: &SignalTable, path: &Path, part: Part) -> bool {
        let is_it = |site: &u32| &*table.sites[*site as usize].function == self.function;
        match part {
            Part::Own => path.sites.last().is_some_and(is_it),
            Part::Total => path.sites.iter().any(is_it),
        }
    }

    /// What a number is made of.
    fn parts(&self, entry: &Entry, table: &SignalTable) -> Result<Vec<LedgerPart>, QueryError> {
        let mut sums: BTreeMap<String, (i64, f64)> = BTreeMap::new();
        let mut add = |name: &str, path: &Path| {
            let sum = sums.entry(name.to_owned()).or_default();
            sum.0 = sum.0.saturating_add(amount(path));
            sum.1 += to_f64(path.values[2]);
        };
        match entry.divided {
            Divided::Not => {}
            Divided::Innermost => {
                let paths = table
                    .paths
                    .iter()
                    .filter(|p| self.is_in(table, p, entry.part));
                for path in paths {
                    if let Some(innermost) = path.sites.last() {
                        add(&table.sites[*innermost as usize].function, path);
                    }
                }
            }
            Divided::Reason => {
                let asked = (entry.signal, entry.kind);
                let reasons =
                    self.scope
                        .sums_by(self.reader, asked, &[label::REASON], self.limits)?;
                for (names, _sum) in reasons {
                    let reason = names.into_iter().next().unwrap_or_default();
                    let table = self.table(&self.scope.with(label::REASON, &reason), entry)?;
                    let paths = table.paths.iter();
                    for path in paths.filter(|p| self.is_in(&table, p, entry.part)) {
                        add(&reason, path);
                    }
                }
            }
        }
        Ok(self.heaviest(sums, entry))
    }

    /// Sums, heaviest first.
    fn heaviest(&self, sums: BTreeMap<String, (i64, f64)>, entry: &Entry) -> Vec<LedgerPart> {
        let part = |(name, (value, count)): (String, (i64, f64))| LedgerPart {
            name,
            value,
            per_second: signed(value) / self.seconds,
            mean_ns: if entry.count.is_empty() || count <= 0.0 {
                0.0
            } else {
                signed(value) / count
            },
        };
        let mut parts: Vec<LedgerPart> = sums.into_iter().map(part).collect();
        parts.retain(|part| part.value != 0);
        parts.sort_by(|a, b| (b.value, &a.name).cmp(&(a.value, &b.name)));
        parts.truncate(self.limit);
        parts
    }

    /// A number by the values of a label.
    fn by_label(
        &self,
        entry: &Entry,
        stacks: &HashSet<StackId>,
        label: &str,
    ) -> Result<Vec<LedgerPart>, QueryError> {
        let mut sums: BTreeMap<String, (i64, f64)> = BTreeMap::new();
        for (kind, sign) in [(entry.kind, 1), (entry.less, -1)] {
            let Some(selection) = self.scope.selection(self.reader, entry.signal, kind) else {
                continue;
            };
            for part in split(self.reader, &selection, label, self.limits)? {
                let of_function = part.merged.stacks.iter();
                let of_function = of_function.filter(|(id, _value)| stacks.contains(id));
                let sum = of_function.fold(0_i64, |sum, (_, v)| sum.saturating_add(whole(*v)));
                let entry = sums.entry(part.value.unwrap_or_default()).or_default();
                entry.0 = entry.0.saturating_add(sign * sum);
            }
        }
        Ok(self.heaviest(sums, entry))
    }

    /// The label that versions are told apart by.
    fn version(&self) -> Result<&'static str, QueryError> {
        let Some(selection) = self.scope.selection(self.reader, "cpu", "samples") else {
            return Ok(label::BUILD_ID);
        };
        let names = crate::service::query::names(self.reader, &selection)?;
        Ok(if names.contains(label::VERSION) {
            label::VERSION
        } else {
            label::BUILD_ID
        })
    }
}

/// What a stack counts: its value, less what is taken away.
fn amount(path: &Path) -> i64 {
    whole(path.values[0]).saturating_sub(whole(path.values[1]))
}

/// A value with a sign; the largest one there is for one that does not fit.
fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Nearest floating-point number.
#[expect(
    clippy::cast_precision_loss,
    reason = "for display; 53 bits are plenty"
)]
fn signed(value: i64) -> f64 {
    value as f64
}
