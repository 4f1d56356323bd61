//! `query flamegraph`.

use super::{
    args::{ConnectionArgs, FlamegraphArgs},
    client::{Client, ask, refused},
    format::{Form, Forms},
    json,
    text::{Side, Table, marked, quality_line, say_if_nothing, value_type},
};
use crate::{
    render::{quantity, share},
    wire::v1::generated::{
        ExportFormat, ExportRequest, FlameGraphRequest, FlameGraphResponse, Selection,
    },
};

/// What it can be written as.
pub(super) const FORMS: Forms = Forms {
    question: "flamegraph",
    known: &[
        Form::Table,
        Form::Json,
        Form::Svg,
        Form::Pprof,
        Form::Collapsed,
        Form::Speedscope,
    ],
    names: ".svg, .json, .pb.gz, .collapsed, .txt or .speedscope.json",
};

/// Asks for the merged stacks.
pub(super) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &FlamegraphArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(FORMS)?;
    let selection = args.selection.message()?;
    let bytes = match form.export() {
        Some(format) => export(client, to, selection, format).await?,
        None => tree(client, to, selection, args.nodes, form).await?,
    };
    args.output.write(&bytes)
}

/// The tree, as text or JSON.
async fn tree(
    client: &mut Client,
    to: &ConnectionArgs,
    selection: Selection,
    node_limit: u32,
    form: Form,
) -> anyhow::Result<Vec<u8>> {
    let question = FlameGraphRequest {
        selection: Some(selection),
        node_limit,
    };
    let answer = client.flame_graph(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    Ok(if form == Form::Json {
        json::text(&json::flame_graph(&answer))
    } else {
        say_if_nothing(answer.total);
        draw(&answer).into_bytes()
    })
}

/// A file that the service makes.
pub(super) async fn export(
    client: &mut Client,
    to: &ConnectionArgs,
    selection: Selection,
    format: ExportFormat,
) -> anyhow::Result<Vec<u8>> {
    let question = ExportRequest {
        selection: Some(selection),
        format: format.into(),
    };
    let answer = client.export(ask(question, to)).await;
    let mut parts = answer.map_err(|status| refused(&status, to))?.into_inner();
    let mut file = Vec::new();
    while let Some(part) = (parts.message().await).map_err(|status| refused(&status, to))? {
        file.extend(part.chunk);
    }
    Ok(file)
}

/// The tree as text: one line a node, indented by depth.
fn draw(answer: &FlameGraphResponse) -> String {
    let value_type = value_type(answer.value_type.as_ref());
    let mut table = Table::new(&[
        ("TOTAL", Side::Right),
        ("", Side::Right),
        ("SELF", Side::Right),
        ("FUNCTION", Side::Left),
    ]);
    let mut depths: Vec<usize> = Vec::new();
    for (index, node) in answer.nodes.iter().enumerate() {
        let above = depths.get(node.parent as usize);
        let depth = above.filter(|_| 0 < index).map_or(0, |depth| depth + 1);
        depths.push(depth);
        let name = answer.strings.get(node.function as usize);
        let name = name.map_or("", String::as_str);
        table.row(vec![
            quantity(node.total, &value_type),
            share(node.total, answer.total),
            quantity(node.self_, &value_type),
            format!(
                "{}{}",
                " ".repeat(depth),
                marked(name, node.kind, node.is_inlined)
            ),
        ]);
    }
    table.draw() + &quality_line(answer.quality.as_ref())
}
