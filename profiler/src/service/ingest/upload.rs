//! Profiles that someone uploads: bounded like those of daemons, durable before the answer.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::sleep};
use xxhash_rust::xxh3::xxh3_128;

use super::{
    UploadError,
    limits::{FULL_WAIT, UPLOAD_WAIT},
    service::Ingest,
};
use crate::{
    clock,
    model::{Batch, HostWindow, Labels, Profile, SenderId, label},
    service::{
        access::Identity,
        store::{Appended, StoreError},
    },
    wire::v1::{decode_batch, encode_batch},
};

/// Host of an upload that names none.
const UNKNOWN_HOST: &str = "unknown";

/// Labels that may name the host of an upload, best first.
const HOST_LABELS: [&str; 3] = [label::HOST, "hostname", "instance"];

/// Longest time that an upload may cover; longer ones are cut.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Last numbers of those who upload.
pub(super) type UploadSequences = HashMap<SenderId, u64>;

/// A profile with what it is to be filed under.
#[derive(Debug)]
pub(super) struct Upload {
    /// The data.
    pub(super) profile: Profile,
    /// `cpu` …
    pub(super) signal: String,
    /// Nanoseconds that one unit of the first value stands for; zero when samples are not periodic.
    pub(super) period_ns: u64,
    /// Labels that all of it shares; those of the profile count more.
    pub(super) labels: Labels,
}

/// Makes uploads durable, all of them or none.
///
/// # Errors
/// They are out of bounds, too much was sent lately, or the store does not take them in time.
pub(super) async fn keep(
    ingest: &Arc<Ingest>,
    identity: &Identity,
    size_bytes: usize,
    uploads: Vec<Upload>,
) -> Result<(), UploadError> {
    let (to_bound, who) = (uploads, identity.clone());
    let owner = Arc::clone(ingest);
    let (batch, sender) = spawn_blocking(move || -> Result<_, UploadError> {
        let sender = admit(&owner, &who, size_bytes)?;
        Ok((bounded(&batch_of(to_bound))?, sender))
    })
    .await
    .map_err(|_panic| UploadError::Stopping)??;
    let _memory = ingest.memory(size_bytes).await;
    let mut waited = Duration::ZERO;
    loop {
        match try_keep(ingest, sender, batch.clone()).await {
            Err(UploadError::Full { .. }) if waited < UPLOAD_WAIT => {
                sleep(FULL_WAIT).await;
                waited = waited.saturating_add(FULL_WAIT);
            }
            outcome => return outcome,
        }
    }
}

/// Hands a batch to the store once, and waits until it is durable.
async fn try_keep(ingest: &Arc<Ingest>, sender: SenderId, batch: Batch) -> Result<(), UploadError> {
    let windows = if ingest.live.is_watched() {
        batch.windows.clone()
    } else {
        Vec::new()
    };
    let owner = Arc::clone(ingest);
    let appended = spawn_blocking(move || append(&owner, sender, batch)).await;
    let outcome = match appended.map_err(|_panic| UploadError::Stopping)? {
        Ok(appended) => match appended.0.await {
            Ok(outcome) => outcome,
            Err(_dropped) => return Err(UploadError::Stopping),
        },
        Err(error) => Err(Arc::new(error)),
    };
    match outcome {
        Ok(()) => {
            ingest.note_room();
            ingest.counters.uploads.inc();
            for window in windows {
                ingest.live.publish(window);
            }
            Ok(())
        }
        Err(error) => {
            let StoreError::Full { reason } = &*error else {
                return Err(UploadError::Store(error));
            };
            ingest.note_full(reason);
            let reason = reason.clone();
            Err(UploadError::Full { reason })
        }
    }
}

/// Appends under the next number of a sender.
fn append(ingest: &Ingest, sender: SenderId, batch: Batch) -> Result<Appended, StoreError> {
    // A number that was given and not used is a gap, which is allowed.
    let sequences = ingest.upload_sequences.lock();
    let mut sequences = sequences.unwrap_or_else(PoisonError::into_inner);
    let last = sequences.entry(sender).or_default();
    *last = (*last)
        .max(ingest.store.durable_sequence(sender))
        .saturating_add(1);
    ingest.store.append(sender, *last, batch)
}

/// The sender that stands for the uploads of a client, if it may upload now.
fn admit(ingest: &Ingest, who: &Identity, size_bytes: usize) -> Result<SenderId, UploadError> {
    let sender = SenderId(xxh3_128(format!("upload {who}").as_bytes()));
    let seat = ingest.senders.claim(sender, who);
    let seat = seat.map_err(UploadError::Sender)?;
    let debt = seat.spend(0, 0);
    if Duration::ZERO < debt {
        let wait_s = debt.as_secs().saturating_add(1);
        return Err(UploadError::TooFast { wait_s });
    }
    seat.spend(size_bytes, 0);
    Ok(sender)
}

/// Checks uploads as what daemons send is checked. Texts that are too long are cut.
fn bounded(batch: &Batch) -> Result<Batch, UploadError> {
    let (_sequence, mut bounded) =
        decode_batch(encode_batch(1, batch)).map_err(UploadError::Bounds)?;
    for (window, original) in bounded.windows.iter_mut().zip(&batch.windows) {
        window.host.clone_from(&original.host);
    }
    Ok(bounded)
}

/// All uploads in one batch, definitions once.
fn batch_of(uploads: Vec<Upload>) -> Batch {
    let mut all = Batch::default();
    let (mut frames, mut stacks) = (HashSet::new(), HashSet::new());
    for upload in uploads {
        let mut batch = to_batch(upload);
        let definitions = &mut all.definitions;
        (batch.definitions.frames).retain(|frame| frames.insert(frame.hash));
        (batch.definitions.stacks).retain(|stack| stacks.insert(stack.hash));
        definitions.frames.append(&mut batch.definitions.frames);
        definitions.stacks.append(&mut batch.definitions.stacks);
        all.windows.append(&mut batch.windows);
    }
    all
}

/// One upload.
fn to_batch(upload: Upload) -> Batch {
    let Upload {
        mut profile,
        signal,
        period_ns,
        labels,
    } = upload;
    if profile.host.is_empty() {
        let named = HOST_LABELS.iter().find_map(|name| labels.get(*name));
        let host = named.map_or(UNKNOWN_HOST, String::as_str);
        host.clone_into(&mut profile.host);
    }
    let window = &mut profile.window;
    if window.start.is_zero() {
        window.start = clock::wall().saturating_sub(window.duration);
    }
    window.duration = window.duration.min(DURATION_MAX);
    for task in &mut profile.tasks {
        for (name, value) in &labels {
            (task.labels.entry(name.clone())).or_insert_with(|| value.clone());
        }
        // Batches of the model take a task with a host for one that is labelled in full.
        task.labels.remove(label::HOST);
    }
    let mut batch = Batch::from_profile(&profile, period_ns);
    let rename = |window: &mut HostWindow| window.signal.clone_from(&signal);
    batch.windows.iter_mut().for_each(rename);
    batch
}
