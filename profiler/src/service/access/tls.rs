//! Certificates of the service, and authorities of those of its clients.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

pub use tokio_rustls::TlsAcceptor;

use super::AccessError;
use crate::config::TlsConfig;

/// Protocols that are offered: gRPC needs the first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Certificates, read again when asked. Clones share them.
#[derive(Clone)]
pub struct TlsSource {
    config: TlsConfig,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl TlsSource {
    /// Reads the certificates.
    ///
    /// # Errors
    /// The file that cannot be used.
    pub fn new(config: &TlsConfig) -> Result<Self, AccessError> {
        Ok(Self {
            config: config.clone(),
            current: Arc::new(RwLock::new(load(config)?)),
        })
    }

    /// Reads the certificates again, for new connections; the old ones stay when that fails.
    ///
    /// # Errors
    /// The file that cannot be used.
    pub fn reload(&self) -> Result<(), AccessError> {
        let fresh = load(&self.config)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// What a new connection is greeted with.
    pub fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }
}

/// Reads all files.
fn load(config: &TlsConfig) -> Result<Arc<ServerConfig>, AccessError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(read_roots(path)?);
            // Without a certificate a token can still tell who it is.
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .allow_unauthenticated()
                .build()
                .map_err(|_no_roots| AccessError::Authority { path: path.clone() })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(in_file(&config.key))?;
    let mut server = builder.with_single_cert(read_certificates(&config.cert)?, key)?;
    server.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(server))
}

/// Certificates of a file.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    CertificateDer::pem_file_iter(path)
        .map_err(in_file(path))?
        .collect::<Result<_, _>>()
        .map_err(in_file(path))
}

/// Authorities of a file.
fn read_roots(path: &Path) -> Result<RootCertStore, AccessError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Says which file is wrong.
fn in_file(path: &Path) -> impl FnOnce(pem::Error) -> AccessError {
    let path = path.to_owned();
    move |source| AccessError::Pem { path, source }
}
