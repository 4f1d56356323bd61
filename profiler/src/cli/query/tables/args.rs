//! What a table is asked for, as it is typed.

use clap::Args;

use crate::{
    cli::query::{
        UsageError,
        args::{OutputArgs, TimeArgs},
    },
    wire::v1::generated as v1,
};

/// Which rows, for all tables.
#[derive(Args, Debug)]
pub(in crate::cli::query) struct TableArgs {
    /// Labels that must match, as {service="api"}
    #[arg(value_name = "SELECTOR", default_value = "", hide_default_value = true)]
    selector: String,
    #[command(flatten)]
    time: TimeArgs,
    #[command(flatten)]
    pub(in crate::cli::query) output: OutputArgs,
    /// Labels that rows are apart by: comm, service, host, pid, container …; '' puts all together
    #[arg(
        long,
        value_name = "LABEL",
        value_delimiter = ',',
        default_value = "comm"
    )]
    by: Vec<String>,
    /// Most rows
    #[arg(
        long = "top",
        visible_alias = "limit",
        value_name = "COUNT",
        default_value_t = 30
    )]
    pub(super) top: u32,
}

impl TableArgs {
    /// The selection for the wire.
    pub(super) fn selection(&self) -> Result<v1::Selection, UsageError> {
        let range = self.time.range()?;
        Ok(v1::Selection {
            selector: self.selector.clone(),
            start_ns: range.start_ns,
            end_ns: range.end_ns,
            ..v1::Selection::default()
        })
    }

    /// The labels that rows are apart by.
    pub(super) fn group_by(&self) -> Vec<String> {
        let typed = self.by.iter().map(|name| name.trim());
        let typed = typed.filter(|name| !name.is_empty());
        typed.map(str::to_owned).collect()
    }
}

/// `query heap`.
#[derive(Args, Debug)]
pub(in crate::cli::query) struct HeapArgs {
    #[command(flatten)]
    pub(in crate::cli::query) table: TableArgs,
    /// A row for each stack, not for each function
    #[arg(long)]
    pub(super) stacks: bool,
}

/// `query leaks`.
#[derive(Args, Debug)]
pub(in crate::cli::query) struct LeaksArgs {
    #[command(flatten)]
    pub(in crate::cli::query) table: TableArgs,
    /// A row for each function, not for each stack: surer where a leak has many stacks
    #[arg(long)]
    pub(super) functions: bool,
    /// What grew but may be chance, too
    #[arg(long)]
    pub(super) all: bool,
}
