//! The connection to the service.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{UnreachableError, UsageError, args::ConnectionArgs};
use crate::wire::v1::generated::{
    alert_service_client::AlertServiceClient, query_service_client::QueryServiceClient,
};

/// Longest time until the connection is there.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest message taken from the service: its largest tree, several times.
const ANSWER_SIZE_BYTES_MAX: usize = 64 << 20;

/// The client, with the token on every question.
pub(crate) type Client = QueryServiceClient<InterceptedService<Channel, Token>>;
/// The same for alerts.
pub(super) type AlertClient = AlertServiceClient<InterceptedService<Channel, Token>>;

/// Puts the token on every question.
#[derive(Clone)]
pub(crate) struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl Token {
    /// A token as a header.
    fn new(token: Option<&str>) -> Result<Self, UsageError> {
        let Some(token) = token else {
            return Ok(Self(None));
        };
        let value = format!("Bearer {}", token.trim()).parse::<MetadataValue<Ascii>>();
        let mut value = value.map_err(|_not_ascii| UsageError::Token)?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

/// Connects to the service.
pub(crate) async fn connect(args: &ConnectionArgs) -> anyhow::Result<Client> {
    let (channel, token) = channel(args).await?;
    let client = QueryServiceClient::with_interceptor(channel, token);
    Ok(client
        .max_decoding_message_size(ANSWER_SIZE_BYTES_MAX)
        .accept_compressed(tonic::codec::CompressionEncoding::Zstd))
}

/// Connects to the alerts of the service.
pub(super) async fn connect_alerts(args: &ConnectionArgs) -> anyhow::Result<AlertClient> {
    let (channel, token) = channel(args).await?;
    Ok(AlertServiceClient::with_interceptor(channel, token))
}

/// A connection, and the token to send on it.
async fn channel(args: &ConnectionArgs) -> anyhow::Result<(Channel, Token)> {
    let token = Token::new(token(args)?.as_deref())?;
    let endpoint = endpoint(args)?;
    let channel = endpoint.connect().await.map_err(|error| UnreachableError {
        server: args.server.clone(),
        source: error.into(),
    })?;
    Ok((channel, token))
}

/// The token that was typed, or the first line of the file that holds it.
fn token(args: &ConnectionArgs) -> anyhow::Result<Option<String>> {
    let Some(path) = &args.token_file else {
        return Ok(args.token.clone());
    };
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
}

/// Where the service is, and how to prove who is who.
fn endpoint(args: &ConnectionArgs) -> anyhow::Result<Endpoint> {
    let wrong = || UsageError::Server {
        server: args.server.clone(),
    };
    let endpoint = Endpoint::from_shared(args.server.clone()).map_err(|_no_address| wrong())?;
    let endpoint = endpoint.connect_timeout(CONNECT_TIME_MAX);
    let scheme = endpoint.uri().scheme_str().map(str::to_owned);
    match scheme.as_deref() {
        Some("http") => Ok(endpoint),
        Some("https") => {
            let tls = tls(args)?;
            endpoint.tls_config(tls).context("set up TLS")
        }
        Some(_) | None => Err(wrong().into()),
    }
}

/// Certificates and keys.
fn tls(args: &ConnectionArgs) -> anyhow::Result<ClientTlsConfig> {
    let tls = ClientTlsConfig::new();
    let mut tls = match args.ca.as_deref() {
        Some(ca) => tls.ca_certificate(Certificate::from_pem(read(ca)?)),
        None => tls.with_native_roots(),
    };
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
    }
    Ok(tls)
}

/// A small file.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A question that waits so long for its answer.
pub(crate) fn ask<T>(question: T, args: &ConnectionArgs) -> Request<T> {
    let mut request = Request::new(question);
    request.set_timeout(args.timeout.0);
    request
}

/// What a refusal means for the one who asked.
pub(crate) fn refused(status: &Status, args: &ConnectionArgs) -> anyhow::Error {
    let message = status.message().to_owned();
    match status.code() {
        Code::InvalidArgument => UsageError::Refused { message }.into(),
        Code::Unavailable => UnreachableError {
            server: args.server.clone(),
            source: status.clone().into(),
        }
        .into(),
        Code::Unauthenticated => anyhow::anyhow!(
            "the service does not know the token: {message}; give one with --token or PROFILER_TOKEN"
        ),
        Code::PermissionDenied => {
            anyhow::anyhow!("the token does not allow this: {message}; it needs the role `read`")
        }
        Code::DeadlineExceeded | Code::Cancelled => anyhow::anyhow!(
            "no answer within {:?}: {message}; a shorter time range or a narrower selector helps, or \
             a longer --timeout",
            args.timeout.0
        ),
        Code::Unimplemented => anyhow::anyhow!(
            "{} does not answer this question: it is another service, or an older one",
            args.server
        ),
        Code::Ok
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::DataLoss => anyhow::anyhow!("{message}"),
    }
}
