//! Errors as clients see them.

use std::{error::Error, iter::successors};

use tonic::{Code, Status};

use crate::service::{live::BurstError, query::QueryError, store::StoreError};

/// An error as a status, with everything that led to it in one line.
pub fn status(error: &QueryError) -> Status {
    let code = code_of(error);
    let message = message(error);
    if code == Code::Internal {
        tracing::error!(%message, "a question could not be answered");
    }
    Status::new(code, message)
}

/// An error and its causes.
fn message(error: &QueryError) -> String {
    let first: &(dyn Error + 'static) = error;
    let chain = successors(Some(first), |error| Error::source(*error));
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    texts.join(": ")
}

/// What kind of error it is for a client.
fn code_of(error: &QueryError) -> Code {
    match error {
        QueryError::Budget(_)
        | QueryError::Selector(_)
        | QueryError::Time { .. }
        | QueryError::TooLarge { .. }
        | QueryError::Missing { .. }
        | QueryError::Unknown { .. }
        | QueryError::NoSuchSignal { .. }
        | QueryError::Kind { .. }
        | QueryError::Units { .. }
        | QueryError::Store(StoreError::Regex { .. }) => Code::InvalidArgument,
        QueryError::TooManyStacks { .. }
        | QueryError::TooManyLines { .. }
        | QueryError::Busy { .. }
        | QueryError::Waited { .. }
        | QueryError::Burst {
            source: BurstError::Busy,
            ..
        }
        | QueryError::Store(StoreError::TooMuch { .. } | StoreError::Full { .. }) => {
            Code::ResourceExhausted
        }
        QueryError::NoEarlierBuild | QueryError::NotRecorded { .. } => Code::NotFound,
        QueryError::Burst {
            source: BurstError::NotConnected | BurstError::NotTaken,
            ..
        } => Code::FailedPrecondition,
        QueryError::Store(StoreError::Cancelled) => Code::DeadlineExceeded,
        QueryError::Bug
        | QueryError::Render(_)
        | QueryError::Store(StoreError::Undefined { .. } | StoreError::File { .. }) => {
            Code::Internal
        }
    }
}
