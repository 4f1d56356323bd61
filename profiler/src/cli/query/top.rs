//! `query top`.

use super::{
    args::{ConnectionArgs, RowsOf, TopArgs},
    client::{Client, ask, refused},
    format::Forms,
    json,
    text::{Side, Table, marked, quality_line, say_if_nothing, value_type},
};
use crate::{
    render::{clean, quantity, share},
    wire::v1::generated::{GroupBy, TopRequest, TopResponse, top_response::Row},
};

/// Asks what weighs most.
pub(super) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &TopArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("top"))?;
    let by = match args.by {
        RowsOf::Function => GroupBy::Function,
        RowsOf::File => GroupBy::File,
        RowsOf::Module => GroupBy::Module,
        RowsOf::Label => GroupBy::Label,
    };
    let question = TopRequest {
        selection: Some(args.selection.message()?),
        by: by.into(),
        label: args.label.clone(),
        limit: args.limit,
    };
    let answer = client.top(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    args.output.answer(
        form,
        || json::top(&answer),
        || {
            say_if_nothing(answer.total);
            draw(&answer, args)
        },
    )
}

/// The rows as text.
fn draw(answer: &TopResponse, args: &TopArgs) -> String {
    let value_type = value_type(answer.value_type.as_ref());
    let label = args.label.to_uppercase();
    let headline = match args.by {
        RowsOf::Function => "FUNCTION",
        RowsOf::File => "FILE",
        RowsOf::Module => "MODULE",
        RowsOf::Label => &label,
    };
    let mut table = Table::new(&[
        ("SELF", Side::Right),
        ("", Side::Right),
        ("TOTAL", Side::Right),
        ("", Side::Right),
        (headline, Side::Left),
    ]);
    for row in &answer.rows {
        table.row(vec![
            quantity(row.self_, &value_type),
            share(row.self_, answer.total),
            quantity(row.total, &value_type),
            share(row.total, answer.total),
            name(row, args.by),
        ]);
    }
    table.draw() + &quality_line(answer.quality.as_ref())
}

/// What a row is called.
fn name(row: &Row, by: RowsOf) -> String {
    match by {
        RowsOf::Function => {
            let function = marked(&row.name, row.kind, false);
            if row.module.is_empty() || function.starts_with('[') {
                function
            } else {
                format!("{function}  ({})", clean(&row.module))
            }
        }
        RowsOf::File | RowsOf::Module | RowsOf::Label if row.name.is_empty() => "(none)".to_owned(),
        RowsOf::File | RowsOf::Module | RowsOf::Label => clean(&row.name),
    }
}
