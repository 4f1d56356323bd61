//! The generated parts of the page: each between two comments that name it.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{machine, table::Table};

/// Replaces the part of the page that belongs to a table.
///
/// # Errors
/// When the page cannot be read or written, or has no place for this table.
pub(crate) fn write_into(page: &Path, table: &Table) -> anyhow::Result<()> {
    let text = fs::read_to_string(page).with_context(|| format!("read {}", page.display()))?;
    let origin = format!("`{}`, {}", table.command, machine::describe()?);
    let part = format!("{table}\n{origin}\n");
    let text = replace(&text, table.key, &part)
        .with_context(|| format!("{} has no part called {}", page.display(), table.key))?;
    fs::write(page, text).with_context(|| format!("write {}", page.display()))
}

/// The text with another part between the comments of `key`; `None` when they are not there.
fn replace(text: &str, key: &str, part: &str) -> Option<String> {
    let begin = format!("<!-- generated: {key} -->\n");
    let end = format!("<!-- end: {key} -->");
    let (before, rest) = text.split_once(&begin)?;
    let (_old, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{part}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replace;

    const PAGE: &str = "a\n<!-- generated: x -->\nold\n<!-- end: x -->\nb\n";

    #[test]
    fn only_what_is_between_the_comments_changes() {
        let page = replace(PAGE, "x", "new\n").unwrap();
        assert_eq!(page, PAGE.replace("old", "new"));
        assert_eq!(replace(&page, "x", "new\n").unwrap(), page);
    }

    #[test]
    fn a_part_without_a_place_is_no_silent_success() {
        assert_eq!(replace(PAGE, "y", "new\n"), None);
    }
}
