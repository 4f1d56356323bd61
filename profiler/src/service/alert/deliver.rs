//! Messages on their way to a receiver: in order, tried again, given up after a while.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    AlertError,
    http::Target,
    limits::{PAUSE_MIN, QUEUE_MAX, REPEAT_EVERY, TRIES_MAX},
    message::Message,
};
use crate::service::insight::Receiver;

/// How deliveries to a receiver go.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Record {
    /// Messages that it took.
    pub(super) delivered: u64,
    /// Messages that were given up.
    pub(super) failed: u64,
    /// Why the last one was; empty when it was not.
    pub(super) last_error: String,
}

/// What a receiver understands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Language {
    Webhook,
    Alertmanager,
}

/// One receiver.
pub(super) struct Deliveries {
    pub(super) name: String,
    language: Language,
    queue: mpsc::Sender<Message>,
    record: Arc<Mutex<Record>>,
}

impl Deliveries {
    /// Starts to deliver. Must be called on the service's threads.
    pub(super) fn start(receiver: &Receiver) -> Result<Self, AlertError> {
        let (ca, token) = (receiver.ca.as_deref(), receiver.token_file.as_deref());
        let target = Target::new(receiver.url(), ca, token)?;
        let (language, target) = if receiver.alertmanager.is_some() {
            (Language::Alertmanager, target.below("/api/v2/alerts"))
        } else {
            (Language::Webhook, target)
        };
        let (queue, messages) = mpsc::channel(QUEUE_MAX);
        let record = Arc::default();
        tokio::spawn(deliver_all(target, language, messages, Arc::clone(&record)));
        Ok(Self {
            name: receiver.name.clone(),
            language,
            queue,
            record,
        })
    }

    /// Hands a message over. One that finds no room is given up, and counted.
    pub(super) fn send(&self, message: Message) {
        if let Err(TrySendError::Full(message)) = self.queue.try_send(message) {
            note(
                &self.record,
                &message,
                Err("too many messages wait".to_owned()),
            );
        }
    }

    /// Whether a firing alert has to be told again and again.
    pub(super) fn needs_repeats(&self) -> bool {
        self.language == Language::Alertmanager
    }

    /// The word of the wire.
    pub(super) fn kind(&self) -> &'static str {
        match self.language {
            Language::Webhook => "webhook",
            Language::Alertmanager => "alertmanager",
        }
    }

    /// How deliveries go.
    pub(super) fn record(&self) -> Record {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.clone()
    }
}

/// Delivers messages until no more come.
async fn deliver_all(
    target: Target,
    language: Language,
    mut messages: mpsc::Receiver<Message>,
    record: Arc<Mutex<Record>>,
) {
    while let Some(message) = messages.recv().await {
        let body = match language {
            Language::Webhook => message.webhook(),
            // Three times as long as it is until the next message: two may be lost.
            Language::Alertmanager => message.alertmanager(REPEAT_EVERY * 3),
        };
        let delivered = deliver(&target, &body.to_string()).await;
        let delivered = delivered.map_err(|error| with_causes(&error));
        note(&record, &message, delivered);
    }
}

/// An error with what led to it, in one line.
fn with_causes(error: &AlertError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

/// Sends one message, again after a pause where that may help.
async fn deliver(target: &Target, body: &str) -> Result<(), AlertError> {
    let mut pause = PAUSE_MIN;
    let mut tries = 1;
    loop {
        match target.post(body.to_owned()).await {
            Err(error) if error.may_pass() && tries < TRIES_MAX => {
                tracing::debug!(%error, tries, "an alert was not taken");
            }
            outcome => return outcome,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        tries += 1;
    }
}

/// Counts how a delivery went.
fn note(record: &Mutex<Record>, message: &Message, outcome: Result<(), String>) {
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    match outcome {
        Ok(()) => {
            record.delivered += 1;
            record.last_error.clear();
        }
        Err(why) => {
            tracing::warn!(alert = message.name, why, "an alert could not be delivered");
            record.failed += 1;
            record.last_error = why;
        }
    }
}
