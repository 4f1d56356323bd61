//! Test programs: built by one cargo command, asked for their tests, run one by one.
//!
//! They are run here and not by cargo because which of their tests are privileged is a matter of
//! where a path starts, and the filters of libtest only know what a path contains.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Tally, libtest::Reader};
use crate::{command::Step, repository::Repository, setup};

/// Longest one program may take. All of them together are to take half of this on two cores; what
/// runs longer hangs, and is ended and counted as failed.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// The program with privileged tests, and where their paths start.
const PRIVILEGED: (&str, &str) = ("it", "kernel::");

/// One test program and the tests chosen from it.
pub(super) struct Suite {
    program: Program,
    ordinary: Vec<String>,
    privileged: Vec<String>,
}

/// What a test needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Nothing special; such tests run side by side.
    Ordinary,
    /// Root and the host's kernel to itself; such tests run one after the other.
    Privileged,
}

/// A test program that cargo built.
#[derive(Debug, Eq, PartialEq)]
struct Program {
    /// Name of the target: the crate's for unit tests, `it` for the integration tests.
    name: String,
    executable: PathBuf,
    /// Folder of the package; tests run there.
    folder: PathBuf,
}

/// Builds every test program of the default members, and chooses the tests whose path contains
/// the filter.
pub(super) fn build(repository: &Repository, filter: &str) -> anyhow::Result<Vec<Suite>> {
    let mut programs = Vec::new();
    let status = repository
        .cargo([
            "test",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ])
        .lines(|line| programs.extend(program_of(line)))?;
    ensure!(status.success(), "cargo test --no-run: {status}");
    programs
        .into_iter()
        .map(|program| Suite::choose(program, filter))
        .collect()
}

/// The test program that a line of cargo's messages announces.
fn program_of(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    if !message.pointer("/profile/test")?.as_bool()? {
        return None;
    }
    let text = |pointer: &str| message.pointer(pointer)?.as_str();
    Some(Program {
        name: text("/target/name")?.to_owned(),
        executable: PathBuf::from(text("/executable")?),
        folder: Path::new(text("/manifest_path")?).parent()?.to_owned(),
    })
}

impl Suite {
    /// Asks a program for its tests and chooses among them.
    fn choose(program: Program, filter: &str) -> anyhow::Result<Self> {
        let listed = Step::new(&program.executable.to_string_lossy())
            .args(["--list", "--format=terse"])
            .folder(&program.folder)
            .output()
            .with_context(|| format!("list the tests of {}", program.name))?;
        let (privileged, ordinary) = listed
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .filter(|name| name.contains(filter))
            .map(str::to_owned)
            .partition(|name| program.name == PRIVILEGED.0 && name.starts_with(PRIVILEGED.1));
        Ok(Self {
            program,
            ordinary,
            privileged,
        })
    }

    /// Runs the chosen tests of one kind and counts how they end.
    pub(super) fn run(&self, repository: &Repository, kind: Kind, tally: &mut Tally) {
        let (title, names) = match kind {
            Kind::Ordinary => ("tests", &self.ordinary),
            Kind::Privileged => ("privileged tests", &self.privileged),
        };
        if names.is_empty() {
            return;
        }
        let title = format!("{title} of {}", self.program.name);
        println!("== {title}");
        let mut reader = Reader::default();
        let ended = self.step(repository, kind, names).lines(|line| {
            if let Some(shown) = reader.read(line) {
                println!("{shown}");
            }
        });
        let outcome = reader.finish();
        match ended {
            Ok(status) if outcome.explains(status.success()) => {}
            // Ended by a signal, by its limit, or before it had counted.
            Ok(status) => tally.fail(format!("{title}: {status}")),
            Err(error) => tally.fail(format!("{title}: {error:#}")),
        }
        tally.add_tests(outcome, kind);
    }

    /// The command that runs tests of this program by their exact names.
    fn step(&self, repository: &Repository, kind: Kind, names: &[String]) -> Step {
        let threads: &[&str] = match kind {
            Kind::Ordinary => &[],
            Kind::Privileged => &["--test-threads=1"],
        };
        Step::bounded(LIMIT, &self.program.executable.to_string_lossy())
            // What passing tests print says what was skipped and what was measured.
            .args(["--show-output", "--exact"])
            .args(threads)
            .args(names)
            .titled(&self.program.name)
            .folder(&self.program.folder)
            .env("CARGO_MANIFEST_DIR", &self.program.folder)
            .env("PROFILER_BIN", repository.target.join("debug/profiler"))
            .env("PROFILER_NPM_DIR", setup::npm_folder(repository))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_with_tests_are_told_from_other_artifacts() {
        let program = r#"{"reason":"compiler-artifact","manifest_path":"/w/tests/Cargo.toml",
            "target":{"name":"it"},"profile":{"test":true},"executable":"/t/it-1"}"#;
        let expected = Program {
            name: "it".to_owned(),
            executable: PathBuf::from("/t/it-1"),
            folder: PathBuf::from("/w/tests"),
        };
        assert_eq!(program_of(program), Some(expected));
        assert_eq!(program_of(&program.replace("true", "false")), None);
        assert_eq!(program_of(&program.replace("\"/t/it-1\"", "null")), None);
        assert_eq!(program_of("   Compiling it"), None);
    }
}
