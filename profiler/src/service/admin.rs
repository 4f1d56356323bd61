//! Health, metrics and backups, over HTTP.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use prometheus_client::{encoding::text, metrics::gauge::Gauge, registry::Registry};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::{live::Live, query::Reader, store::Store};
use crate::telemetry::{Alarm, Alarms};

/// Header that a backup is asked for with. A page in somebody's browser cannot send it unasked.
pub const ADMIN_HEADER: &str = "x-profiler-admin";

/// How metrics are written.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What these answers are made from.
pub(super) struct Admin {
    store: Arc<dyn Store>,
    reader: Arc<Reader>,
    live: Live,
    alarms: Alarms,
    metrics: RwLock<Registry>,
    gauges: Gauges,
}

/// Numbers that are read when they are asked for.
#[derive(Clone, Default)]
struct Gauges {
    connected: Gauge,
    cache_hits: Gauge,
    cache_misses: Gauge,
    cache_entries: Gauge,
    cache_bytes: Gauge,
}

impl Gauges {
    /// Makes them part of the metrics.
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            (
                "daemons_connected",
                "Daemons that are connected",
                &self.connected,
            ),
            (
                "query_cache_hits",
                "Answers that were cached",
                &self.cache_hits,
            ),
            (
                "query_cache_misses",
                "Answers that were not cached",
                &self.cache_misses,
            ),
            (
                "query_cache_entries",
                "Answers in the cache",
                &self.cache_entries,
            ),
            (
                "query_cache_bytes",
                "Memory of the cache",
                &self.cache_bytes,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    /// Reads the numbers.
    fn read(&self, reader: &Reader, live: &Live) {
        let cache = reader.cache_stats();
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.connected, live.connected_count() as u64);
        set(&self.cache_hits, cache.hits);
        set(&self.cache_misses, cache.misses);
        set(&self.cache_entries, cache.entries);
        set(&self.cache_bytes, cache.size_bytes);
    }
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
    /// Takes the metrics of others, and adds its own.
    pub(super) fn new(
        store: Arc<dyn Store>,
        reader: Arc<Reader>,
        live: Live,
        alarms: Alarms,
        mut metrics: Registry,
    ) -> Self {
        let gauges = Gauges::default();
        gauges.register(&mut metrics);
        Self {
            store,
            reader,
            live,
            alarms,
            metrics: RwLock::new(metrics),
            gauges,
        }
    }

    /// `/healthz`, `/metrics` and `/admin/backup`.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/healthz", get(health))
            .route("/metrics", get(metrics))
            .route("/admin/backup", post(backup))
            .with_state(Arc::new(self))
    }
}

/// Whether all is well.
async fn health(State(admin): State<Arc<Admin>>) -> Json<Health> {
    let alarms = admin.alarms.list();
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
    admin.gauges.read(&admin.reader, &admin.live);
    let mut page = String::new();
    let encoded = {
        let registry = admin.metrics.read().unwrap_or_else(PoisonError::into_inner);
        text::encode(&mut page, &registry)
    };
    match encoded {
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
