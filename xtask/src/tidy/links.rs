//! Links of the documents that point into the repository.

use std::path::Path;

use super::Finding;

/// Checks that every relative link of a Markdown file leads somewhere.
pub(super) fn check(root: &Path, file: &Path, text: &str) -> Vec<Finding> {
    let folder = root.join(file.parent().unwrap_or(Path::new("")));
    let mut findings = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line).filter(|target| !resolves(&folder, target)) {
            findings.push(Finding::new(
                format_args!("{}:{}", file.display(), index + 1),
                format!("link to `{target}` leads nowhere"),
            ));
        }
    }
    findings
}

/// The targets of inline links and pictures in a line: what stands in `](…)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|after| after.split([')', ' ']).next())
}

/// Whether a target is elsewhere, in this very document, or there.
fn resolves(folder: &Path, target: &str) -> bool {
    let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
    let path = target.split('#').next().unwrap_or(target);
    is_elsewhere || path.is_empty() || folder.join(path).try_exists().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Targets found to lead nowhere, for a document at the root of this crate.
    fn broken(text: &str) -> usize {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        check(root, Path::new("README.md"), text).len()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        assert_eq!(broken("[a](Cargo.toml) and [b](src/main.rs#L1)"), 0);
        assert_eq!(broken("[a](https://example.org/x) [b](#below)"), 0);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        assert_eq!(broken("[a](Cargo.toml) ![b](no-such-picture.svg)"), 1);
    }

    #[test]
    fn code_is_no_link() {
        assert_eq!(broken("```\n[a](no-such-file)\n```\n"), 0);
    }
}
