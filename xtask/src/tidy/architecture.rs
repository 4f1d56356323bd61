//! Every stage has an entry in the code map of `ARCHITECTURE.md`, and every entry a folder.

use std::collections::BTreeSet;

use super::Finding;

/// The chapter that holds one entry for each stage.
const CODE_MAP: &str = "## Code map";

/// Holds the stages against the entries of the document, both ways.
pub(super) fn check(folders: &BTreeSet<String>, document: &str) -> Vec<Finding> {
    let entries = entries(document);
    let absent = folders
        .difference(&entries)
        .map(|stage| format!("stage `{stage}` has no entry under `{CODE_MAP}`; add `### {stage}`"));
    let stray = entries
        .difference(folders)
        .map(|entry| format!("entry `{entry}` has no folder below profiler/src"));
    absent
        .chain(stray)
        .map(|what| Finding::new("ARCHITECTURE.md", what))
        .collect()
}

/// The third-level headings of the code map, first word each.
fn entries(document: &str) -> BTreeSet<String> {
    document
        .lines()
        .skip_while(|line| line.trim_end() != CODE_MAP)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("### "))
        .filter_map(|heading| heading.split_whitespace().next())
        .map(|word| word.trim_matches('`').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# A\n\n### early\n\n## Code map\n\n### `model` the words\n\
                            text\n### ring\n\n## Budgets\n### late\n";

    /// What is found for the given stages.
    fn found(stages: &[&str]) -> Vec<String> {
        let folders = stages.iter().map(|stage| (*stage).to_owned()).collect();
        check(&folders, DOCUMENT)
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn entries_and_folders_that_match_pass() {
        assert_eq!(found(&["model", "ring"]), [""; 0]);
    }

    #[test]
    fn a_stage_without_entry_is_found() {
        let findings = found(&["model", "ring", "unwind"]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].starts_with("stage `unwind` has no entry"));
    }

    #[test]
    fn an_entry_without_stage_is_found() {
        assert_eq!(
            found(&["model"]),
            ["entry `ring` has no folder below profiler/src"]
        );
    }
}
