//! Alerts over gRPC.

use std::{sync::PoisonError, time::Duration};

use tonic::{Request, Response, Status};

use super::{
    AlertError, Alerting,
    keep::{Event, Silence},
    limits::{
        EVENTS_ANSWER_DEFAULT, EVENTS_ANSWER_MAX, SILENCE_MAX, SILENCES_MAX, TEXT_SIZE_BYTES_MAX,
    },
    machine::State,
};
use crate::{
    clock,
    service::{insight::Limit, query},
    wire::v1::generated::{
        Alert, AlertEvent, AlertHistoryRequest, AlertHistoryResponse, AlertState,
        ListAlertsRequest, ListAlertsResponse, ReceiverInfo, SilenceInfo, SilenceRequest,
        SilenceResponse, UnsilenceRequest, UnsilenceResponse,
        alert_service_server::{AlertService, AlertServiceServer},
    },
};

/// The service, ready to be served.
pub fn server(alerting: Alerting) -> AlertServiceServer<Alerting> {
    AlertServiceServer::new(alerting)
}

/// A failure of the file of alerts as a client sees it.
fn status(error: &AlertError) -> Status {
    tracing::error!(%error, "the file of alerts cannot be used");
    Status::internal(error.to_string())
}

#[tonic::async_trait]
impl AlertService for Alerting {
    async fn list_alerts(
        &self,
        request: Request<ListAlertsRequest>,
    ) -> Result<Response<ListAlertsResponse>, Status> {
        let with_ok = request.into_inner().with_ok;
        let list = || -> Result<ListAlertsResponse, AlertError> {
            let silences = self.0.keep.silences(clock::wall())?;
            let budget = self.0.guide.budget.as_ref();
            let mut alerts = Vec::new();
            for limit in budget.iter().flat_map(|budget| &budget.limits) {
                let alert = self.alert(limit, &silences)?;
                if with_ok || alert.state != i32::from(AlertState::Ok) {
                    alerts.push(alert);
                }
            }
            Ok(ListAlertsResponse {
                alerts,
                silences: silences.into_iter().map(silence_info).collect(),
                has_budget: budget.is_some(),
                receivers: self.receivers(),
            })
        };
        list().map(Response::new).map_err(|error| status(&error))
    }

    async fn alert_history(
        &self,
        request: Request<AlertHistoryRequest>,
    ) -> Result<Response<AlertHistoryResponse>, Status> {
        let asked = request.into_inner();
        let end = match asked.end_ns {
            0 => Duration::MAX,
            end => Duration::from_nanos(end),
        };
        let limit = match usize::try_from(asked.limit) {
            Ok(0) => EVENTS_ANSWER_DEFAULT,
            limit => limit.unwrap_or(usize::MAX).min(EVENTS_ANSWER_MAX),
        };
        let range = (Duration::from_nanos(asked.start_ns), end);
        let events = self.0.keep.events(range, &asked.name, limit);
        let events = events.map_err(|error| status(&error))?;
        Ok(Response::new(AlertHistoryResponse {
            events: events.into_iter().map(event).collect(),
        }))
    }

    async fn silence(
        &self,
        request: Request<SilenceRequest>,
    ) -> Result<Response<SilenceResponse>, Status> {
        let asked = request.into_inner();
        let now = clock::wall();
        let length = Duration::from_nanos(asked.duration_ns);
        let texts = [&asked.pattern, &asked.comment, &asked.author];
        if asked.pattern.is_empty() || length.is_zero() {
            return Err(Status::invalid_argument("the name and the time are needed"));
        }
        if SILENCE_MAX < length || texts.iter().any(|text| TEXT_SIZE_BYTES_MAX < text.len()) {
            return Err(Status::invalid_argument("the time or a text is too long"));
        }
        let known = self.0.keep.silences(now).map_err(|error| status(&error))?;
        if SILENCES_MAX <= known.len() {
            return Err(Status::resource_exhausted("there are too many silences"));
        }
        let silence = Silence {
            id: 0,
            pattern: asked.pattern,
            until: now + length,
            author: asked.author,
            comment: asked.comment,
            created: now,
        };
        let id = self
            .0
            .keep
            .silence(&silence)
            .map_err(|error| status(&error))?;
        Ok(Response::new(SilenceResponse { id }))
    }

    async fn unsilence(
        &self,
        request: Request<UnsilenceRequest>,
    ) -> Result<Response<UnsilenceResponse>, Status> {
        let id = request.into_inner().id;
        match self.0.keep.unsilence(id) {
            Ok(true) => Ok(Response::new(UnsilenceResponse {})),
            Ok(false) => Err(Status::not_found(format!("there is no silence {id}"))),
            Err(error) => Err(status(&error)),
        }
    }
}

impl Alerting {
    /// One alert as it stands.
    fn alert(&self, limit: &Limit, silences: &[Silence]) -> Result<Alert, AlertError> {
        let standing = self.0.keep.standing(&limit.name)?;
        let looks = self.0.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let look = looks.get(&limit.name);
        let about = silences
            .iter()
            .filter(|silence| silence.is_about(&limit.name));
        Ok(Alert {
            name: limit.name.clone(),
            state: state(standing.state).into(),
            severity: query::severity(limit.severity).into(),
            since_ns: nanoseconds(standing.since),
            fired_ns: nanoseconds(standing.fired),
            last: look.map(|(judged, _at)| query::verdict(judged)),
            checked_ns: look.map_or(0, |(_judged, at)| nanoseconds(*at)),
            silent_until_ns: about
                .map(|silence| nanoseconds(silence.until))
                .max()
                .unwrap_or(0),
            labels: Vec::new(),
        })
    }

    /// Receivers, and how deliveries to them go.
    fn receivers(&self) -> Vec<ReceiverInfo> {
        let info = |receiver: &super::deliver::Deliveries| {
            let record = receiver.record();
            ReceiverInfo {
                name: receiver.name.clone(),
                kind: receiver.kind().to_owned(),
                delivered: record.delivered,
                failed: record.failed,
                last_error: record.last_error,
            }
        };
        self.0.deliveries.iter().map(info).collect()
    }
}

/// A state on the wire.
fn state(state: State) -> AlertState {
    match state {
        State::Ok => AlertState::Ok,
        State::Pending => AlertState::Pending,
        State::Firing => AlertState::Firing,
        State::Clearing => AlertState::Clearing,
    }
}

/// A silence on the wire.
fn silence_info(silence: Silence) -> SilenceInfo {
    SilenceInfo {
        id: silence.id,
        pattern: silence.pattern,
        until_ns: nanoseconds(silence.until),
        author: silence.author,
        comment: silence.comment,
        created_ns: nanoseconds(silence.created),
    }
}

/// An event on the wire.
fn event(event: Event) -> AlertEvent {
    AlertEvent {
        name: event.name,
        at_ns: nanoseconds(event.at),
        from: state(event.before).into(),
        to: state(event.after).into(),
        value: event.value,
        summary: event.summary,
        is_silent: event.is_silent,
    }
}

/// A time on the wire.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
