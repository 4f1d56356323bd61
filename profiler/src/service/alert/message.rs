//! What receivers are told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::service::insight::{Judged, Limit};

/// Something that someone is told about an alert.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    /// Name of the limit.
    pub(super) name: String,
    /// Whether it fires, or is over.
    pub(super) is_firing: bool,
    pub(super) severity: &'static str,
    pub(super) summary: String,
    pub(super) details: Vec<String>,
    pub(super) command: String,
    pub(super) value: f64,
    pub(super) at_most: f64,
    /// When it began to fire, wall clock.
    pub(super) fired: Duration,
    /// When this is told, wall clock.
    pub(super) now: Duration,
    pub(super) selector: String,
}

impl Message {
    /// The message about a limit that was looked at.
    pub(super) fn of(
        limit: &Limit,
        judged: &Judged,
        is_firing: bool,
        [fired, now]: [Duration; 2],
    ) -> Self {
        Self {
            name: limit.name.clone(),
            is_firing,
            severity: limit.severity.as_str(),
            summary: judged.summary.clone(),
            details: judged.measured.details.clone(),
            command: judged.measured.command.clone(),
            value: judged.measured.interval.value,
            at_most: judged.at_most,
            fired,
            now,
            selector: limit.selector.clone(),
        }
    }

    /// As a webhook takes it; fields are only ever added.
    pub(super) fn webhook(&self) -> Value {
        json!({
            "version": 1,
            "alert": self.name,
            "status": if self.is_firing { "firing" } else { "resolved" },
            "severity": self.severity,
            "summary": self.summary,
            "details": self.details,
            "command": self.command,
            "value": self.value,
            "limit": self.at_most,
            "selector": self.selector,
            "fired_at": rfc3339(self.fired),
            "at": rfc3339(self.now),
        })
    }

    /// As the second version of Alertmanager's API takes it: an array of alerts. An alert that is
    /// not told again for a while is over, which is why its end lies some time ahead.
    pub(super) fn alertmanager(&self, keep_for: Duration) -> Value {
        let ends = if self.is_firing {
            self.now + keep_for
        } else {
            self.now
        };
        json!([{
            "labels": {
                "alertname": self.name,
                "severity": self.severity,
                "source": "profiler",
            },
            "annotations": {
                "summary": self.summary,
                "description": self.details.join("\n"),
                "command": self.command,
                "selector": self.selector,
            },
            "startsAt": rfc3339(self.fired),
            "endsAt": rfc3339(ends),
        }])
    }
}

/// A moment as RFC 3339 has it, in UTC.
///
/// Source: RFC 3339 §5.6; days to dates by counting years of 400 from March on.
fn rfc3339(since_epoch: Duration) -> String {
    let (days, seconds) = (
        since_epoch.as_secs() / 86_400,
        since_epoch.as_secs() % 86_400,
    );
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    // Days since the first of March of the year zero.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let millis = since_epoch.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Message, rfc3339};

    #[test]
    fn moments_are_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_700_000_000, "2023-11-14T22:13:20.000Z"),
            (4_102_444_799, "2099-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(expected, rfc3339(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn an_alert_that_is_over_ends_now() {
        let mut message = Message {
            name: "n".to_owned(),
            is_firing: true,
            severity: "warning",
            summary: "s".to_owned(),
            details: Vec::new(),
            command: String::new(),
            value: 1.0,
            at_most: 0.5,
            fired: Duration::from_secs(10),
            now: Duration::from_secs(20),
            selector: String::new(),
        };
        let keep_for = Duration::from_secs(300);
        let firing = message.alertmanager(keep_for);
        assert_eq!("1970-01-01T00:05:20.000Z", firing[0]["endsAt"]);
        assert_eq!("n", firing[0]["labels"]["alertname"]);
        message.is_firing = false;
        assert_eq!(
            "1970-01-01T00:00:20.000Z",
            message.alertmanager(keep_for)[0]["endsAt"]
        );
        assert_eq!("resolved", message.webhook()["status"]);
    }
}
