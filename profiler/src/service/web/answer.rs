//! Answers to those who ask for the page.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use xxhash_rust::xxh3::xxh3_64;

use super::file::{Packing, PageFile};

/// The first file.
const INDEX: &str = "/index.html";

/// Only the page's own files run and are asked; no other page may embed it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Names of these files change with what is in them.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Said in place of the page where it was left out.
const NO_PAGE: &str = "This profiler was built without its web page.\n\n\
    To have it: `cargo xtask setup`, then `npm ci && npm run build` in web/, and build again.\n\
    Everything else works: `profiler query --help`, gRPC and gRPC-Web on this port.\n";

/// `/` and the files that it loads.
pub fn routes() -> Router {
    Router::new()
        .route("/", get(index))
        .route("/assets/{*path}", get(asset))
}

/// The first file; asked for again each time, so that a new release shows at once.
async fn index(headers: HeaderMap) -> Response {
    let Some(file) = PageFile::find(INDEX) else {
        return (StatusCode::OK, guard(), NO_PAGE).into_response();
    };
    let tag = format!("\"{:016x}\"", xxh3_64(file.gzip));
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let about = [
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, guard(), packed(file, &headers)).into_response()
}

/// A file that the first one loads.
async fn asset(request: Request) -> Response {
    match PageFile::find(request.uri().path()) {
        Some(file) => {
            let about = [(header::CACHE_CONTROL, FOR_EVER)];
            (about, guard(), packed(file, request.headers())).into_response()
        }
        None => (StatusCode::NOT_FOUND, "the page has no such file\n").into_response(),
    }
}

/// A file as its client likes it best.
fn packed(file: &PageFile, headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_ENCODING);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    let packing = Packing::best(accepted.unwrap_or_default());
    let mut response = match packing {
        Packing::Brotli => file.brotli.into_response(),
        Packing::Gzip => file.gzip.into_response(),
        Packing::Plain => match file.plain() {
            Ok(bytes) => bytes.into_response(),
            Err(error) => {
                return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
            }
        },
    };
    let about = response.headers_mut();
    let kind = HeaderValue::from_static(file.content_type());
    about.insert(header::CONTENT_TYPE, kind);
    if let Some(name) = packing.name() {
        about.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    about.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// Headers that keep the page to itself.
fn guard() -> [(HeaderName, &'static str); 3] {
    [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ]
}
