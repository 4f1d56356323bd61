//! `profiler doctor`: what this kernel and these privileges allow.

use std::process::ExitCode;

use clap::Args;

use super::exit::print;
use crate::host::run::survey;

/// Say what this kernel and these privileges allow, what is lost, and what to do
#[derive(Args, Debug)]
#[command(after_help = "\
Every line is found by trying, not by the kernel's version. Exit code 3 when nothing can be recorded.")]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tries everything and prints what was found.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let survey = survey();
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&survey)?))?;
    } else {
        print(&survey.to_string())?;
    }
    Ok(if survey.can_record {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(3)
    })
}
