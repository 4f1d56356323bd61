//! Connections to the service.

use std::{fs, path::PathBuf};

use tonic::{
    Request, Status,
    codec::CompressionEncoding,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    error::ShipError,
    limits::{CONNECT_PATIENCE, KEEP_ALIVE},
};
use crate::{
    config::ServerTlsConfig,
    wire::v1::{generated::ingest_service_client::IngestServiceClient, limits},
};

/// Where to ship to, and as whom.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub server: String,
    /// File whose first line is the token; read at each connection.
    pub token_file: Option<PathBuf>,
    /// Certificates; read at each connection.
    pub tls: ServerTlsConfig,
}

/// A connection that carries the token.
pub(super) type Client = IngestServiceClient<InterceptedService<Channel, Token>>;

/// Adds the token to each call.
#[derive(Clone, Debug)]
pub(super) struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            (request.metadata_mut()).insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Connects.
///
/// # Errors
/// A file or an address that cannot be used, or a service that cannot be reached.
pub(super) async fn connect(target: &Target) -> Result<Client, ShipError> {
    let token = Token(target.token_file.as_ref().map(read_token).transpose()?);
    let address = |source| ShipError::Address {
        server: target.server.clone(),
        source,
    };
    let mut endpoint = Endpoint::from_shared(target.server.clone())
        .map_err(address)?
        .connect_timeout(CONNECT_PATIENCE)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    if target.server.starts_with("https://") {
        endpoint = endpoint.tls_config(tls(&target.tls)?).map_err(address)?;
    }
    let connected = endpoint.connect().await;
    let channel = connected.map_err(|source| ShipError::Connect {
        server: target.server.clone(),
        source,
    })?;
    Ok(IngestServiceClient::with_interceptor(channel, token)
        .send_compressed(CompressionEncoding::Zstd)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(limits::MESSAGE_SIZE_BYTES_MAX)
        .max_encoding_message_size(limits::MESSAGE_SIZE_BYTES_MAX))
}

/// The first line of a file, as a bearer's token.
fn read_token(path: &PathBuf) -> Result<MetadataValue<Ascii>, ShipError> {
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let token = text.lines().next().unwrap_or_default().trim();
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_invalid| ShipError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Certificates as the transport takes them.
fn tls(config: &ServerTlsConfig) -> Result<ClientTlsConfig, ShipError> {
    let mut tls = ClientTlsConfig::new();
    tls = match &config.ca {
        Some(ca) => tls.ca_certificate(Certificate::from_pem(read(ca)?)),
        None => tls.with_native_roots(),
    };
    if let (Some(cert), Some(key)) = (&config.cert, &config.key) {
        tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
    }
    Ok(match &config.domain {
        Some(domain) => tls.domain_name(domain),
        None => tls,
    })
}

/// A small file.
fn read(path: &PathBuf) -> Result<Vec<u8>, ShipError> {
    fs::read(path).map_err(|source| ShipError::File {
        path: path.clone(),
        source,
    })
}
