//! `query regressions` without anything else: what changed lately, service by service.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tonic::Code;

use super::{
    args::{ConnectionArgs, RegressionsArgs, Than},
    client::{Client, ask, refused},
    format::Forms,
    json,
    regressions::{draw, question},
};
use crate::{
    render::clean,
    wire::v1::generated::{LabelValuesRequest, RegressionsResponse},
};

/// Most services that are compared.
const SERVICES_MAX: u32 = 64;
/// With what something is compared, and how programs and people say that.
type Compared = (Than, &'static str, &'static str);
/// With what each service is compared.
const COMPARED: [Compared; 3] = [
    (Than::PreviousBuild, "previous_build", "the build before"),
    (Than::Yesterday, "yesterday", "yesterday"),
    (Than::LastWeek, "last_week", "last week"),
];

/// One service, compared with something.
struct Lately {
    service: String,
    than: Compared,
    answer: RegressionsResponse,
}

impl Lately {
    /// Whether there was something to compare with.
    fn is_compared(&self) -> bool {
        0.0 < self.answer.before_samples && 0.0 < self.answer.after_samples
    }

    /// Whether anything changed.
    fn has_changed(&self) -> bool {
        !self.answer.slower.is_empty() || !self.answer.faster.is_empty()
    }
}

/// Compares every service of the last hour with its past.
pub(super) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &RegressionsArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("regressions"))?;
    let mut found = Vec::new();
    for service in services(client, to, args).await? {
        for than in COMPARED {
            let Some(answer) = compare(client, to, args, (&service, than.0)).await? else {
                continue;
            };
            found.push(Lately {
                service: service.clone(),
                than,
                answer,
            });
        }
    }
    found.retain(Lately::is_compared);
    args.output.answer(
        form,
        || {
            let all: Vec<Value> = found.iter().map(lately_json).collect();
            json!({ "comparisons": all })
        },
        || text(&found),
    )
}

/// Services that have data.
async fn services(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &RegressionsArgs,
) -> anyhow::Result<Vec<String>> {
    let asked = LabelValuesRequest {
        selection: Some(args.selection.message()?),
        name: "service".to_owned(),
        limit: SERVICES_MAX,
    };
    let answer = client.label_values(ask(asked, to)).await;
    Ok(answer
        .map_err(|status| refused(&status, to))?
        .into_inner()
        .values)
}

/// One comparison of a service; nothing when there is no build before the present one.
async fn compare(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &RegressionsArgs,
    (service, than): (&str, Than),
) -> anyhow::Result<Option<RegressionsResponse>> {
    let mut after = args.selection.message()?;
    let value = service.replace('\\', "\\\\").replace('"', "\\\"");
    after.selector = format!("{{service=\"{value}\"}}");
    let asked = question(args, after, than);
    match client.regressions(ask(asked, to)).await {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(refused(&status, to)),
    }
}

/// What changed, and with what nothing did.
fn text(found: &[Lately]) -> String {
    if found.is_empty() {
        return "there is nothing yet to compare the last hour with\n".to_owned();
    }
    let mut text = String::new();
    for lately in found.iter().filter(|lately| lately.has_changed()) {
        let service = clean(&lately.service);
        let _infallible = writeln!(text, "{service}, against {}", lately.than.2);
        text += &draw(&lately.answer);
        text.push('\n');
    }
    let same = found.iter().filter(|lately| !lately.has_changed());
    for lately in same {
        let service = clean(&lately.service);
        let _infallible = writeln!(text, "{service}: nothing against {}", lately.than.2);
    }
    text
}

/// One comparison for programs.
fn lately_json(lately: &Lately) -> Value {
    json!({
        "service": lately.service,
        "against": lately.than.1,
        "changes": json::regressions(&lately.answer),
    })
}

#[cfg(test)]
mod tests {
    use super::{COMPARED, Lately, text};
    use crate::wire::v1::generated::{Change, FramePlace, RegressionsResponse};

    /// A comparison in which some functions became slower.
    fn compared(service: &str, slower: &[&str]) -> Lately {
        let change = |name: &&str| Change {
            place: Some(FramePlace {
                function: (*name).to_owned(),
                ..FramePlace::default()
            }),
            ..Change::default()
        };
        Lately {
            service: service.to_owned(),
            than: COMPARED[1],
            answer: RegressionsResponse {
                slower: slower.iter().map(change).collect(),
                before_samples: 10.0,
                after_samples: 10.0,
                ..RegressionsResponse::default()
            },
        }
    }

    #[test]
    fn what_changed_comes_first_and_the_rest_is_named() {
        let text = text(&[compared("fine", &[]), compared("api", &["serialize"])]);
        assert!(text.starts_with("api, against yesterday\n"), "{text}");
        assert!(text.contains("serialize"), "{text}");
        assert!(
            text.ends_with("fine: nothing against yesterday\n"),
            "{text}"
        );
    }
}
