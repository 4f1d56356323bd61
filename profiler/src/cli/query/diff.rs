//! `query diff`.

use std::time::Duration;

use anyhow::Context as _;

use super::{
    args::{ConnectionArgs, DiffArgs},
    client::{Client, ask, refused},
    flame_graph::export,
    format::{Form, Forms},
    json,
    text::quality_line,
};
use crate::{
    model::Profile,
    render::{self, Difference, Format, Normalize},
    wire::v1::generated::{DiffRequest, DiffResponse, ExportFormat, Selection},
};

/// What it can be written as.
pub(super) const FORMS: Forms = Forms {
    question: "diff",
    known: &[Form::Table, Form::Json, Form::Svg, Form::Collapsed],
    names: ".svg, .json, .collapsed or .txt",
};

/// Asks for two selections and compares them.
pub(super) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &DiffArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(FORMS)?;
    let after = args.selection.message()?;
    let before = before(args, &after);
    if form == Form::Json {
        let answer = ask_diff(client, to, &before, &after).await?;
        return args.output.write(&json::text(&json::diff(&answer)));
    }
    let profiles = [
        profile(client, to, before.clone()).await?,
        profile(client, to, after.clone()).await?,
    ];
    let normalize = if args.normalize {
        Normalize::EqualTotals
    } else {
        Normalize::No
    };
    let [first, second] = &profiles;
    let difference = Difference::between(first, second, normalize).context("compare")?;
    let bytes = match form {
        Form::Svg => difference.to_svg(&name(&before, &after), &name(&after, &before))?,
        Form::Collapsed => difference.to_collapsed().into_bytes(),
        Form::Table | Form::Json | Form::Pprof | Form::Speedscope => {
            let table = difference.to_table(args.limit);
            let line = |profile: &Profile| {
                let quality = crate::wire::v1::encode_quality(&profile.quality);
                quality_line(Some(&quality))
            };
            format!("{table}before {}after  {}", line(first), line(second)).into_bytes()
        }
    };
    args.output.write(&bytes)
}

/// The selection to compare with: another selector at the same time, or the same one earlier.
fn before(args: &DiffArgs, after: &Selection) -> Selection {
    let length = after.end_ns.saturating_sub(after.start_ns);
    let offset = match (&args.offset, &args.against) {
        (Some(offset), _) => u64::try_from(offset.0.as_nanos()).unwrap_or(u64::MAX),
        (None, Some(_)) => 0,
        (None, None) => length,
    };
    Selection {
        selector: args
            .against
            .clone()
            .unwrap_or_else(|| after.selector.clone()),
        // Zero means something else on the wire.
        start_ns: after.start_ns.saturating_sub(offset).max(1),
        end_ns: after.end_ns.saturating_sub(offset).max(2),
        ..after.clone()
    }
}

/// What a person calls a selection in comparison with another one.
fn name(selection: &Selection, other: &Selection) -> String {
    if selection.selector != other.selector {
        return match selection.selector.as_str() {
            "" => "{}".to_owned(),
            selector => render::clean(selector),
        };
    }
    let start = Duration::from_nanos(selection.start_ns);
    super::time::Utc(start).to_string()
}

/// Both in one tree.
async fn ask_diff(
    client: &mut Client,
    to: &ConnectionArgs,
    before: &Selection,
    after: &Selection,
) -> anyhow::Result<DiffResponse> {
    let question = DiffRequest {
        before: Some(before.clone()),
        after: Some(after.clone()),
        node_limit: 0,
    };
    let answer = client.diff(ask(question, to)).await;
    Ok(answer.map_err(|status| refused(&status, to))?.into_inner())
}

/// A selection as a profile.
async fn profile(
    client: &mut Client,
    to: &ConnectionArgs,
    selection: Selection,
) -> anyhow::Result<Profile> {
    let file = export(client, to, selection, ExportFormat::Json).await?;
    render::read(&file, Format::Json).context("read what the service sent")
}
