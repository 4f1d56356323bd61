//! Configuration of the query service.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Port on which daemons and people find the service.
const PORT: u16 = 7317;

/// Configuration of the query service.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// Address to listen on, for everything.
    pub listen: SocketAddr,
    /// Folder of the store.
    pub data: PathBuf,
    /// Certificates; plain text without.
    pub tls: Option<TlsConfig>,
    /// Who may do what.
    pub access: AccessConfig,
    /// What one client may send.
    pub limits: LimitsConfig,
    /// What is kept.
    pub retention: RetentionConfig,
    /// Budget that is looked at all the time; alerts come from it.
    pub budget: Option<PathBuf>,
    /// What counts as a bottleneck, where it is not what is built in.
    pub rules: Option<PathBuf>,
}

/// Certificates, in PEM files. They are read again on SIGHUP.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The service's certificate and those that lead to its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of clients' certificates; clients need none without.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// What a client with a certificate may do.
    #[serde(default = "all_roles")]
    pub client_roles: Vec<RoleName>,
}

/// What someone may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Ask.
    Read,
    /// Deliver, and manage the store.
    Write,
}

/// Who may do what. Everyone may do everything as long as there are no tokens and no authority of
/// clients.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// File of tokens: a line `ROLE SHA256 [NAME]` each. It is read again on SIGHUP.
    pub tokens_file: Option<PathBuf>,
    /// Further tokens.
    pub tokens: Vec<TokenConfig>,
    /// Whether `/healthz`, `/metrics` and the gRPC health service need the role `read`.
    pub is_health_closed: bool,
}

/// One token, known by its hash.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// What its bearer may do.
    pub role: RoleName,
    /// SHA-256 of the token, in hexadecimal digits.
    pub sha256: String,
    /// What its bearer is called. A new token of the same name is the same client.
    #[serde(default)]
    pub name: Option<String>,
}

/// What one client may send, and all of them together.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes a second of one client, over time.
    pub client_bytes_per_second: u64,
    /// Weighted stacks a second of one client, over time.
    pub client_stacks_per_second: u64,
    /// Batches of one client that wait for the disk.
    pub client_batches_in_flight: usize,
    /// Memory for batches of all clients that wait for the disk, in MiB.
    pub memory_mib: u32,
    /// Connections at once.
    pub connections: usize,
    /// Clients whose numbers are remembered.
    pub clients: usize,
    /// Seconds after which a client that sends nothing is dropped.
    pub idle_seconds: u64,
}

/// What is kept.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days for which windows are kept as they came.
    pub raw_days: u32,
    /// Days for which sums by minute are kept.
    pub minute_days: u32,
    /// Days for which sums by hour are kept.
    pub hour_days: u32,
    /// Most bytes on disk, the oldest go first; zero for no bound but the disk's.
    pub size_bytes: u64,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            data: PathBuf::from("/var/lib/profiler"),
            tls: None,
            access: AccessConfig::default(),
            limits: LimitsConfig::default(),
            retention: RetentionConfig::default(),
            budget: None,
            rules: None,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            // A busy 64-core host sends some 50 kB a second; a spool that is shipped sends more.
            client_bytes_per_second: 8 << 20,
            client_stacks_per_second: 200_000,
            client_batches_in_flight: 8,
            memory_mib: 256,
            connections: 4096,
            clients: 100_000,
            idle_seconds: 120,
        }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            raw_days: 7,
            minute_days: 90,
            hour_days: 730,
            size_bytes: 0,
        }
    }
}

impl ServiceConfig {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// The key that cannot be used, and why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let positive = [
            (
                "limits.client_bytes_per_second",
                limits.client_bytes_per_second,
            ),
            (
                "limits.client_stacks_per_second",
                limits.client_stacks_per_second,
            ),
            (
                "limits.client_batches_in_flight",
                limits.client_batches_in_flight as u64,
            ),
            ("limits.connections", limits.connections as u64),
            ("limits.clients", limits.clients as u64),
            ("limits.idle_seconds", limits.idle_seconds),
            ("retention.raw_days", self.retention.raw_days.into()),
            ("retention.minute_days", self.retention.minute_days.into()),
            ("retention.hour_days", self.retention.hour_days.into()),
        ];
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            let why = "must not be zero";
            return Err(ConfigError::Value { key, why });
        }
        if !(32..=65_536).contains(&limits.memory_mib) {
            let (key, why) = ("limits.memory_mib", "must be 32 to 65536");
            return Err(ConfigError::Value { key, why });
        }
        Ok(())
    }
}

/// So many days.
pub fn days(count: u32) -> Duration {
    const DAY_SECONDS: u64 = 24 * 60 * 60;
    Duration::from_secs(u64::from(count).saturating_mul(DAY_SECONDS))
}

/// What a client with a certificate may do, when nothing is said.
fn all_roles() -> Vec<RoleName> {
    vec![RoleName::Read, RoleName::Write]
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::{super::load, ConfigError, RoleName, ServiceConfig, days};

    /// A file with a text.
    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    /// Loads a text as a file.
    fn parse(text: &str) -> Result<ServiceConfig, ConfigError> {
        load(file(text).path())
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(ServiceConfig::default(), parse("").unwrap());
        ServiceConfig::default().validate().unwrap();
    }

    #[test]
    fn every_section_can_be_set() {
        let config = parse(
            "listen = \"0.0.0.0:1\"\ndata = \"/d\"\n[tls]\ncert = \"c\"\nkey = \"k\"\n\
             client_ca = \"a\"\nclient_roles = [\"write\"]\n[access]\ntokens_file = \"t\"\n\
             tokens = [{ role = \"read\", sha256 = \"00\", name = \"n\" }]\n\
             [limits]\nmemory_mib = 64\n[retention]\nraw_days = 3\nsize_bytes = 5\n",
        )
        .unwrap();
        assert_eq!(vec![RoleName::Write], config.tls.unwrap().client_roles);
        assert_eq!(64, config.limits.memory_mib);
        assert_eq!(3 * 86_400, days(config.retention.raw_days).as_secs());
    }

    #[test]
    fn a_key_that_is_not_known_is_named() {
        for (text, key) in [("lisen = 1", "lisen"), ("[limits]\nmemory = 1", "memory")] {
            let error = parse(text).unwrap_err();
            let source = error.source().unwrap().to_string();
            assert!(source.contains(key), "{source}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_named() {
        let config = parse("[limits]\nidle_seconds = 0").unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert_eq!("limits.idle_seconds: must not be zero", error);
    }
}
