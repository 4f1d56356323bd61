//! `cargo xtask tidy`: properties of the repository that neither the compiler nor a lint checks.

mod architecture;
mod arrows;
mod imports;
mod links;
mod size;
mod source;
mod stage;

use std::{fmt, fs, path::Path, process::ExitCode};

use anyhow::Context as _;

use crate::repository::Repository;

/// Something to be put right.
#[derive(Debug, Eq, PartialEq)]
struct Finding {
    /// File relative to the root, with `:line` where that helps.
    place: String,
    /// What is wrong and what to do.
    what: String,
}

impl Finding {
    fn new(place: impl fmt::Display, what: impl Into<String>) -> Self {
        Self {
            place: place.to_string(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Runs every check and prints what it finds.
pub(crate) fn run(repository: &Repository) -> anyhow::Result<ExitCode> {
    let findings = findings(repository)?;
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} findings", findings.len());
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Everything to be put right in the repository.
fn findings(repository: &Repository) -> anyhow::Result<Vec<Finding>> {
    let files = repository.files()?;
    let mut findings = arrows::check_table(arrows::ARROWS);
    for file in &files {
        let path = repository.root.join(file);
        let metadata = path
            .symlink_metadata()
            .with_context(|| format!("look at {}", path.display()))?;
        findings.extend(size::check(file, metadata.len()));
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => findings.extend(check_rust(file, &read(&path)?)),
            Some("md") => {
                findings.extend(links::check(&repository.root, file, &read(&path)?));
            }
            _ => {}
        }
    }
    let architecture = read(&repository.root.join("ARCHITECTURE.md"))?;
    findings.extend(architecture::check(&stage::folders(&files), &architecture));
    Ok(findings)
}

/// Checks one Rust file.
fn check_rust(file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = source::check_text(file, text);
    match syn::parse_file(text) {
        Ok(syntax) => {
            findings.extend(source::check_syntax(file, &syntax));
            findings.extend(imports::check(file, &syntax));
        }
        Err(error) => findings.push(Finding::new(file.display(), format!("no Rust: {error}"))),
    }
    findings
}

/// Reads a text file of the repository.
fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}
