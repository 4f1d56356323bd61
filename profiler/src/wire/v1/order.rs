//! Orders to daemons, both ways.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::time::Duration;

use super::{
    DecodeError, Table,
    generated::BurstOrder as Message,
    limits::{BURST_PIDS_MAX, NAME_SIZE_BYTES_MAX},
};
use crate::model::{BurstOrder, Pid};

/// An order as a message.
pub fn encode_burst(order: &BurstOrder) -> Message {
    Message {
        id: order.id,
        signal: order.signal.clone(),
        rate_hz: order.rate_hz,
        duration_ns: u64::try_from(order.duration.as_nanos()).unwrap_or(u64::MAX),
        pids: order.pids.iter().map(|pid| pid.0).collect(),
    }
}

/// A message as an order. What a daemon makes of its rate and length is the daemon's matter.
///
/// # Errors
/// Too many processes, or a name that is too long.
pub fn decode_burst(message: Message) -> Result<BurstOrder, DecodeError> {
    if BURST_PIDS_MAX < message.pids.len() {
        let table = Table::Pids;
        return Err(DecodeError::TooMany { table });
    }
    if NAME_SIZE_BYTES_MAX < message.signal.len() {
        return Err(DecodeError::TooLong {
            what: "name of a signal",
            found_bytes: message.signal.len(),
            bytes_max: NAME_SIZE_BYTES_MAX,
        });
    }
    Ok(BurstOrder {
        id: message.id,
        signal: message.signal,
        rate_hz: message.rate_hz,
        duration: Duration::from_nanos(message.duration_ns),
        pids: message.pids.into_iter().map(Pid).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{BurstOrder, Duration, Pid, decode_burst, encode_burst};

    #[test]
    fn what_is_encoded_comes_back() {
        let order = BurstOrder {
            id: 7,
            signal: "cpu".to_owned(),
            rate_hz: 999,
            duration: Duration::from_secs(30),
            pids: vec![Pid(1), Pid(2)],
        };
        assert_eq!(order, decode_burst(encode_burst(&order)).unwrap());
    }

    #[test]
    fn an_order_for_too_many_processes_is_refused() {
        let mut message = encode_burst(&BurstOrder::default());
        message.pids = vec![1; super::BURST_PIDS_MAX + 1];
        decode_burst(message).unwrap_err();
    }
}
