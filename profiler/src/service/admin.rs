//! Health, metrics and backups, over HTTP.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use prometheus_client::{encoding::text, registry::Registry};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::{
    gauges::Gauges,
    live::Live,
    store::{EmbeddedStore, Store},
};
use crate::{
    clock,
    telemetry::{Alarm, Alarms},
};

/// Header that a backup is asked for with. A page in somebody's browser cannot send it unasked.
pub const ADMIN_HEADER: &str = "x-profiler-admin";

/// How metrics are written.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What these answers are made from.
pub(super) struct Admin {
    pub(super) store: Arc<dyn Store>,
    /// The store again, when it can say how it is.
    pub(super) embedded: Option<Arc<EmbeddedStore>>,
    pub(super) live: Live,
    pub(super) alarms: Alarms,
    pub(super) metrics: Registry,
    pub(super) gauges: Gauges,
}

/// What `/healthz` answers.
#[derive(Debug, Serialize)]
struct Health {
    /// `ok`, or `degraded` while there are alarms.
    status: &'static str,
    /// Daemons that are connected.
    daemons: usize,
    /// What is wrong.
    alarms: Vec<Alarm>,
}

/// What a backup is told.
#[derive(Debug, Deserialize)]
struct BackupParameters {
    dir: PathBuf,
}

impl Admin {
    /// `/healthz`, `/metrics` and `/admin/backup`.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/healthz", get(health))
            .route("/metrics", get(metrics))
            .route("/admin/backup", post(backup))
            .with_state(Arc::new(self))
    }

    /// What is wrong now: what was reported, and what the store says of itself.
    fn alarms(&self) -> Vec<Alarm> {
        let health = self.embedded.as_ref().map(|store| store.health());
        let health = health.unwrap_or_default();
        let conditions = [
            ("store_disk", health.full),
            ("store_upkeep", health.upkeep_error),
        ];
        for (name, what) in conditions {
            match what {
                Some(what) => drop(self.alarms.raise(name, what, clock::wall())),
                None => drop(self.alarms.clear(name)),
            }
        }
        self.alarms.list()
    }
}

/// Whether all is well.
async fn health(State(admin): State<Arc<Admin>>) -> Json<Health> {
    let alarms = admin.alarms();
    let status = if alarms.is_empty() { "ok" } else { "degraded" };
    let daemons = admin.live.connected_count();
    Json(Health {
        status,
        daemons,
        alarms,
    })
}

/// Numbers for Prometheus.
async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    admin.gauges.read();
    let mut page = String::new();
    match text::encode(&mut page, &admin.metrics) {
        Ok(()) => ([(header::CONTENT_TYPE, METRICS_TYPE)], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Writes a copy of the store into a folder of the service's host.
async fn backup(
    State(admin): State<Arc<Admin>>,
    Query(parameters): Query<BackupParameters>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    if !headers.contains_key(ADMIN_HEADER) {
        let text = format!("the header {ADMIN_HEADER} is missing\n");
        return (StatusCode::FORBIDDEN, text);
    }
    let dir = parameters.dir;
    if !dir.is_absolute() {
        let text = "dir must be an absolute path on the host of the service\n";
        return (StatusCode::BAD_REQUEST, text.to_owned());
    }
    let shown = dir.display().to_string();
    let written = spawn_blocking(move || admin.store.backup(&dir)).await;
    match written {
        Ok(Ok(())) => {
            tracing::info!(dir = shown, "backup written");
            (StatusCode::OK, format!("{shown}\n"))
        }
        Ok(Err(error)) => (StatusCode::CONFLICT, format!("{error}\n")),
        Err(_panic) => {
            let text = "the backup ended early\n".to_owned();
            (StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}
