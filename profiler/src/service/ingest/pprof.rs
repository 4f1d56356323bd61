//! Uploads over HTTP: pprof files and collapsed stacks, as Pyroscope's clients push them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::{
    UploadError,
    body::{Unpacked, multipart_file},
    limits::UPLOAD_SIZE_BYTES_MAX,
    otlp,
    service::Ingest,
    upload::{Upload, keep},
};
use crate::{
    model::{Labels, Profile, Signal, ValueType, Window, label},
    render::{self, Format},
    service::access::Identity,
    wire::push::{AppName, LabelPair, decode_push, parse_name},
};

/// Label of pushes that names the service.
const SERVICE_NAME: &str = "service_name";

/// Labels of pushes that start so are the client's own business.
const HIDDEN: &str = "__";

/// What a push may say in its address. Further parameters are for other formats.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Parameters {
    name: String,
    /// Seconds since the Unix epoch, or a finer unit as the number of digits tells.
    from: Option<u64>,
    until: Option<u64>,
    /// `pprof`, `folded` …
    format: Option<String>,
    units: Option<String>,
    sample_rate: Option<u32>,
}

/// `/ingest`, `/push.v1.PusherService/Push` and `/v1development/profiles`.
pub fn upload_routes(ingest: Arc<Ingest>) -> Router {
    Router::new()
        .route("/ingest", post(push_file))
        .route("/push.v1.PusherService/Push", post(push_series))
        .route("/v1development/profiles", post(otlp::export_http))
        .layer(axum::extract::DefaultBodyLimit::max(UPLOAD_SIZE_BYTES_MAX))
        .with_state(ingest)
}

/// Takes one file with a name.
async fn push_file(
    State(ingest): State<Arc<Ingest>>,
    Extension(identity): Extension<Identity>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let size_bytes = body.len();
    let uploads = read_on_a_thread(&ingest, move || {
        let unpacked = Unpacked::new(&headers, &body)?;
        read_file(&parameters, &headers, unpacked.bytes()).map(|upload| vec![upload])
    });
    let outcome = match uploads.await {
        Ok(uploads) => keep(&ingest, &identity, size_bytes, uploads).await,
        Err(error) => Err(error),
    };
    answer(
        &ingest,
        &identity,
        outcome.map(|()| StatusCode::OK.into_response()),
    )
}

/// Takes profiles with labels: one message in, an empty one out.
async fn push_series(
    State(ingest): State<Arc<Ingest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let size_bytes = body.len();
    let uploads = read_on_a_thread(&ingest, move || {
        let unpacked = Unpacked::new(&headers, &body)?;
        read_push(unpacked.bytes())
    });
    let outcome = match uploads.await {
        Ok(uploads) => keep(&ingest, &identity, size_bytes, uploads).await,
        Err(error) => Err(error),
    };
    let empty = || [(header::CONTENT_TYPE, "application/proto")].into_response();
    answer(&ingest, &identity, outcome.map(|()| empty()))
}

/// Reads on a thread that may take its time; only so many at once.
pub(super) async fn read_on_a_thread<T: Send + 'static>(
    ingest: &Arc<Ingest>,
    read: impl FnOnce() -> Result<T, UploadError> + Send + 'static,
) -> Result<T, UploadError> {
    let permit = Arc::clone(&ingest.uploads).acquire_owned().await;
    let permit = permit.expect("the semaphore is never closed");
    let read = spawn_blocking(move || {
        let read = read();
        drop(permit);
        read
    });
    read.await.map_err(|_panic| UploadError::Stopping)?
}

/// What the client is told.
pub(super) fn answer(
    ingest: &Ingest,
    identity: &Identity,
    outcome: Result<Response, UploadError>,
) -> Response {
    let error = match outcome {
        Ok(response) => return response,
        Err(error) => error,
    };
    let text = error.chain();
    ingest.log_refusal(&identity.to_string(), &text);
    if error.is_malformed() {
        ingest.counters.malformed.inc();
    }
    let wait = error.wait_s();
    let mut response = (error.http_status(), format!("{text}\n")).into_response();
    if let Some(wait_s) = wait {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, wait_s.into());
    }
    response
}

