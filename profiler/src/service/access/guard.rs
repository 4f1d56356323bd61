//! The check that every request passes.

use std::sync::{Arc, PoisonError, RwLock};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tonic::Status;

use super::{
    AccessError, Identity, PeerCertificate, Role,
    limits::{LOG_INTERVAL, LOGGED_PATH_CHARS_MAX},
    tokens::{Tokens, role_of},
};
use crate::{
    clock,
    config::{AccessConfig, TlsConfig},
    telemetry::Throttle,
};

/// Paths that need the role `write`; all others that are not open need `read`.
const WRITE_PATHS: [&str; 8] = [
    "/profiler.v1.IngestService/",
    "/profiler.v1.AlertService/Silence",
    "/profiler.v1.AlertService/Unsilence",
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/",
    "/v1development/profiles",
    "/push.v1.PusherService/",
    "/ingest",
    "/admin/",
];

/// Paths that everyone may ask for unless the configuration says otherwise.
const HEALTH_PATHS: [&str; 3] = ["/healthz", "/metrics", "/grpc.health.v1.Health/"];

/// The page, which holds no data; a browser sends no token when it is opened. What it shows it asks
/// for with one.
const PAGE: &str = "/";

/// Where the files of the page are.
const PAGE_FILES: &str = "/assets/";

/// How often someone was refused.
#[derive(Clone, Debug, Default)]
pub struct AccessCounters {
    /// Without a token or certificate, or with a wrong one.
    pub unauthenticated: Counter,
    /// With a role that does not allow it.
    pub forbidden: Counter,
}

/// Who may do what. Clones share it.
#[derive(Clone, Debug)]
pub struct Access(Arc<Shared>);

/// What the clones share.
#[derive(Debug)]
struct Shared {
    tokens: RwLock<Tokens>,
    config: AccessConfig,
    /// What a client with a certificate may do; absent when certificates are not asked for.
    certificate_roles: Option<Vec<Role>>,
    counters: AccessCounters,
    log: Throttle,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Refusal {
    /// Nobody that is known.
    Unauthenticated,
    /// Someone who may not.
    Forbidden,
}

impl AccessCounters {
    /// Makes them part of the metrics.
    pub fn register(&self, registry: &mut Registry) {
        let name = "access_unauthenticated_requests";
        let help = "Requests without a valid token or certificate";
        registry.register(name, help, self.unauthenticated.clone());
        let name = "access_forbidden_requests";
        let help = "Requests whose sender lacks the role";
        registry.register(name, help, self.forbidden.clone());
    }
}

impl Access {
    /// Reads the tokens.
    ///
    /// # Errors
    /// The file or line that cannot be used.
    pub fn new(config: &AccessConfig, tls: Option<&TlsConfig>) -> Result<Self, AccessError> {
        let certificate_roles = tls
            .filter(|tls| tls.client_ca.is_some())
            .map(|tls| tls.client_roles.iter().copied().map(role_of).collect());
        Ok(Self(Arc::new(Shared {
            tokens: RwLock::new(Tokens::load(config)?),
            config: config.clone(),
            certificate_roles,
            counters: AccessCounters::default(),
            log: Throttle::new(LOG_INTERVAL),
        })))
    }

    /// Reads the tokens again; the old ones stay when that fails.
    ///
    /// # Errors
    /// The file or line that cannot be used.
    pub fn reload(&self) -> Result<(), AccessError> {
        let tokens = Tokens::load(&self.0.config)?;
        let mut place = self
            .0
            .tokens
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *place = tokens;
        Ok(())
    }

    /// How often someone was refused.
    pub fn counters(&self) -> &AccessCounters {
        &self.0.counters
    }

    /// Whether everyone may do everything.
    pub fn is_open(&self) -> bool {
        let config = &self.0.config;
        let is_configured = config.tokens_file.is_some() || !config.tokens.is_empty();
        !is_configured && self.0.certificate_roles.is_none() && self.tokens(Tokens::is_empty)
    }

    /// Who asks for a path, if they may.
    fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        certificate: Option<&PeerCertificate>,
    ) -> Result<Identity, Refusal> {
        let is_health = HEALTH_PATHS.iter().any(|open| path.starts_with(open));
        let is_page = path == PAGE || path.starts_with(PAGE_FILES);
        if self.is_open() || is_page || (is_health && !self.0.config.is_health_closed) {
            return Ok(Identity::anyone());
        }
        let needed = needed_role(path);
        if let Some(token) = bearer_token(headers) {
            let found = self.tokens(|tokens| tokens.find(token));
            let (role, identity) = found.ok_or(Refusal::Unauthenticated)?;
            return if role == needed {
                Ok(identity)
            } else {
                Err(Refusal::Forbidden)
            };
        }
        let (Some(roles), Some(certificate)) = (&self.0.certificate_roles, certificate) else {
            return Err(Refusal::Unauthenticated);
        };
        if !roles.contains(&needed) {
            return Err(Refusal::Forbidden);
        }
        Ok(Identity::of_certificate(&certificate.0))
    }

