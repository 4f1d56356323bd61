//! Rows of the exact tables as samples.
//!
//! Part of the composition root: it joins `probe` and `model`.

use std::time::Duration;

use profiler_common::system_call::{CALL_COMPAT, OUTCOME_IN_FLIGHT, OUTCOME_NO_RETURN, OUTCOME_OK};

use super::{
    probe::{CallRow, TableRow, TcpRow},
    ring::{DecodeError, decode_measure, decode_peer},
};
use crate::model::{
    DurationBucket, Measured, Outcome, Pid, Signal, StackEnd, StackSample, Subject, Syscall, Tid,
};

/// A row of system calls as a sample of its process, taken at the given time of the monotonic clock.
/// From the outside in it is: the call, how it ended, how long it took.
pub(super) fn call_sample(row: &CallRow, at: Duration) -> StackSample {
    let call = Syscall {
        number: row.key.call & !CALL_COMPAT,
        is_compat: row.key.call & CALL_COMPAT != 0,
    };
    let outcome = match row.key.outcome {
        OUTCOME_OK => Outcome::Ok,
        OUTCOME_IN_FLIGHT => Outcome::InFlight,
        OUTCOME_NO_RETURN => Outcome::NoReturn,
        errno => Outcome::Failed(errno),
    };
    let bucket = u8::try_from(row.key.bucket).unwrap_or(u8::MAX);
    let took = match outcome {
        Outcome::Ok | Outcome::Failed(_) => Some(Subject::Took(DurationBucket::new(bucket))),
        Outcome::InFlight | Outcome::NoReturn => None,
    };
    let about = [Subject::Outcome(outcome), Subject::Call(call)];
    StackSample {
        about: took.into_iter().chain(about).collect(),
        measured: Measured::Counted {
            signal: Signal::SyscallCounts,
            values: [row.sums.calls, row.sums.time_ns, 0, 0],
        },
        ..sample(row.key.pid, row, at)
    }
}

/// A row of TCP connections as a sample of its process. From the outside in it is: the far end, which
/// side this one is, what was measured, and how long it took.
///
/// # Errors
/// A code that nobody defined.
pub(super) fn tcp_sample(row: &TcpRow, at: Duration) -> Result<StackSample, DecodeError> {
    let (far_end, side) = decode_peer(&row.key.peer)?;
    let measure = decode_measure(row.key.measure)?;
    let bucket = DurationBucket::new(row.key.bucket);
    let took = measure.is_time().then_some(Subject::Took(bucket));
    let about = [
        Subject::Measure(measure),
        Subject::Side(side),
        Subject::FarEnd(far_end),
    ];
    Ok(StackSample {
        about: took.into_iter().chain(about).collect(),
        measured: Measured::Counted {
            signal: Signal::TcpCounts,
            values: [row.sums.events, row.sums.time_ns, row.sums.bytes, 0],
        },
        ..sample(row.key.pid, row, at)
    })
}

/// What all rows of a process have in common.
fn sample<K, S>(pid: u32, row: &TableRow<K, S>, at: Duration) -> StackSample {
    let name = row.comm.split(|byte| *byte == 0).next();
    StackSample {
        taken_at: at,
        pid: Pid(pid),
        tid: Tid(pid),
        comm: String::from_utf8_lossy(name.unwrap_or_default()).into_owned(),
        cgroup_id: row.cgroup_id,
        measured: Measured::OnCpu,
        about: Vec::new(),
        user: Vec::new(),
        kernel: Vec::new(),
        end: StackEnd::NoUserStack,
        fallback: false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use profiler_common::system_call::{
        CALL_COMPAT, CallKey, CallSums, OUTCOME_IN_FLIGHT, OUTCOME_OK,
    };

    use super::{CallRow, DurationBucket, Outcome, Subject, Syscall, call_sample};

    /// What a row with this key is about.
    fn about(call: u32, outcome: u16, bucket: u16) -> Vec<Subject> {
        let row = CallRow {
            key: CallKey {
                pid: 7,
                call,
                outcome,
                bucket,
            },
            sums: CallSums::default(),
            cgroup_id: 0,
            comm: *b"worker\0garbage!!",
        };
        let sample = call_sample(&row, Duration::ZERO);
        assert_eq!("worker", sample.comm);
        sample.about
    }

    #[test]
    fn a_row_is_a_stack_of_call_outcome_and_duration() {
        let call = |number, is_compat| Subject::Call(Syscall { number, is_compat });
        let took = |bucket| Subject::Took(DurationBucket::new(bucket));
        let expected = vec![took(7), Subject::Outcome(Outcome::Ok), call(3, false)];
        assert_eq!(expected, about(3, OUTCOME_OK, 7));
        let failed = Subject::Outcome(Outcome::Failed(11));
        let expected = vec![took(0), failed, call(3, true)];
        assert_eq!(expected, about(3 | CALL_COMPAT, 11, 0));
        let in_flight = Subject::Outcome(Outcome::InFlight);
        assert_eq!(
            vec![in_flight, call(3, false)],
            about(3, OUTCOME_IN_FLIGHT, 0)
        );
    }
}
