//! Which stage may name which other stage. The one list; the rest of tidy enforces it.

use std::collections::BTreeSet;

use super::Finding;

/// `(stage, stages it may name)`, in the order data flows.
///
/// Every name to the right of a stage appears above it, so the list is its own proof that there
/// are no cycles. A stage is a folder of `profiler/src`, or of the room `host`. The files that lie
/// directly in the room connect its stages; together they are `host/run`.
pub(super) const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("clock", &[]),
    ("telemetry", &["model"]),
    ("config", &["model"]),
    ("probe", &["model", "telemetry", "config"]),
    ("ring", &["model", "telemetry"]),
    ("process", &["model", "clock", "telemetry"]),
    ("object", &["model"]),
    ("unwind", &["model", "object"]),
    ("kubelet", &["model"]),
    ("labels", &["model", "clock", "telemetry"]),
    ("allocator", &["model", "object"]),
    ("heap", &["model"]),
    ("aggregate", &["model"]),
    ("symbolize", &["model", "object"]),
    ("governor", &["model", "clock", "telemetry", "config"]),
    ("wire", &["model"]),
    ("ship", &["model", "clock", "telemetry", "config", "wire"]),
    ("render", &["model", "wire"]),
    ("store", &["model", "clock", "telemetry", "config"]),
    ("live", &["model"]),
    ("insight", &["model"]),
    ("access", &["model", "clock", "telemetry", "config"]),
    (
        "ingest",
        &[
            "model",
            "clock",
            "telemetry",
            "config",
            "wire",
            "render",
            "store",
            "live",
            "access",
        ],
    ),
    (
        "query",
        &[
            "model",
            "clock",
            "telemetry",
            "wire",
            "store",
            "live",
            "render",
            "insight",
        ],
    ),
    (
        "alert",
        &[
            "model",
            "clock",
            "telemetry",
            "wire",
            "store",
            "insight",
            "query",
        ],
    ),
    (
        "grafana",
        &["model", "clock", "wire", "render", "store", "query"],
    ),
    ("web", &[]),
    (
        "host/run",
        &[
            "model",
            "clock",
            "telemetry",
            "config",
            "probe",
            "ring",
            "process",
            "object",
            "unwind",
            "kubelet",
            "labels",
            "allocator",
            "heap",
            "aggregate",
            "symbolize",
            "governor",
            "ship",
        ],
    ),
    (
        "service/run",
        &[
            "model",
            "clock",
            "telemetry",
            "config",
            "wire",
            "render",
            "store",
            "live",
            "access",
            "ingest",
            "insight",
            "query",
            "alert",
            "grafana",
            "web",
        ],
    ),
    (
        "cli",
        &[
            "model",
            "clock",
            "telemetry",
            "config",
            "wire",
            "render",
            "host/run",
            "service/run",
        ],
    ),
];

/// Folders of `profiler/src` that hold stages instead of being one.
pub(super) const ROOMS: &[&str] = &["host", "service"];

/// Stages that may name the kernel ABI, `profiler_common`, and the root that connects them.
pub(super) const KERNEL_ABI_USERS: &[&str] = &["probe", "ring", "unwind", "allocator", "host/run"];

/// What the table lets a stage name; `None` for a stage that is not in the table.
pub(super) fn allowed(stage: &str) -> Option<&'static [&'static str]> {
    ARROWS
        .iter()
        .find(|(name, _)| *name == stage)
        .map(|(_, allowed)| *allowed)
}

/// Checks that the table has each stage once and that no arrow points down.
pub(super) fn check_table(table: &[(&str, &[&str])]) -> Vec<Finding> {
    let mut above = BTreeSet::new();
    let mut findings = Vec::new();
    for (stage, allowed) in table {
        for name in allowed.iter().filter(|name| !above.contains(*name)) {
            findings.push(Finding::new(
                "arrows.rs",
                format!("{stage} -> {name}: `{name}` is not above `{stage}`; order the table so that it is"),
            ));
        }
        if !above.insert(stage) {
            findings.push(Finding::new("arrows.rs", format!("{stage} is there twice")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert_eq!(check_table(ARROWS), []);
    }

    #[test]
    fn an_arrow_that_points_down_is_found() {
        let findings = check_table(&[("a", &["b"]), ("b", &["a"])]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.starts_with("a -> b"));
    }

    #[test]
    fn a_stage_that_is_there_twice_is_found() {
        assert_eq!(check_table(&[("a", &[]), ("a", &[])]).len(), 1);
    }

    #[test]
    fn users_of_the_kernel_abi_are_stages() {
        assert!(
            KERNEL_ABI_USERS
                .iter()
                .all(|stage| allowed(stage).is_some())
        );
    }
}
