//! One question over HTTP, in the clear or with TLS.
//!
//! HTTP/1.0: the answer comes in one piece and ends with the connection.

use std::{
    fs,
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use super::{
    KubeletError,
    limits::{ANSWER_SIZE_BYTES_MAX, PATIENCE},
    pod_list,
};
use crate::model::PodContainer;

/// Where the kubelet is, and how to be let in.
#[derive(Clone, Debug)]
pub struct Kubelet {
    /// `https://HOST:10250/pods`, or `http://HOST:10255/pods` where the open port is on.
    pub url: String,
    /// File of the token; read each time, because the cluster renews it.
    pub token_file: Option<PathBuf>,
    /// Authority of the kubelet's certificate, PEM. Needed for https.
    pub ca: Option<PathBuf>,
}

/// A way to read and write.
trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

/// The parts of an address.
struct Address<'a> {
    is_tls: bool,
    authority: &'a str,
    host: &'a str,
    path: String,
}

/// Reads the list of pods. Waits for the network, some seconds at most for each piece.
///
/// # Errors
/// A file that cannot be used, a kubelet that is away or refuses, an answer that is no list.
pub fn read_pods(kubelet: &Kubelet) -> Result<Vec<PodContainer>, KubeletError> {
    let address = Address::parse(&kubelet.url).ok_or_else(|| KubeletError::Address {
        url: kubelet.url.clone(),
    })?;
    let token = kubelet.token_file.as_deref().map(read_token).transpose()?;
    let failed = |source| KubeletError::Connection {
        url: kubelet.url.clone(),
        source,
    };
    let stream = connect(&address).map_err(failed)?;
    let mut connection: Box<dyn Connection> = if address.is_tls {
        Box::new(tls(kubelet, &address, stream)?)
    } else {
        Box::new(stream)
    };
    let answer = ask(&mut *connection, &address, token.as_deref()).map_err(failed)?;
    if ANSWER_SIZE_BYTES_MAX <= answer.len() as u64 {
        return Err(KubeletError::TooLarge {
            size_bytes_max: ANSWER_SIZE_BYTES_MAX,
        });
    }
    let (head, body) = split_head(&answer);
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(KubeletError::Refused {
            url: kubelet.url.clone(),
            status: status.to_owned(),
        });
    }
    pod_list::parse(body).map_err(KubeletError::List)
}

impl<'a> Address<'a> {
    /// Reads an address; without a path it is the list of pods.
    fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, "pods"));
        let (host, port) = authority.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        Some(Self {
            is_tls: match scheme {
                "http" => false,
                "https" => true,
                _other => return None,
            },
            authority,
            host: host.trim_start_matches('[').trim_end_matches(']'),
            path: format!("/{path}"),
        })
    }
}

/// The first line of a file.
fn read_token(path: &Path) -> Result<String, KubeletError> {
    let text = fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Connects to the first address that answers.
fn connect(address: &Address<'_>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for candidate in address.authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Wraps a connection.
fn tls(
    kubelet: &Kubelet,
    address: &Address<'_>,
    stream: TcpStream,
) -> Result<StreamOwned<ClientConnection, TcpStream>, KubeletError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &kubelet.ca {
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| file_error(path, &error))?;
        roots.add_parsable_certificates(certificates);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(KubeletError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(address.host.to_owned());
    let name = name.map_err(|_no_name| KubeletError::Address {
        url: kubelet.url.clone(),
    })?;
    let session = ClientConnection::new(Arc::new(config), name).map_err(KubeletError::Tls)?;
    Ok(StreamOwned::new(session, stream))
}

/// Sends the question and reads the answer to its end, or to its bound.
fn ask(
    connection: &mut dyn Connection,
    address: &Address<'_>,
    token: Option<&str>,
) -> io::Result<Vec<u8>> {
    let authorization = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let request = format!(
        "GET {} HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\n{authorization}\r\n",
        address.path, address.authority
    );
    connection.write_all(request.as_bytes())?;
    connection.flush()?;
    let mut answer = Vec::new();
    match (connection.take(ANSWER_SIZE_BYTES_MAX)).read_to_end(&mut answer) {
        Ok(_) => Ok(answer),
        // Many servers end the connection without saying so in TLS; a list that was cut is no JSON.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(answer),
        Err(error) => Err(error),
    }
}

/// Head and body of an answer.
fn split_head(answer: &[u8]) -> (String, &[u8]) {
    const BLANK: &[u8] = b"\r\n\r\n";
    let end = answer.windows(BLANK.len()).position(|part| part == BLANK);
    let (head, body) = answer.split_at(end.unwrap_or(answer.len()));
    let head = String::from_utf8_lossy(head).into_owned();
    (head, body.get(BLANK.len()..).unwrap_or_default())
}

/// An error of a file.
fn file_error(path: &Path, reason: &dyn std::fmt::Display) -> KubeletError {
    KubeletError::File {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread::{self, JoinHandle},
    };

    use super::{Kubelet, KubeletError, read_pods};

    /// What a kubelet said, shortened to what differs between pods.
    const LIST: &str = include_str!("../../../../tests/fixtures/kubelet/pods.json");
    /// A container of it.
    const NGINX: &str = "6f1cf0a7b8d94e6bb2bd6f6a5e2a7c1f0d3e4b5a69788796a5b4c3d2e1f00112";

    /// Answers one question; gives what was asked.
    fn serve(status: &'static str, body: &'static str) -> (Kubelet, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/pods", listener.local_addr().unwrap());
        let served = thread::spawn(move || {
            let (mut client, _address) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let length = client.read(&mut request).unwrap();
            write!(
                client,
                "HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n{body}"
            )
            .unwrap();
            request.truncate(length);
            String::from_utf8_lossy(&request).into_owned()
        });
        let kubelet = Kubelet {
            url,
            token_file: None,
            ca: None,
        };
        (kubelet, served)
    }

    #[test]
    fn containers_are_known_by_their_ids_and_the_token_is_shown() {
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), "secret\n").unwrap();
        let (mut kubelet, served) = serve("200 OK", LIST);
        kubelet.token_file = Some(token.path().to_owned());
        let containers = read_pods(&kubelet).unwrap();
        let request = served.join().unwrap();
        assert!(request.starts_with("GET /pods HTTP/1.0\r\n"), "{request}");
        assert!(
            request.contains("\r\nAuthorization: Bearer secret\r\n"),
            "{request}"
        );
        let nginx = containers
            .iter()
            .find(|found| found.container_id == NGINX)
            .unwrap();
        assert_eq!(
            ("web-7d4b9c6f5-x2x8p", "shop", "nginx"),
            (&*nginx.pod, &*nginx.namespace, &*nginx.container)
        );
        // Three that have started, and each of three pods by itself.
        assert_eq!(6, containers.len());
    }

    #[test]
    fn a_refusal_and_nonsense_are_errors_with_the_reason() {
        let (kubelet, served) = serve("403 Forbidden", "no");
        let error = read_pods(&kubelet).unwrap_err();
        assert!(matches!(error, KubeletError::Refused { .. }), "{error}");
        served.join().unwrap();
        let (kubelet, served) = serve("200 OK", "[");
        assert!(matches!(read_pods(&kubelet), Err(KubeletError::List(_))));
        served.join().unwrap();
        let nowhere = Kubelet {
            url: "ftp://x:1/pods".to_owned(),
            ..kubelet
        };
        assert!(matches!(
            read_pods(&nowhere),
            Err(KubeletError::Address { .. })
        ));
    }
}
