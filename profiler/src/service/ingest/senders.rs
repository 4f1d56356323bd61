//! Senders: whose they are, what they may still send, and that each has one stream.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::allowance::Allowance;
use crate::{clock, config::LimitsConfig, model::SenderId, service::access::Identity};

/// Why a sender was refused.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// The sender's id belongs to someone else.
    #[error("this sender id belongs to another client")]
    Stolen,
    /// There are more clients than the service remembers.
    #[error("{clients_max} clients are known, and no more are taken")]
    TooMany {
        /// Most clients.
        clients_max: usize,
    },
    /// The file that remembers them cannot be used.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// All senders that were ever seen.
#[derive(Debug)]
pub(super) struct Senders {
    known: Mutex<Known>,
    limits: LimitsConfig,
}

/// What is known of senders.
#[derive(Debug)]
struct Known {
    senders: HashMap<SenderId, Sender>,
    /// Where owners are written down; absent when nothing outlives the process.
    file: Option<(PathBuf, File)>,
}

/// One sender.
#[derive(Debug)]
struct Sender {
    owner: Identity,
    /// Absent until it was seen since the start.
    allowance: Option<Arc<Mutex<Allowance>>>,
    /// Ends its stream.
    stream: CancellationToken,
    /// Held by its stream.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A sender's right to deliver; its earlier stream is over once the turn came.
#[derive(Debug)]
pub(super) struct Seat {
    /// Cancelled when a later stream takes the seat.
    pub(super) replaced: CancellationToken,
    allowance: Arc<Mutex<Allowance>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Senders {
    /// Reads who owns which id; starts the file when there is none.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(super) fn open(path: Option<&Path>, limits: &LimitsConfig) -> Result<Self, SenderError> {
        let mut senders = HashMap::new();
        let file = match path {
            None => None,
            Some(path) => {
                let file = open(path, limits.clients, &mut senders);
                let failed = |source| SenderError::File {
                    path: path.to_owned(),
                    source,
                };
                Some((path.to_owned(), file.map_err(failed)?))
            }
        };
        Ok(Self {
            known: Mutex::new(Known { senders, file }),
            limits: limits.clone(),
        })
    }

    /// Takes the seat of a sender. Its earlier stream is asked to end.
    ///
    /// # Errors
    /// The id is another client's, or there are too many.
    pub(super) fn claim(&self, id: SenderId, who: &Identity) -> Result<Seat, SenderError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.own(&mut known, id, who)?;
        let limits = &self.limits;
        let sender = known.senders.get_mut(&id).expect("owned just now");
        sender.stream.cancel();
        sender.stream = CancellationToken::new();
        let allowance = sender.allowance.get_or_insert_with(|| {
            Arc::new(Mutex::new(Allowance::new(
                limits.client_bytes_per_second,
                limits.client_stacks_per_second,
                clock::monotonic(),
            )))
        });
        Ok(Seat {
            replaced: sender.stream.clone(),
            allowance: Arc::clone(allowance),
            turn: Arc::clone(&sender.turn),
        })
    }

    /// Makes sure that an id is owned by a client. An id that anyone could use becomes the first
    /// one's that has a name: that is how a service gets its first tokens.
    fn own(&self, known: &mut Known, id: SenderId, who: &Identity) -> Result<(), SenderError> {
        match known.senders.get(&id) {
            Some(sender) if sender.owner == *who => return Ok(()),
            Some(sender) if !sender.owner.is_anyone() => return Err(SenderError::Stolen),
            None if self.limits.clients <= known.senders.len() => {
                let clients_max = self.limits.clients;
                return Err(SenderError::TooMany { clients_max });
            }
            Some(_) | None => {}
        }
        if let Some((path, file)) = &mut known.file {
            writeln!(file, "{:032x} {who}", id.0)
                .and_then(|()| file.sync_data())
                .map_err(|source| SenderError::File {
                    path: path.clone(),
                    source,
                })?;
        }
        let sender = (known.senders.entry(id)).or_insert_with(|| Sender::of(who.clone()));
        sender.owner = who.clone();
        Ok(())
    }
}

