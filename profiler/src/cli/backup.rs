//! Asks a running service for a copy of its store.

use std::{path::Path, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use axum::{
    body::to_bytes,
    http::{Method, Request, header},
};
use clap::Args;
use tonic::{
    body::Body,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tower::{Service as _, ServiceExt as _};

use crate::service::run::ADMIN_HEADER;

/// Time for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Largest answer that is read.
const ANSWER_SIZE_BYTES_MAX: usize = 64 << 10;

/// How to reach a running service.
#[derive(Args, Debug)]
pub(super) struct ServerArgs {
    /// Running service, http://HOST:PORT or https://HOST:PORT
    #[arg(long, value_name = "URL", requires = "backup")]
    server: Option<String>,
    /// Token with the role `write`
    #[arg(
        long,
        value_name = "TOKEN",
        env = "PROFILER_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// Authority of the service's certificate, PEM; the system's when left out
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
}

impl ServerArgs {
    /// Whether a service was named.
    pub(super) fn is_given(&self) -> bool {
        self.server.is_some()
    }
}

/// Has a service copy its store into a folder of its own host; says which.
pub(super) async fn of_running(args: &ServerArgs, dir: &Path) -> anyhow::Result<String> {
    let url = args.server.as_deref().context("no service was named")?;
    let dir = std::path::absolute(dir).context("find the folder")?;
    let mut channel = connect(args, url).await?;
    let path = encode(dir.to_str().context("the folder's name is not text")?);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{url}/admin/backup?dir={path}"))
        .header(ADMIN_HEADER, "1");
    if let Some(token) = &args.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.trim()));
    }
    let request = request.body(Body::empty()).context("make the request")?;
    let channel = channel.ready().await.context("reach the service")?;
    let response = channel.call(request).await.context("reach the service")?;
    let status = response.status();
    let body = axum::body::Body::new(response.into_body());
    let body = to_bytes(body, ANSWER_SIZE_BYTES_MAX).await;
    let body = body.context("read the answer")?;
    let text = String::from_utf8_lossy(&body).into_owned();
    ensure!(
        status.is_success(),
        "the service says {status}: {}",
        text.trim()
    );
    Ok(text)
}

/// Opens a connection.
async fn connect(args: &ServerArgs, url: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned()).context("--server")?;
    let mut endpoint = endpoint.connect_timeout(CONNECT_WAIT);
    if url.starts_with("https:") {
        let mut tls = ClientTlsConfig::new();
        tls = if let Some(path) = &args.ca {
            let pem = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
            tls.ca_certificate(Certificate::from_pem(pem))
        } else {
            tls.with_native_roots()
        };
        endpoint = endpoint.tls_config(tls).context("--ca")?;
    }
    let channel = endpoint.connect().await;
    channel.with_context(|| format!("reach the service at {url}"))
}

/// A text as a value in an address.
fn encode(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    (text.bytes())
        .map(|byte| {
            if is_plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn names_with_anything_in_them_survive_the_address() {
        assert_eq!("/a%20b/%C3%BC%26c", encode("/a b/ü&c"));
    }
}
