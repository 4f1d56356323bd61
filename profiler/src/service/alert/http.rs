//! One request to a receiver: plain HTTP/1.1, or over TLS.

use std::{io, path::Path, sync::Arc};

use axum::body::Body;
use hyper::{Request, StatusCode, Uri, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use super::{
    AlertError,
    limits::{ANSWER_SIZE_BYTES_MAX, ANSWER_TIME_MAX},
};

/// Characters of a refusal that are told.
const TOLD_CHARS_MAX: usize = 200;

/// Where a receiver is, and how it proves who it is.
pub(super) struct Target {
    host: String,
    port: u16,
    path: String,
    /// What the answer is checked against; nothing without TLS.
    tls: Option<TlsConnector>,
    token: Option<String>,
}

impl Target {
    /// Reads an address and the files that belong to it.
    pub(super) fn new(
        url: &str,
        ca: Option<&Path>,
        token_file: Option<&Path>,
    ) -> Result<Self, AlertError> {
        let wrong = || AlertError::Address {
            url: url.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_no_address| wrong())?;
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or_else(wrong)?;
        let token = token_file.map(read_token).transpose()?;
        let tls = match (is_tls, ca) {
            (false, _) => None,
            (true, Some(ca)) => Some(connector(ca)?),
            (true, None) => return Err(wrong()),
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            tls,
            token,
        })
    }

    /// The same place with another path below its own.
    #[must_use]
    pub(super) fn below(mut self, path: &str) -> Self {
        self.path = format!("{}{path}", self.path.trim_end_matches('/'));
        self
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// It cannot be reached, takes too long, or does not take it.
    pub(super) async fn post(&self, body: String) -> Result<(), AlertError> {
        match timeout(ANSWER_TIME_MAX, self.post_now(body)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(AlertError::Late {
                host: self.host.clone(),
            }),
        }
    }

    /// Connects and sends.
    async fn post_now(&self, body: String) -> Result<(), AlertError> {
        let unreachable = |source: io::Error| AlertError::Connect {
            host: format!("{}:{}", self.host, self.port),
            source,
        };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(unreachable)?;
        let Some(tls) = &self.tls else {
            return self.send(stream, body).await;
        };
        let name = ServerName::try_from(self.host.clone());
        let name = name.map_err(|wrong| unreachable(io::Error::other(wrong)))?;
        let stream = tls.connect(name, stream).await.map_err(unreachable)?;
        self.send(stream, body).await
    }

    /// Sends over a connection.
    async fn send<S>(&self, stream: S, body: String) -> Result<(), AlertError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let wrong = |source| AlertError::Http {
            host: self.host.clone(),
            source,
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(wrong)?;
        // Ends when the sender is dropped and the answer was read.
        let connection = tokio::spawn(connection);
        let mut request = Request::post(&self.path)
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "profiler")
            .header(header::CONNECTION, "close");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Body::from(body))
            .map_err(|_header| AlertError::Address {
                url: self.path.clone(),
            })?;
        let answer = sender.send_request(request).await.map_err(wrong);
        let outcome = match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let status = answer.status();
                let body =
                    axum::body::to_bytes(Body::new(answer.into_body()), ANSWER_SIZE_BYTES_MAX);
                Err(self.refused(status, &body.await.unwrap_or_default()))
            }
            Err(error) => Err(error),
        };
        connection.abort();
        outcome
    }

    /// What a refusal says.
    fn refused(&self, status: StatusCode, body: &[u8]) -> AlertError {
        let text = String::from_utf8_lossy(body);
        AlertError::Refused {
            host: self.host.clone(),
            status: status.as_u16(),
            body: text.trim().chars().take(TOLD_CHARS_MAX).collect(),
        }
    }
}

/// A token of a file.
fn read_token(path: &Path) -> Result<String, AlertError> {
    let text = std::fs::read_to_string(path).map_err(|source| AlertError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.trim().to_owned())
}

/// Connections to whoever proves it with a certificate that this one signed.
fn connector(ca: &Path) -> Result<TlsConnector, AlertError> {
    let wrong = || AlertError::Certificate {
        path: ca.to_owned(),
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca).map_err(|_no_file| wrong())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|_no_certificate| wrong())?;
        roots.add(certificate).map_err(|_no_authority| wrong())?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_no_version| wrong())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