    /// Looks at the tokens.
    fn tokens<T>(&self, look: impl FnOnce(&Tokens) -> T) -> T {
        look(&self.0.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a refusal, and logs it if none was logged lately.
    fn note(&self, refusal: Refusal, path: &str) {
        let counters = &self.0.counters;
        let (counter, why) = match refusal {
            Refusal::Unauthenticated => (&counters.unauthenticated, "no valid token"),
            Refusal::Forbidden => (&counters.forbidden, "role not sufficient"),
        };
        counter.inc();
        if let Some(held_back) = self.0.log.pass(clock::monotonic()) {
            let path: String = path.chars().take(LOGGED_PATH_CHARS_MAX).collect();
            tracing::warn!(path, held_back, "request refused: {why}");
        }
    }
}

/// Lets a request through with the [`Identity`] of its sender, or refuses it.
pub async fn check(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let certificate = request.extensions().get::<PeerCertificate>();
    match access.admit(path, request.headers(), certificate) {
        Ok(identity) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(refusal) => {
            access.note(refusal, path);
            refuse(refusal, request.headers())
        }
    }
}

/// The answer to a request that is refused, in the language of the one who asked.
fn refuse(refusal: Refusal, headers: &HeaderMap) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let (status, code, text) = match refusal {
        Refusal::Unauthenticated => (
            Status::unauthenticated("a valid bearer token or client certificate is needed"),
            StatusCode::UNAUTHORIZED,
            "a valid bearer token or client certificate is needed\n",
        ),
        Refusal::Forbidden => (
            Status::permission_denied("the token's role does not allow this"),
            StatusCode::FORBIDDEN,
            "the token's role does not allow this\n",
        ),
    };
    if is_grpc {
        return status.into_http::<Body>();
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (code, challenge, text).into_response()
}

/// What a path needs.
fn needed_role(path: &str) -> Role {
    if WRITE_PATHS.iter().any(|write| path.starts_with(write)) {
        Role::Write
    } else {
        Role::Read
    }
}

/// The token of a request.
fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, header};

    use super::{super::sha256_hex, Access, Refusal};
    use crate::config::{AccessConfig, RoleName, TokenConfig};

    const INGEST: &str = "/profiler.v1.IngestService/Ingest";
    const QUERY: &str = "/profiler.v1.QueryService/Top";

    fn access() -> Access {
        let token = |role, token: &str| TokenConfig {
            role,
            sha256: sha256_hex(token.as_bytes()),
            name: None,
        };
        let tokens = vec![token(RoleName::Read, "r"), token(RoleName::Write, "w")];
        let config = AccessConfig {
            tokens,
            ..AccessConfig::default()
        };
        Access::new(&config, None).unwrap()
    }

    fn bearer(token: &str) -> HeaderMap {
        let value = format!("bearer {token}").parse().unwrap();
        [(header::AUTHORIZATION, value)].into_iter().collect()
    }

    #[test]
    fn each_path_needs_its_role() {
        let access = access();
        let refusal = |path, token| access.admit(path, &bearer(token), None).err();
        assert_eq!(None, refusal(INGEST, "w"));
        assert_eq!(None, refusal(QUERY, "r"));
        assert_eq!(Some(Refusal::Forbidden), refusal(INGEST, "r"));
        assert_eq!(Some(Refusal::Forbidden), refusal(QUERY, "w"));
        assert_eq!(Some(Refusal::Unauthenticated), refusal(QUERY, "x"));
        for path in ["/ingest", "/v1development/profiles", "/admin/backup"] {
            assert_eq!(Some(Refusal::Forbidden), refusal(path, "r"), "{path}");
        }
    }

    #[test]
    fn without_a_token_only_health_and_the_empty_page_are_shown() {
        let access = access();
        let refusal = |path| access.admit(path, &HeaderMap::new(), None).err();
        assert_eq!(Some(Refusal::Unauthenticated), refusal(INGEST));
        assert_eq!(Some(Refusal::Unauthenticated), refusal(QUERY));
        assert_eq!(Some(Refusal::Unauthenticated), refusal("/x"));
        assert_eq!(None, refusal("/"));
        assert_eq!(None, refusal("/assets/index.js"));
        assert_eq!(None, refusal("/healthz"));
    }

    #[test]
    fn without_tokens_everyone_may() {
        let access = Access::new(&AccessConfig::default(), None).unwrap();
        let identity = access.admit(INGEST, &HeaderMap::new(), None).unwrap();
        assert!(access.is_open() && identity.is_anyone());
    }

    #[test]
    fn an_empty_file_of_tokens_lets_nobody_in() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let config = AccessConfig {
            tokens_file: Some(file.path().to_owned()),
            ..AccessConfig::default()
        };
        let access = Access::new(&config, None).unwrap();
        let error = access.admit(QUERY, &HeaderMap::new(), None).unwrap_err();
        assert_eq!(Refusal::Unauthenticated, error);
    }
}
