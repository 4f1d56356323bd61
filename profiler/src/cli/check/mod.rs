//! `profiler check`: a budget against a recorded file or the service.

mod report;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::{
    exit::eprint,
    input, output,
    query::{ConnectionArgs, ask, connect, refused},
};
use crate::{
    service::run::{Recorded, RecordingLabel},
    wire::v1::generated::{CheckRequest, CheckResponse},
};

/// Check a budget: exit 1 when a limit is broken
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  profiler check --budget budget.toml --input out.pb.gz
  profiler check --budget budget.toml --input new.json --baseline old.json --format markdown
  profiler check --budget budget.toml --input new.json --label service=api --format junit -o check.xml
  profiler check --budget budget.toml --server http://127.0.0.1:7317

Exit codes: 0 every limit is kept, 1 a limit is broken, 2 wrong usage, 4 the service cannot be
reached. A limit without data is neither kept nor broken; --require-data makes it a failure.")]
pub struct CheckArgs {
    /// The limits, TOML
    #[arg(long, value_name = "FILE")]
    budget: PathBuf,
    /// Check this recorded profile, and not the service; may be given more than once, for signals
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// What `regressions` compares with; one file for each signal
    #[arg(long, value_name = "FILE", requires = "input")]
    baseline: Vec<PathBuf>,
    /// A label that the recorded profiles get, for the selectors of the budget
    #[arg(long = "label", value_name = "NAME=VALUE", requires = "input")]
    labels: Vec<RecordingLabel>,
    /// What counts as a finding, TOML; what is built in when left out
    #[arg(long, value_name = "FILE", requires = "input")]
    rules: Option<PathBuf>,
    /// Form of the report
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: ReportForm,
    /// File to write the report to; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Fail when there is no data for a limit
    #[arg(long)]
    require_data: bool,
    /// How to reach the service
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Forms of the report.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum ReportForm {
    /// For people
    Table,
    /// For programs
    Json,
    /// For continuous integration: a test case a limit
    Junit,
    /// For a comment on a change
    Markdown,
}

/// Checks, writes the report, and says how it went.
///
/// # Errors
/// What of the budget or the data cannot be used; the service cannot be reached.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let budget = text_of(&args.budget)?;
    let answer = if args.input.is_empty() {
        of_service(args, budget)?
    } else {
        of_files(args, &budget)?
    };
    let report = match args.format {
        ReportForm::Table => report::table(&answer),
        ReportForm::Json => report::json(&answer),
        ReportForm::Junit => report::junit(&answer),
        ReportForm::Markdown => report::markdown(&answer),
    };
    output::write(&args.output, report.as_bytes())?;
    let without_data = report::without_data(&answer);
    if 0 < without_data {
        eprint(&format!(
            "profiler: no data for {without_data} of the limits"
        ));
    }
    if answer.is_broken || (args.require_data && 0 < without_data) {
        Ok(ExitCode::FAILURE)
    } else {
        Ok(ExitCode::SUCCESS)
    }
}

/// A small file.
fn text_of(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Checks recorded profiles.
fn of_files(args: &CheckArgs, budget: &str) -> anyhow::Result<CheckResponse> {
    let read = |paths: &[PathBuf]| -> anyhow::Result<Vec<_>> {
        paths.iter().map(|path| input::read(path, None)).collect()
    };
    let rules = args.rules.as_deref().map(text_of).transpose()?;
    let recorded = Recorded::new(read(&args.input)?, read(&args.baseline)?, &args.labels)?;
    recorded
        .check(budget, rules.as_deref().unwrap_or_default())
        .with_context(|| args.budget.display().to_string())
}

/// Has the service check.
fn of_service(args: &CheckArgs, budget: String) -> anyhow::Result<CheckResponse> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the client")?;
    runtime.block_on(async {
        let to = &args.connection;
        let mut client = connect(to).await?;
        let question = CheckRequest {
            budget,
            ..CheckRequest::default()
        };
        let answer = client.check(ask(question, to)).await;
        Ok(answer.map_err(|status| refused(&status, to))?.into_inner())
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::ExitCode};

    use clap::{Args as _, Command, FromArgMatches as _};

    use super::{CheckArgs, run};

    /// Parses arguments and runs them.
    fn check(args: &[&str]) -> anyhow::Result<ExitCode> {
        let command = CheckArgs::augment_args(Command::new("check").no_binary_name(true));
        let matches = command.try_get_matches_from(args)?;
        run(&CheckArgs::from_arg_matches(&matches)?)
    }

    /// Whether a budget of some limits is kept by a recording in which `work` takes so many of a
    /// thousand samples.
    fn kept(dir: &Path, limits: &str, work: u32, baseline: Option<u32>) -> (ExitCode, String) {
        let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
        let write = |name: &str, work: u32| {
            let rest: String = (0..20)
                .map(|n| format!("app;main;f{n} {}\n", (1_000 - work) / 20))
                .collect();
            fs::write(path(name), format!("app;main;work {work}\n{rest}")).unwrap();
        };
        write("new.txt", work);
        fs::write(path("budget.toml"), limits).unwrap();
        let (budget, new, old, out) = (
            path("budget.toml"),
            path("new.txt"),
            path("old.txt"),
            path("out"),
        );
        let mut args = vec![
            "--budget",
            &budget,
            "--input",
            &new,
            "-o",
            &out,
            "--label",
            "service=api",
        ];
        if let Some(work) = baseline {
            write("old.txt", work);
            args.extend(["--baseline", &old]);
        }
        let code = check(&args).unwrap();
        (code, fs::read_to_string(path("out")).unwrap())
    }

    /// A limit on the share of `work`.
    const SHARE: &str = "[[limit]]\nname = \"work stays small\"\nselector = '{service=\"api\"}'\n\
        measure = \"cpu_share\"\nfunction = \"work\"\nat_most = \"20%\"\n";

    #[test]
    fn a_broken_limit_fails_and_a_kept_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (code, report) = kept(dir.path(), SHARE, 400, None);
        assert_eq!(ExitCode::FAILURE, code, "{report}");
        assert!(
            report.contains("broken") && report.contains("40.0%"),
            "{report}"
        );
        let (code, report) = kept(dir.path(), SHARE, 100, None);
        assert_eq!(ExitCode::SUCCESS, code, "{report}");
    }

    #[test]
    fn a_regression_against_a_baseline_fails() {
        let dir = tempfile::tempdir().unwrap();
        let limits = "[[limit]]\nname = \"nothing slower\"\nmeasure = \"regressions\"\n";
        let (code, report) = kept(dir.path(), limits, 400, Some(100));
        assert_eq!(ExitCode::FAILURE, code, "{report}");
        assert!(report.contains("work"), "{report}");
        let (code, report) = kept(dir.path(), limits, 100, Some(100));
        assert_eq!(ExitCode::SUCCESS, code, "{report}");
    }

    #[test]
    fn no_data_is_neither_kept_nor_broken() {
        let dir = tempfile::tempdir().unwrap();
        let limits = "[[limit]]\nname = \"connects\"\nmeasure = \"latency\"\nphase = \"connect\"\nat_most = \"3ms\"\n";
        let (code, report) = kept(dir.path(), limits, 400, None);
        assert_eq!(ExitCode::SUCCESS, code, "{report}");
        assert!(report.contains("no data"), "{report}");
    }
}
