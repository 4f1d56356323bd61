//! `profiler convert`: from one format to another.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;

use super::{input, output};
use crate::render::{self, Format};

/// Convert a profile from one format to another.
#[derive(Args, Debug)]
pub struct ConvertArgs {
    /// Profile to read: .json, .pb.gz, .collapsed, .txt or .speedscope.json; - is standard input
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// File to write: any of these, or .svg; - is standard output
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Format of IN, when neither its name nor its content tells
    #[arg(long, value_name = "FORMAT")]
    from: Option<Format>,
    /// Format of OUT, when its name does not tell: svg, collapsed, pprof, speedscope or json
    #[arg(long, value_name = "FORMAT", visible_alias = "format")]
    to: Option<Format>,
}

/// Reads, converts and writes.
///
/// # Errors
/// Each names the file and the cause.
pub fn run(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    let format = match args.to {
        Some(format) => format,
        None => Format::from_path(&args.output).context("name the format with --to")?,
    };
    let profile = input::read(&args.input, args.from)?;
    let bytes = render::write(&profile, format)
        .with_context(|| format!("cannot convert {}", args.input.display()))?;
    output::write(&args.output, &bytes)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::{ConvertArgs, run};

    /// Parses arguments and runs them.
    fn convert(args: &[&str]) -> anyhow::Result<()> {
        let command = ConvertArgs::augment_args(Command::new("convert").no_binary_name(true));
        let matches = command.try_get_matches_from(args)?;
        run(&ConvertArgs::from_arg_matches(&matches)?).map(|_code| ())
    }

    #[test]
    fn converts_by_extension_and_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        std::fs::write(path("a.txt"), "app;main;f_[k] 3\n").unwrap();
        convert(&[&path("a.txt"), &path("b.pb.gz")]).unwrap();
        // No extension: the content tells.
        std::fs::rename(path("b.pb.gz"), path("profile")).unwrap();
        convert(&[&path("profile"), &path("c.json")]).unwrap();
        convert(&[&path("c.json"), &path("d"), "--to", "collapsed"]).unwrap();
        let back = std::fs::read_to_string(path("d")).unwrap();
        assert_eq!("app;main;f_[k] 3\n", back);
    }

    #[test]
    fn errors_name_the_file_and_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        std::fs::write(path("bad.txt"), "app;main 3\nnonsense\n").unwrap();
        let message = |args: &[&str]| format!("{:#}", convert(args).unwrap_err());
        let bad = message(&[&path("bad.txt"), &path("o.svg")]);
        assert!(bad.contains("bad.txt") && bad.contains("line 2"), "{bad}");
        let unknown = message(&[&path("bad.txt"), &path("o.png")]);
        assert!(
            unknown.contains("--to") && unknown.contains(".svg"),
            "{unknown}"
        );
        let missing = message(&[&path("none.json"), &path("o.svg")]);
        assert!(missing.contains("none.json"), "{missing}");
        assert!(!dir.path().join("o.svg").try_exists().unwrap());
    }
}
