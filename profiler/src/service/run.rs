//! The query service, put together: one port for all who deliver and all who ask.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
};
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Status, service::Routes};
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_web::GrpcWebLayer;

use super::{
    access::{self, Access, TlsSource},
    admin::Admin,
    alert::{self, Alerting},
    connections::Connections,
    gauges::Gauges,
    grafana,
    ingest::{Ingest, IngestServer, IngestSettings, OtlpServer, upload_routes},
    insight::{Budget, Rules},
    query::{self, Guide, Reader},
    store::StoreOptions,
    web,
};
use crate::{
    config::{ServiceConfig, days},
    telemetry::Alarms,
    wire::v1,
};

pub use super::{
    admin::ADMIN_HEADER,
    insight::{BudgetError, RulesError},
    live::{Connected, Live},
    recorded::{LabelError, Recorded, RecordingLabel},
    store::{EmbeddedStore, Store, StoreError},
};

/// File in the store's folder that remembers whose sender ids are.
const SENDERS_FILE: &str = "senders";

/// The service, running.
pub struct Service {
    address: SocketAddr,
    access: Access,
    tls: Option<TlsSource>,
    live: Live,
    alarms: Alarms,
    stop: CancellationToken,
    health: HealthReporter,
    connections: JoinHandle<()>,
    alerts: JoinHandle<()>,
}

