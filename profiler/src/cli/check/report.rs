//! A checked budget as a report: for people, for programs, for continuous integration.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    cli::query::{Side, Table},
    render::clean,
    wire::v1::generated::{CheckResponse, LimitVerdict, Severity, Verdict},
};

/// How a limit stands, as a word.
fn word(limit: &LimitVerdict) -> &'static str {
    match Verdict::try_from(limit.verdict) {
        Ok(Verdict::Kept) => "kept",
        Ok(Verdict::Broken) => "broken",
        Ok(Verdict::Unknown | Verdict::Unspecified) | Err(_) => "no data",
    }
}

/// Limits for which there is no data.
pub(super) fn without_data(answer: &CheckResponse) -> usize {
    let words = answer.limits.iter().map(word);
    words.filter(|word| *word == "no data").count()
}

/// For people.
pub(super) fn table(answer: &CheckResponse) -> String {
    let mut table = Table::new(&[
        ("VERDICT", Side::Left),
        ("VALUE", Side::Right),
        ("LIMIT", Side::Right),
        ("NAME", Side::Left),
    ]);
    for limit in &answer.limits {
        table.row(vec![
            word(limit).to_owned(),
            limit.value_text.clone(),
            limit.limit_text.clone(),
            clean(&limit.name),
        ]);
    }
    let mut text = table.draw();
    for limit in answer.limits.iter().filter(|limit| word(limit) == "broken") {
        let _infallible = write!(
            text,
            "\n{}\n  {}\n",
            clean(&limit.name),
            clean(&limit.summary)
        );
        for detail in &limit.details {
            let _infallible = write!(text, "  - {}\n", clean(detail));
        }
        let _infallible = write!(text, "  $ {}\n", clean(&limit.command));
    }
    text
}

/// For programs; fields are only ever added.
pub(super) fn json(answer: &CheckResponse) -> String {
    let limit = |limit: &LimitVerdict| {
        json!({
            "name": limit.name,
            "verdict": word(limit).replace(' ', "_"),
            "severity": severity(limit),
            "value": limit.value,
            "value_low": limit.value_low,
            "value_high": limit.value_high,
            "limit": limit.limit,
            "value_text": limit.value_text,
            "limit_text": limit.limit_text,
            "summary": limit.summary,
            "details": limit.details,
            "command": limit.command,
        })
    };
    let value: Value = json!({
        "is_broken": answer.is_broken,
        "start_ns": answer.start_ns,
        "end_ns": answer.end_ns,
        "limits": answer.limits.iter().map(limit).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

/// How grave it is to break a limit.
fn severity(limit: &LimitVerdict) -> &'static str {
    match Severity::try_from(limit.severity) {
        Ok(Severity::Info) => "info",
        Ok(Severity::Critical) => "critical",
        Ok(Severity::Warning | Severity::Unspecified) | Err(_) => "warning",
    }
}

/// For continuous integration: a test case a limit.
pub(super) fn junit(answer: &CheckResponse) -> String {
    let count = |wanted: &str| {
        answer
            .limits
            .iter()
            .filter(|limit| word(limit) == wanted)
            .count()
    };
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a text cannot fail.
    let _infallible = writeln!(
        text,
        "<testsuite name=\"profiler check\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">",
        answer.limits.len(),
        count("broken"),
        count("no data"),
    );
    for limit in &answer.limits {
        let (name, summary) = (xml(&limit.name), xml(&limit.summary));
        let case = format!("  <testcase classname=\"budget\" name=\"{name}\"");
        let _infallible = match word(limit) {
            "broken" => {
                let details: Vec<String> = limit.details.iter().map(|detail| xml(detail)).collect();
                let (details, command) = (details.join("\n"), xml(&limit.command));
                writeln!(
                    text,
                    "{case}>\n    <failure message=\"{summary}\">{details}\n{command}</failure>\n  </testcase>",
                )
            }
            "kept" => writeln!(text, "{case}/>"),
            _ => writeln!(
                text,
                "{case}>\n    <skipped message=\"{summary}\"/>\n  </testcase>"
            ),
        };
    }
    text + "</testsuite>\n"
}

/// A text as XML takes it: characters that it cannot have are left out.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// For a comment on a change.
pub(super) fn markdown(answer: &CheckResponse) -> String {
    let broken = answer.limits.iter().filter(|limit| word(limit) == "broken");
    let mut text = format!(
        "### Performance budget: {}\n\n| | Limit | Value | At most |\n|---|---|--:|--:|\n",
        match broken.clone().count() {
            0 => "kept".to_owned(),
            count => format!("{count} of {} limits broken", answer.limits.len()),
        }
    );
    let cell = |text: &str| clean(text).replace('|', "\\|");
    for limit in &answer.limits {
        let mark = match word(limit) {
            "broken" => "❌",
            "kept" => "✅",
            _ => "❔",
        };
        let (name, value) = (cell(&limit.name), cell(&limit.value_text));
        let _infallible = writeln!(
            text,
            "| {mark} | {name} | {value} | {} |",
            cell(&limit.limit_text)
        );
    }
    for limit in broken {
        let _infallible = writeln!(
            text,
            "\n**{}**: {}",
            cell(&limit.name),
            cell(&limit.summary)
        );
        for detail in &limit.details {
            let _infallible = writeln!(text, "- {}", cell(detail));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{json, junit, markdown, table, without_data};
    use crate::wire::v1::generated::{CheckResponse, LimitVerdict, Severity, Verdict};

    /// One limit of each verdict.
    fn answer() -> CheckResponse {
        let limit = |name: &str, verdict: Verdict| LimitVerdict {
            name: name.to_owned(),
            verdict: verdict.into(),
            severity: Severity::Critical.into(),
            value_text: "6.0%".to_owned(),
            limit_text: "5.0%".to_owned(),
            summary: format!("{name} & <more>"),
            details: vec!["hot | function".to_owned()],
            command: "profiler query top".to_owned(),
            ..LimitVerdict::default()
        };
        CheckResponse {
            limits: vec![
                limit("a \"b\"", Verdict::Broken),
                limit("kept one", Verdict::Kept),
                limit("dark", Verdict::Unknown),
            ],
            is_broken: true,
            ..CheckResponse::default()
        }
    }

    #[test]
    fn a_test_case_stands_for_each_limit() {
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuite name=\"profiler check\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\">
  <testcase classname=\"budget\" name=\"a &quot;b&quot;\">
    <failure message=\"a &quot;b&quot; &amp; &lt;more&gt;\">hot | function
profiler query top</failure>
  </testcase>
  <testcase classname=\"budget\" name=\"kept one\"/>
  <testcase classname=\"budget\" name=\"dark\">
    <skipped message=\"dark &amp; &lt;more&gt;\"/>
  </testcase>
</testsuite>
";
        assert_eq!(expected, junit(&answer()));
    }

    #[test]
    fn every_form_says_what_is_broken() {
        let answer = answer();
        assert_eq!(1, without_data(&answer));
        let text = table(&answer);
        assert!(
            text.starts_with("VERDICT  VALUE  LIMIT  NAME\nbroken    6.0%   5.0%  a \"b\"\n"),
            "{text}"
        );
        assert!(
            text.contains("  - hot | function\n  $ profiler query top\n"),
            "{text}"
        );
        let text = markdown(&answer);
        assert!(
            text.contains("1 of 3 limits broken") && text.contains("hot \\| function"),
            "{text}"
        );
        let value: serde_json::Value = serde_json::from_str(&json(&answer)).unwrap();
        assert_eq!("no_data", value["limits"][2]["verdict"]);
    }
}
