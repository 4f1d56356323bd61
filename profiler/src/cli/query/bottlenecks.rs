//! `query bottlenecks`.

use std::fmt::Write as _;

use super::{
    args::{BottlenecksArgs, ConnectionArgs, Grave},
    client::{Client, ask, refused},
    format::Forms,
    json,
    text::quality_line,
};
use crate::{
    render::clean,
    wire::v1::generated::{
        BottlenecksRequest, BottlenecksResponse, EvidenceNumber, Finding, FramePlace, Severity,
    },
};

/// Asks what is wrong.
pub(super) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &BottlenecksArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("bottlenecks"))?;
    let range = args.time.range()?;
    let least = match args.least {
        Grave::Info => Severity::Info,
        Grave::Warning => Severity::Warning,
        Grave::Critical => Severity::Critical,
    };
    let question = BottlenecksRequest {
        selector: args.selector.clone(),
        start_ns: range.start_ns,
        end_ns: range.end_ns,
        limit: args.limit,
        least: least.into(),
        is_whole: args.whole,
    };
    let answer = client.bottlenecks(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    args.output
        .answer(form, || json::bottlenecks(&answer), || draw(&answer))
}

/// The findings as text, a paragraph each.
fn draw(answer: &BottlenecksResponse) -> String {
    let mut text = String::new();
    for (index, finding) in answer.findings.iter().enumerate() {
        text += &draw_finding(index + 1, finding);
        text.push('\n');
    }
    if answer.findings.is_empty() {
        text += if answer.signals.is_empty() {
            "no data for this selection in this time\n"
        } else {
            "nothing found\n"
        };
    }
    let signals: Vec<String> = answer.signals.iter().map(|signal| clean(signal)).collect();
    let _infallible = writeln!(
        text,
        "looked at {} of {} service{}",
        if signals.is_empty() {
            "no signal".to_owned()
        } else {
            signals.join(", ")
        },
        answer.services,
        if answer.services == 1 { "" } else { "s" },
    );
    text + &quality_line(answer.quality.as_ref())
}

/// One finding.
fn draw_finding(number: usize, finding: &Finding) -> String {
    let mut lines = vec![format!(
        "{number}. {} {}{}",
        json::severity(finding.severity),
        finding.kind_name.replace('_', " "),
        if finding.service.is_empty() {
            String::new()
        } else {
            format!(" in {}", clean(&finding.service))
        },
    )];
    lines.push(format!("   {}", clean(&finding.summary)));
    lines.push(format!("   at {}", place(finding.place.as_ref())));
    if finding.holder.is_some() {
        lines.push(format!("   held in {}", place(finding.holder.as_ref())));
    }
    if !finding.path.is_empty() {
        let path: Vec<String> = finding
            .path
            .iter()
            .map(|level| clean(&level.function))
            .collect();
        lines.push(format!("   by {}", path.join(" → ")));
    }
    for evidence in finding.cost.iter().chain(&finding.evidence) {
        let what = if evidence.name == "cost" {
            format!("cost, of {}", finding.cost_of)
        } else {
            evidence.text.clone()
        };
        lines.push(format!("   {}: {}", clean(&what), number_text(evidence)));
    }
    lines.push(format!("   $ {}", clean(&finding.command)));
    lines.join("\n") + "\n"
}

/// A function with its file and line.
fn place(place: Option<&FramePlace>) -> String {
    let Some(place) = place else {
        return "unknown".to_owned();
    };
    let function = clean(&place.function);
    if place.file.is_empty() {
        return if place.module.is_empty() {
            function
        } else {
            format!("{function}  ({})", clean(&place.module))
        };
    }
    format!("{function}  ({}:{})", clean(&place.file), place.line)
}

/// A number with its bounds, where it has any.
fn number_text(number: &EvidenceNumber) -> String {
    let show = |value| amount(value, &number.unit);
    let value = show(number.value);
    if number.low < number.high {
        format!("{value} ({} to {})", show(number.low), show(number.high))
    } else {
        value
    }
}

/// A value in its unit.
fn amount(value: f64, unit: &str) -> String {
    /// In the largest unit that leaves something before the point.
    fn scaled(value: f64, units: [(&str, f64); 4]) -> String {
        let fits = units.iter().rev().find(|(_, size)| *size <= value.abs());
        let (name, size) = fits.copied().unwrap_or(units[0]);
        format!("{:.2}{name}", value / size)
    }
    let memory = [
        (" B", 1.0),
        (" KiB", 1_024.0),
        (" MiB", 1_048_576.0),
        (" GiB", 1_073_741_824.0),
    ];
    match unit {
        "ratio" => format!("{:.1}%", value * 100.0),
        "nanoseconds" => scaled(
            value,
            [(" ns", 1.0), (" µs", 1e3), (" ms", 1e6), (" s", 1e9)],
        ),
        "bytes" => scaled(value, memory),
        "bytes_per_second" => format!("{}/s", scaled(value, memory)),
        "per_second" => format!("{value:.1}/s"),
        "count" => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::wire::v1::generated::{
        BottlenecksResponse, EvidenceNumber, Finding, FramePlace, Severity,
    };

    #[test]
    fn a_finding_is_a_paragraph_with_its_place_and_command() {
        let number = |name: &str, text: &str| EvidenceNumber {
            name: name.to_owned(),
            value: 0.61,
            low: 0.58,
            high: 0.64,
            unit: "ratio".to_owned(),
            text: text.to_owned(),
        };
        let answer = BottlenecksResponse {
            findings: vec![Finding {
                kind_name: "hot_function".to_owned(),
                severity: Severity::Critical.into(),
                place: Some(FramePlace {
                    function: "spin".to_owned(),
                    file: "src/a.c".to_owned(),
                    line: 12,
                    ..FramePlace::default()
                }),
                cost: Some(number("cost", "cost")),
                cost_of: "CPU time".to_owned(),
                evidence: vec![number("self_share", "share by itself")],
                summary: "`spin` is hot.".to_owned(),
                command: "profiler query top".to_owned(),
                service: "api".to_owned(),
                ..Finding::default()
            }],
            signals: vec!["cpu".to_owned()],
            services: 1,
            ..BottlenecksResponse::default()
        };
        let expected = "\
1. critical hot function in api
   `spin` is hot.
   at spin  (src/a.c:12)
   cost, of CPU time: 61.0% (58.0% to 64.0%)
   share by itself: 61.0% (58.0% to 64.0%)
   $ profiler query top

looked at cpu of 1 service
quality: unknown
";
        assert_eq!(expected, draw(&answer));
        let none = draw(&BottlenecksResponse::default());
        assert!(none.starts_with("no data"), "{none}");
    }
}