impl Service {
    /// Starts to take connections. Windows go into the store that [`open_store`] opened.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_embedded(
        config: &ServiceConfig,
        store: &Arc<EmbeddedStore>,
    ) -> anyhow::Result<Self> {
        let any = Arc::clone(store) as Arc<dyn Store>;
        Self::start(config, any, Some(Arc::clone(store))).await
    }

    /// Starts to take connections. Windows go into `store`; `embedded` is the same store, if it can
    /// say how it is.
    ///
    /// # Errors
    /// What of the configuration cannot be used, or the address that cannot be listened on.
    pub async fn start(
        config: &ServiceConfig,
        store: Arc<dyn Store>,
        embedded: Option<Arc<EmbeddedStore>>,
    ) -> anyhow::Result<Self> {
        config.validate().context("configuration")?;
        let access = Access::new(&config.access, config.tls.as_ref()).context("read the tokens")?;
        let tls = config.tls.as_ref().map(TlsSource::new).transpose()?;
        let (live, alarms) = (Live::default(), Alarms::default());
        let stop = CancellationToken::new();
        let ingest = Arc::new(Ingest::new(IngestSettings {
            store: Arc::clone(&store),
            live: live.clone(),
            limits: config.limits.clone(),
            senders_file: Some(senders_file(config)?),
            alarms: alarms.clone(),
            stop: stop.clone(),
        })?);
        let mut metrics = Registry::with_prefix("profiler");
        ingest.counters().register(&mut metrics);
        access.counters().register(&mut metrics);
        let reader = Arc::new(Reader::new(Arc::clone(&store)));
        let guide = Arc::new(read_guide(config)?);
        let alerting = Alerting::open(&guide, &config.data).context("open the alerts")?;
        let (health, grpc) = grpc_routes(&ingest, &reader, &live, &guide, &alerting).await?;
        let alerts = alerting.start(Arc::clone(&reader), stop.clone());
        let grafana_routes = grafana::routes(Arc::clone(&reader));
        let gauges = Gauges::new(&mut metrics, reader, live.clone(), embedded.clone());
        let admin = Admin {
            store,
            embedded,
            live: live.clone(),
            alarms: alarms.clone(),
            metrics,
            gauges,
        };
        let router = grpc
            .merge(upload_routes(ingest))
            .merge(grafana_routes)
            .merge(web::routes())
            .merge(admin.routes())
            .fallback(not_found)
            .layer(middleware::from_fn_with_state(
                access.clone(),
                access::check,
            ));
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listen on {}", config.listen))?;
        let address = listener.local_addr().context("read the address")?;
        warn_of_open_doors(&access, address);
        let connections = Connections {
            listener,
            tls: tls.clone(),
            router,
            stop: stop.clone(),
            count_max: config.limits.connections,
        };
        Ok(Self {
            address,
            access,
            tls,
            live,
            alarms,
            stop,
            health,
            connections: tokio::spawn(connections.run()),
            alerts,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who is connected.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// What is wrong now.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Reads tokens and certificates again.
    ///
    /// # Errors
    /// The file that cannot be used; what was read before stays.
    pub fn reload(&self) -> anyhow::Result<()> {
        self.access.reload().context("read the tokens")?;
        if let Some(tls) = &self.tls {
            tls.reload().context("read the certificates")?;
        }
        Ok(())
    }

    /// Takes nothing new, waits until what was taken is durable and acknowledged, and ends.
    pub async fn stop(self) {
        self.health.set_not_serving::<IngestServer>().await;
        self.stop.cancel();
        if self.connections.await.is_err() {
            tracing::error!("the connections ended early");
        }
        if self.alerts.await.is_err() {
            tracing::error!("the alerts ended early");
        }
    }
}

/// Opens the store of a configuration, or makes it.
///
/// # Errors
/// Another process has it open, a later release wrote it, or a file cannot be used.
pub fn open_store(config: &ServiceConfig) -> anyhow::Result<Arc<EmbeddedStore>> {
    let retention = &config.retention;
    let options = StoreOptions {
        disk_bytes_max: (0 < retention.size_bytes).then_some(retention.size_bytes),
        keep_raw: days(retention.raw_days),
        keep_minutes: days(retention.minute_days),
        keep_hours: days(retention.hour_days),
        ..StoreOptions::default()
    };
    let store = EmbeddedStore::open(&config.data, options);
    let store = store.with_context(|| format!("open the store in {}", config.data.display()))?;
    Ok(Arc::new(store))
}

/// The services that speak gRPC and gRPC-Web. Each further one is one line here.
async fn grpc_routes(
    ingest: &Arc<Ingest>,
    reader: &Arc<Reader>,
    live: &Live,
    guide: &Arc<Guide>,
    alerting: &Alerting,
) -> anyhow::Result<(HealthReporter, Router)> {
    let (reporter, health) = health_reporter();
    reporter.set_serving::<IngestServer>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(health)
        .add_service(reflection().build_v1().context("descriptors")?)
        .add_service(reflection().build_v1alpha().context("descriptors")?)
        .add_service(IngestServer::new(Arc::clone(ingest)))
        .add_service(OtlpServer::new(Arc::clone(ingest)))
        .add_service(query::server(
            Arc::clone(reader),
            live.clone(),
            Arc::clone(guide),
        ))
        .add_service(alert::server(alerting.clone()));
    let router = routes.into_axum_router().reset_fallback();
    Ok((reporter, router.layer(GrpcWebLayer::new())))
}

/// What the configuration says is too much.
fn read_guide(config: &ServiceConfig) -> anyhow::Result<Guide> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut guide = Guide::default();
    if let Some(path) = &config.rules {
        guide.rules = Rules::read(&read(path)?).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &config.budget {
        let budget = Budget::read(&read(path)?).with_context(|| path.display().to_string())?;
        guide.budget = Some(budget);
    }
    Ok(guide)
}

/// Makes the folder of the file of senders.
fn senders_file(config: &ServiceConfig) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("create {}", config.data.display()))?;
    Ok(config.data.join(SENDERS_FILE))
}

/// Answers what nobody else does, in the language of the one who asked.
async fn not_found(request: Request) -> Response {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Status::unimplemented("no such service").into_http::<axum::body::Body>();
    }
    (StatusCode::NOT_FOUND, "nothing is here\n").into_response()
}

/// Says so when strangers could do everything.
fn warn_of_open_doors(access: &Access, address: SocketAddr) {
    if access.is_open() && !address.ip().is_loopback() {
        tracing::warn!(%address, "everyone who reaches this address may read and write; set access.tokens_file");
    }
}