impl Sender {
    /// A sender without a stream.
    fn of(owner: Identity) -> Self {
        Self {
            owner,
            allowance: None,
            stream: CancellationToken::new(),
            turn: Arc::default(),
        }
    }
}

impl Seat {
    /// Waits until the earlier stream of the sender is over.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Takes what a batch costs; says how long the client has to wait before the next one.
    pub(super) fn spend(&self, bytes: usize, stacks: usize) -> Duration {
        let mut allowance = self
            .allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        allowance.spend(bytes, stacks, clock::monotonic())
    }
}

/// Reads a file of lines `ID OWNER`, and opens it for more. A last line that was cut is ignored, and
/// later lines count more than earlier ones.
fn open(
    path: &Path,
    clients_max: usize,
    senders: &mut HashMap<SenderId, Sender>,
) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)?;
    let mut ends_in_line = true;
    let mut reader = BufReader::new(&file);
    let mut line = String::new();
    while 0 < reader.read_line(&mut line)? {
        ends_in_line = line.ends_with('\n');
        let parts = line.trim_end().split_once(' ');
        let parsed = parts.and_then(|(id, who)| Some((u128::from_str_radix(id, 16).ok()?, who)));
        if let (Some((id, who)), true) = (parsed, ends_in_line)
            && senders.len() < clients_max
        {
            senders.insert(SenderId(id), Sender::of(Identity::from_text(who)));
        }
        line.clear();
    }
    if !ends_in_line {
        writeln!(file)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{Identity, LimitsConfig, SenderError, SenderId, Senders};

    const ID: SenderId = SenderId(7);

    fn who(name: &str) -> Identity {
        Identity::from_text(name)
    }

    #[test]
    fn an_id_belongs_to_the_first_who_used_it_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("senders");
        let open = || Senders::open(Some(&path), &LimitsConfig::default()).unwrap();
        open().claim(ID, &who("token:a")).unwrap();
        let again = open();
        let error = again.claim(ID, &who("token:b")).unwrap_err();
        assert!(matches!(error, SenderError::Stolen));
        let error = again.claim(ID, &Identity::anyone()).unwrap_err();
        assert!(matches!(error, SenderError::Stolen));
        again.claim(ID, &who("token:a")).unwrap();
    }

    #[test]
    fn an_id_that_anyone_used_becomes_a_named_clients() {
        let senders = Senders::open(None, &LimitsConfig::default()).unwrap();
        senders.claim(ID, &Identity::anyone()).unwrap();
        senders.claim(ID, &who("token:a")).unwrap();
        senders.claim(ID, &Identity::anyone()).unwrap_err();
    }

    #[test]
    fn a_later_stream_replaces_the_earlier_one() {
        let senders = Senders::open(None, &LimitsConfig::default()).unwrap();
        let first = senders.claim(ID, &who("a")).unwrap();
        let second = senders.claim(ID, &who("a")).unwrap();
        assert!(first.replaced.is_cancelled() && !second.replaced.is_cancelled());
    }

    #[test]
    fn clients_are_bounded() {
        let limits = LimitsConfig {
            clients: 1,
            ..LimitsConfig::default()
        };
        let senders = Senders::open(None, &limits).unwrap();
        senders.claim(ID, &who("a")).unwrap();
        let error = senders.claim(SenderId(8), &who("a")).unwrap_err();
        assert!(matches!(error, SenderError::TooMany { clients_max: 1 }));
    }

    #[test]
    fn a_line_that_was_cut_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("senders");
        std::fs::write(&path, "00000000000000000000000000000007 token:a\n0000").unwrap();
        let open = || Senders::open(Some(&path), &LimitsConfig::default()).unwrap();
        open().claim(SenderId(8), &who("b")).unwrap();
        open().claim(SenderId(8), &who("c")).unwrap_err();
        open().claim(ID, &who("c")).unwrap_err();
    }
}
