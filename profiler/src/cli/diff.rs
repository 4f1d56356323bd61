//! `profiler diff`: what changed between two profiles.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

#[cfg(feature = "service")]
use super::query::draw_regressions;
use super::{input, output};
#[cfg(feature = "service")]
use crate::service::run::Recorded;
use crate::{
    model::Profile,
    render::{Difference, Format, Normalize},
};

/// Functions in the table, unless asked otherwise: what fits on a screen.
const ROWS_DEFAULT: usize = 30;

/// Show what changed between two profiles.
#[derive(Args, Debug)]
pub struct DiffArgs {
    /// Profile to compare with, in any format that can be read
    #[arg(value_name = "A")]
    before: PathBuf,
    /// Profile to compare
    #[arg(value_name = "B")]
    after: PathBuf,
    /// File to write: .svg for a flame graph, .collapsed for stacks with two numbers; without it,
    /// the functions that changed most are listed on standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Form of the output, when the file's name does not tell
    #[arg(long, value_name = "FORMAT")]
    format: Option<DiffFormat>,
    /// Scale A to the total of B: for recordings of different length
    #[arg(long)]
    normalize: bool,
    /// Most functions in the table
    #[arg(long, value_name = "COUNT", default_value_t = ROWS_DEFAULT)]
    limit: usize,
}

/// Forms of a difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum DiffFormat {
    /// Differential flame graph: red grew, blue shrank
    Svg,
    /// One `comm;frame;frame A B` line a stack
    Collapsed,
    /// The functions that changed most
    Table,
}

/// Reads both, compares and writes.
///
/// # Errors
/// Each names the file and the cause.
pub fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let format = match args.format {
        Some(format) => format,
        None => format_of(&args.output)?,
    };
    let normalize = if args.normalize {
        Normalize::EqualTotals
    } else {
        Normalize::No
    };
    let before = input::read(&args.before, None)?;
    let after = input::read(&args.after, None)?;
    let (name_before, name_after) = (name_of(&args.before), name_of(&args.after));
    let difference = Difference::between(&before, &after, normalize)
        .with_context(|| format!("cannot compare {name_before} and {name_after}"))?;
    let bytes = match format {
        DiffFormat::Svg => difference.to_svg(&name_before, &name_after)?,
        DiffFormat::Collapsed => difference.to_collapsed().into_bytes(),
        DiffFormat::Table => {
            let table = difference.to_table(args.limit);
            (table + &significance(before, after)?).into_bytes()
        }
    };
    output::write(&args.output, &bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// Which of the changes are more than chance explains.
#[cfg(feature = "service")]
fn significance(before: Profile, after: Profile) -> anyhow::Result<String> {
    let recorded = Recorded::new(vec![after], vec![before], &[])?;
    let found = recorded.regressions()?;
    Ok(format!(
        "\nmore than chance explains:\n{}",
        draw_regressions(&found)
    ))
}

/// Nothing is told without the query service, which has the statistics.
#[cfg(not(feature = "service"))]
#[expect(clippy::unnecessary_wraps, reason = "the other build can fail")]
fn significance(_before: Profile, _after: Profile) -> anyhow::Result<String> {
    Ok(String::new())
}

/// The form that a file's name stands for; a table on standard output.
fn format_of(path: &Path) -> anyhow::Result<DiffFormat> {
    if path == Path::new("-") {
        return Ok(DiffFormat::Table);
    }
    match Format::from_path(path) {
        Ok(Format::Svg) => Ok(DiffFormat::Svg),
        Ok(Format::Collapsed) => Ok(DiffFormat::Collapsed),
        Ok(Format::Pprof | Format::Speedscope | Format::Json) | Err(_) => bail!(
            "{}: a difference is written as .svg or .collapsed, or as a table with --format table",
            path.display()
        ),
    }
}

/// What a person calls the file.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::{DiffArgs, run};

    /// Parses arguments and runs them.
    fn diff(args: &[&str]) -> anyhow::Result<()> {
        let command = DiffArgs::augment_args(Command::new("diff").no_binary_name(true));
        let matches = command.try_get_matches_from(args)?;
        run(&DiffArgs::from_arg_matches(&matches)?).map(|_code| ())
    }

    #[test]
    fn writes_every_form() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        std::fs::write(path("a.txt"), "app;f 10\n").unwrap();
        std::fs::write(path("b.txt"), "app;f 10\napp;g 10\n").unwrap();
        let inputs = [path("a.txt"), path("b.txt")];
        let with = |rest: &[&str]| {
            let args: Vec<&str> = inputs
                .iter()
                .map(String::as_str)
                .chain(rest.iter().copied())
                .collect();
            diff(&args)
        };
        with(&["-o", &path("d.svg")]).unwrap();
        assert!(read("d.svg").contains("a.txt → b.txt"));
        with(&["-o", &path("d.collapsed"), "--normalize"]).unwrap();
        assert_eq!("app;f 20 10\napp;g 0 10\n", read("d.collapsed"));
        with(&["-o", &path("d.out"), "--format", "table", "--limit", "1"]).unwrap();
        assert!(read("d.out").contains("50.0%  g\n"), "{}", read("d.out"));
        #[cfg(feature = "service")]
        assert!(
            read("d.out").contains("chance explains"),
            "{}",
            read("d.out")
        );
        let error = with(&["-o", &path("d.json")]).unwrap_err();
        assert!(error.to_string().contains(".svg"), "{error}");
    }
}