/// Reads one file: pprof or collapsed stacks.
fn read_file(
    parameters: &Parameters,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Upload, UploadError> {
    let file = multipart_file(headers, body).unwrap_or(body);
    let format = match parameters.format.as_deref() {
        Some("pprof") => Format::Pprof,
        Some("folded" | "collapsed" | "groups") => Format::Collapsed,
        None | Some("") => guess_format(file),
        Some(format) => {
            let format = format.chars().take(40).collect();
            return Err(UploadError::Format { format });
        }
    };
    let mut profile = render::read(file, format).map_err(UploadError::Profile)?;
    set_window(&mut profile, parameters);
    let name = parse_name(&parameters.name);
    if format == Format::Collapsed {
        set_unit(&mut profile, parameters, &name);
    }
    let period_ns = match (format, parameters.sample_rate) {
        (Format::Collapsed, Some(rate)) if 0 < rate => 1_000_000_000 / u64::from(rate),
        _ => 0,
    };
    let signal = signal_of(&profile, name.signal.as_deref());
    let mut labels: Labels = name.labels;
    if !name.service.is_empty() {
        labels.insert(label::SERVICE.to_owned(), name.service);
    }
    Ok(Upload {
        profile,
        signal,
        period_ns,
        labels,
    })
}

/// Reads pprof files with labels.
fn read_push(body: &[u8]) -> Result<Vec<Upload>, UploadError> {
    let push = decode_push(body).map_err(UploadError::Push)?;
    let mut uploads = Vec::new();
    for series in push.series {
        let labels = push_labels(series.labels);
        for sample in series.samples {
            let profile = render::read(&sample.raw_profile, Format::Pprof);
            let profile = profile.map_err(UploadError::Profile)?;
            uploads.push(Upload {
                signal: signal_of(&profile, None),
                profile,
                period_ns: 0,
                labels: labels.clone(),
            });
        }
    }
    Ok(uploads)
}

/// Labels of a push, under the names that the product has for them.
fn push_labels(pairs: Vec<LabelPair>) -> Labels {
    let mut labels: BTreeMap<_, _> = (pairs.into_iter())
        .filter(|pair| !pair.name.starts_with(HIDDEN) && !pair.value.is_empty())
        .map(|pair| (pair.name, pair.value))
        .collect();
    if let Some(service) = labels.remove(SERVICE_NAME) {
        labels.insert(label::SERVICE.to_owned(), service);
    }
    labels
}

/// Text is collapsed stacks; anything else is pprof.
fn guess_format(file: &[u8]) -> Format {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || 0x7f < *byte;
    if file.iter().take(512).all(is_text) {
        Format::Collapsed
    } else {
        Format::Pprof
    }
}

/// Takes the span of time from the address, where it says one.
fn set_window(profile: &mut Profile, parameters: &Parameters) {
    let (Some(from), Some(until)) = (parameters.from, parameters.until) else {
        return;
    };
    let (start, end) = (moment(from), moment(until));
    let duration = end.saturating_sub(start);
    profile.window = Window { start, duration };
}

/// A moment in seconds, milliseconds, microseconds or nanoseconds since the Unix epoch, as its size
/// tells.
fn moment(number: u64) -> Duration {
    match number {
        0..100_000_000_000 => Duration::from_secs(number),
        100_000_000_000..100_000_000_000_000 => Duration::from_millis(number),
        100_000_000_000_000..100_000_000_000_000_000 => Duration::from_micros(number),
        _ => Duration::from_nanos(number),
    }
}

/// Takes what collapsed stacks count from the address.
fn set_unit(profile: &mut Profile, parameters: &Parameters, name: &AppName) {
    let (kind, unit) = match parameters.units.as_deref() {
        Some("bytes") => ("space", "bytes"),
        Some("objects") => ("objects", "count"),
        Some("lock_nanoseconds" | "nanoseconds") => ("delay", "nanoseconds"),
        _ => ("samples", "count"),
    };
    let named = name
        .signal
        .as_deref()
        .filter(|_| unit != "count" || kind == "objects");
    profile.value_types = vec![ValueType {
        kind: named.unwrap_or(kind).to_owned(),
        unit: unit.to_owned(),
    }];
}

/// The signal whose values a profile has, one and all.
fn own_signal(profile: &Profile) -> Option<Signal> {
    let types =
        (profile.value_types.iter()).map(|known| (known.kind.as_str(), known.unit.as_str()));
    let types: Vec<(&str, &str)> = types.collect();
    Signal::WATCHED
        .into_iter()
        .find(|signal| signal.value_types() == types)
}

/// The signal that a profile is filed under.
fn signal_of(profile: &Profile, named: Option<&str>) -> String {
    if let Some(own) = own_signal(profile) {
        return own.as_str().to_owned();
    }
    let has = |wanted: &[&str]| {
        let kinds = profile
            .value_types
            .iter()
            .map(|value_type| &value_type.kind);
        kinds
            .into_iter()
            .any(|kind| wanted.contains(&kind.as_str()))
    };
    let signal = if has(&["cpu"]) {
        "cpu"
    } else if has(&["inuse_space", "alloc_space"]) {
        "alloc"
    } else if let Some(named) = named {
        match named {
            "itimer" => "cpu",
            "alloc_objects" | "alloc_space" | "inuse_objects" | "inuse_space" => "alloc",
            other => other,
        }
    } else if has(&["samples"]) {
        "cpu"
    } else {
        profile
            .value_types
            .first()
            .map_or("other", |first| &first.kind)
    };
    signal.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{HeaderMap, Parameters, Signal, ValueType, label, moment, read_file, signal_of};
    use crate::model::ProfileBuilder;

    #[test]
    fn what_this_product_recorded_keeps_its_signal() {
        for signal in Signal::WATCHED {
            let value_type = |(kind, unit): &(&str, &str)| ValueType {
                kind: (*kind).to_owned(),
                unit: (*unit).to_owned(),
            };
            let types = signal.value_types().iter().map(value_type).collect();
            let profile = ProfileBuilder::new(types).finish();
            assert_eq!(signal.as_str(), signal_of(&profile, None));
        }
    }

    #[test]
    fn moments_come_in_four_units() {
        let seconds = 1_700_000_000;
        for factor in [1, 1_000, 1_000_000, 1_000_000_000] {
            assert_eq!(seconds, moment(seconds * factor).as_secs());
        }
    }

    #[test]
    fn collapsed_stacks_with_a_name_become_an_upload() {
        let parameters = Parameters {
            name: "shop.cpu{region=eu}".to_owned(),
            from: Some(100),
            until: Some(110),
            sample_rate: Some(100),
            ..Parameters::default()
        };
        let upload = read_file(&parameters, &HeaderMap::new(), b"app;main;f 3\n").unwrap();
        assert_eq!("cpu", upload.signal);
        assert_eq!(10_000_000, upload.period_ns);
        assert_eq!("shop", upload.labels[label::SERVICE]);
        assert_eq!("eu", upload.labels["region"]);
        assert_eq!(10, upload.profile.window.duration.as_secs());
    }

    #[test]
    fn formats_that_are_not_taken_are_named() {
        let parameters = Parameters {
            format: Some("jfr".to_owned()),
            ..Parameters::default()
        };
        let error = read_file(&parameters, &HeaderMap::new(), b"").unwrap_err();
        assert_eq!(
            "format `jfr` is not taken; send pprof or folded",
            error.to_string()
        );
    }
}
