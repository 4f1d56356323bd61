//! Records of the probe.

use std::time::Duration;

use profiler_common::{
    mapping::{self, FramePlace},
    notice::{Notice, NoticeKind},
    sample::{
        FLAG_FALLBACK, SampleHeader, SignalCode, VALUE_ADDRESS, VALUE_DELAY_NS, VALUE_EVENTS,
        VALUE_IS_FOLLOWED, VALUE_RUN_QUEUE_NS, VALUE_SIZE_BYTES, VALUE_WAS_FREED, Verdict,
        WaitCode,
    },
    system_call::CALL_COMPAT,
    tcp::TcpSubject,
};
use zerocopy::FromBytes as _;

use super::{
    DecodeError,
    tcp::{decode_measure, decode_peer},
};
use crate::model::{
    Allocation, Avma, Event, FileOffset, Measured, ObjectId, Pid, Signal, StackEnd, StackSample,
    Subject, Syscall, Tid, Truncation, UserFrame, Values, Wait,
};

/// Reads one sample record.
///
/// # Errors
/// The first thing found wrong.
pub fn decode_sample(record: &[u8]) -> Result<StackSample, DecodeError> {
    let short = DecodeError::Short {
        found_bytes: record.len(),
    };
    let (header, frames) = SampleHeader::read_from_prefix(record).map_err(|_short| short)?;
    let user_count = usize::from(header.user_frames);
    let promised = user_count.saturating_add(usize::from(header.kernel_frames));
    let (frames, _rest) = frames.as_chunks::<8>();
    let frames = frames
        .get(..promised)
        .ok_or(DecodeError::FrameCount { promised })?;
    let mut words = frames.iter().map(|bytes| u64::from_ne_bytes(*bytes));
    Ok(StackSample {
        taken_at: Duration::from_nanos(header.taken_at_ns),
        pid: Pid(header.pid),
        tid: Tid(header.tid),
        comm: decode_comm(&header.comm),
        cgroup_id: header.cgroup_id,
        measured: decode_measured(&header)?,
        about: decode_subject(&header)?,
        user: words.by_ref().take(user_count).map(decode_frame).collect(),
        kernel: words.map(Avma).collect(),
        end: decode_end(header.verdict)?,
        fallback: header.flags & FLAG_FALLBACK != 0,
    })
}

/// What the sample measured.
fn decode_measured(header: &SampleHeader) -> Result<Measured, DecodeError> {
    let unknown = |what, code: u8| DecodeError::UnknownCode {
        what,
        code: u32::from(code),
    };
    let signal = SignalCode::try_from(header.signal).map_err(|code| unknown("signal", code))?;
    let wait = WaitCode::try_from(header.wait).map_err(|code| unknown("wait", code))?;
    let wait = match (signal, wait) {
        (SignalCode::Cpu, _) => return Ok(Measured::OnCpu),
        (SignalCode::Syscall, _) => return Ok(counted(Signal::Syscall, header.values)),
        (SignalCode::Alloc, _) => return Ok(decode_allocation(&header.values)),
        (SignalCode::Tcp, _) => return Ok(counted(Signal::Tcp, header.values)),
        (SignalCode::PageFault, _) => return Ok(counted(Signal::PageFault, header.values)),
        (SignalCode::OffCpu, WaitCode::Blocked) => Wait::Blocked,
        (SignalCode::OffCpu, WaitCode::Runnable) => Wait::Runnable,
        (SignalCode::OffCpu, WaitCode::Idle) => Wait::Idle,
        (SignalCode::OffCpu, WaitCode::None) => return Err(unknown("wait", header.wait)),
    };
    let value = |place: usize| header.values.get(place).copied().unwrap_or_default();
    Ok(Measured::OffCpu {
        wait,
        delay: Duration::from_nanos(value(VALUE_DELAY_NS)),
        events: value(VALUE_EVENTS),
        run_queue: Duration::from_nanos(value(VALUE_RUN_QUEUE_NS)),
    })
}

/// What the sample is about besides code, innermost first.
fn decode_subject(header: &SampleHeader) -> Result<Vec<Subject>, DecodeError> {
    let short = DecodeError::Short {
        found_bytes: header.subject.len(),
    };
    if header.signal == SignalCode::Syscall as u8 {
        let (call, _rest) = u32::read_from_prefix(&header.subject).map_err(|_short| short)?;
        return Ok(vec![Subject::InCall(Syscall {
            number: call & !CALL_COMPAT,
            is_compat: call & CALL_COMPAT != 0,
        })]);
    }
    if header.signal == SignalCode::Tcp as u8 {
        let (about, _rest) =
            TcpSubject::read_from_prefix(&header.subject).map_err(|_short| short)?;
        let (far_end, side) = decode_peer(&about.peer)?;
        let measure = decode_measure(about.measure)?;
        return Ok(vec![
            Subject::FarEnd(far_end),
            Subject::Side(side),
            Subject::Measure(measure),
        ]);
    }
    Ok(Vec::new())
}

/// Values of a signal, as its value types have them.
fn counted(signal: Signal, values: Values) -> Measured {
    Measured::Counted { signal, values }
}

/// Begin or end of an allocation.
fn decode_allocation(values: &Values) -> Measured {
    let value = |place: usize| values.get(place).copied().unwrap_or_default();
    let address = Avma(value(VALUE_ADDRESS));
    if value(VALUE_WAS_FREED) != 0 {
        return Measured::Freed { address };
    }
    Measured::Allocated(Allocation {
        size_bytes: value(VALUE_SIZE_BYTES),
        address,
        is_followed: value(VALUE_IS_FOLLOWED) != 0,
    })
}

/// Text up to the first zero; foreign bytes are replaced.
fn decode_comm(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// One user frame.
fn decode_frame(word: u64) -> UserFrame {
    match mapping::decode(word) {
        FramePlace::Mapped {
            object,
            file_offset,
        } => UserFrame::Object {
            object: ObjectId(object),
            offset: FileOffset(file_offset),
        },
        FramePlace::Bare { address } => UserFrame::Bare(Avma(address)),
    }
}

/// How the walk ended.
fn decode_end(code: u8) -> Result<StackEnd, DecodeError> {
    let verdict = Verdict::try_from(code).map_err(|code| DecodeError::UnknownCode {
        what: "verdict",
        code: u32::from(code),
    })?;
    let truncation = match verdict {
        Verdict::Complete => return Ok(StackEnd::Complete),
        Verdict::KernelThread | Verdict::Exec => return Ok(StackEnd::NoUserStack),
        Verdict::Depth => Truncation::Depth,
        Verdict::Unmapped => Truncation::Unmapped,
        Verdict::UnknownProcess => Truncation::UnknownProcess,
        Verdict::TableNotReady => Truncation::TableNotReady,
        Verdict::NoUnwindInfo => Truncation::NoUnwindInfo,
        Verdict::UnsupportedRule => Truncation::UnsupportedRule,
        Verdict::UnreadableStack => Truncation::UnreadableStack,
        Verdict::NotAscending => Truncation::NotAscending,
        Verdict::NoRegisters => Truncation::NoRegisters,
    };
    Ok(StackEnd::Truncated(truncation))
}

/// Reads one notice record.
///
/// # Errors
/// The first thing found wrong.
pub fn decode_notice(record: &[u8]) -> Result<Event, DecodeError> {
    let short = DecodeError::Short {
        found_bytes: record.len(),
    };
    let (notice, _rest) = Notice::read_from_prefix(record).map_err(|_short| short)?;
    let kind = NoticeKind::try_from(notice.kind).map_err(|code| DecodeError::UnknownCode {
        what: "notice",
        code,
    })?;
    let pid = Pid(notice.pid);
    Ok(match kind {
        NoticeKind::UnknownProcess | NoticeKind::UnknownAddress => Event::Unknown { pid },
        NoticeKind::Exec => Event::Forgotten {
            pid,
            at: Duration::from_nanos(notice.seen_at_ns),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use profiler_common::sample::{SampleHeader, SignalCode, Verdict, WaitCode};
    use zerocopy::IntoBytes as _;

    use super::{
        CALL_COMPAT, DecodeError, Measured, Signal, StackEnd, Subject, Syscall, Truncation,
        UserFrame, Wait, decode_sample,
    };
    use crate::model::{Allocation, Avma, FileOffset, ObjectId};

    /// The one place that knows how a record is laid out for these tests.
    fn record(verdict: u8, user: &[u64], kernel: &[u64]) -> Vec<u8> {
        let header = SampleHeader {
            pid: 10,
            tid: 11,
            user_frames: u16::try_from(user.len()).unwrap(),
            kernel_frames: u16::try_from(kernel.len()).unwrap(),
            verdict,
            comm: *b"worker\0garbage!!",
            ..SampleHeader::default()
        };
        [header.as_bytes(), user.as_bytes(), kernel.as_bytes()].concat()
    }

    #[test]
    fn reads_both_stacks_innermost_first() {
        let mapped = profiler_common::mapping::encode_mapped(7, 0x1234);
        let sample =
            decode_sample(&record(0, &[mapped, 0x7000], &[0xffff_ffff_8100_0000])).unwrap();
        let object = ObjectId(7);
        let offset = FileOffset(0x1234);
        assert_eq!(
            vec![
                UserFrame::Object { object, offset },
                UserFrame::Bare(Avma(0x7000))
            ],
            sample.user
        );
        assert_eq!(vec![Avma(0xffff_ffff_8100_0000)], sample.kernel);
        assert_eq!("worker", sample.comm);
        assert_eq!(StackEnd::Complete, sample.end);
    }

    #[test]
    fn says_why_a_stack_was_cut() {
        let sample = decode_sample(&record(Verdict::Depth as u8, &[0x7000], &[])).unwrap();
        assert_eq!(StackEnd::Truncated(Truncation::Depth), sample.end);
    }

    #[test]
    fn rejects_a_record_cut_anywhere() {
        let whole = record(0, &[1, 2], &[3]);
        for length in 0..whole.len() {
            assert!(
                decode_sample(&whole[..length]).is_err(),
                "cut to {length} bytes"
            );
        }
        let shifted = [&[0], whole.as_slice()].concat();
        assert!(
            decode_sample(&shifted[1..]).is_ok(),
            "alignment does not matter"
        );
    }

    #[test]
    fn a_wait_carries_its_weighted_values() {
        let mut header = SampleHeader {
            signal: SignalCode::OffCpu as u8,
            wait: WaitCode::Blocked as u8,
            values: [1_000_000, 20, 3_000, 0],
            ..SampleHeader::default()
        };
        let measured = Measured::OffCpu {
            wait: Wait::Blocked,
            delay: Duration::from_millis(1),
            events: 20,
            run_queue: Duration::from_micros(3),
        };
        assert_eq!(measured, decode_sample(header.as_bytes()).unwrap().measured);
        header.wait = WaitCode::None as u8;
        assert!(decode_sample(header.as_bytes()).is_err(), "not off the CPU");
        header.signal = SignalCode::Cpu as u8;
        assert_eq!(
            Measured::OnCpu,
            decode_sample(header.as_bytes()).unwrap().measured
        );
    }

    #[test]
    fn an_allocation_has_a_begin_and_an_end() {
        let mut header = SampleHeader {
            signal: SignalCode::Alloc as u8,
            values: [4_096, 0x7000, 1, 0],
            ..SampleHeader::default()
        };
        let allocated = Measured::Allocated(Allocation {
            size_bytes: 4_096,
            address: Avma(0x7000),
            is_followed: true,
        });
        assert_eq!(
            allocated,
            decode_sample(header.as_bytes()).unwrap().measured
        );
        header.values = [0, 0x7000, 0, 1];
        let freed = Measured::Freed {
            address: Avma(0x7000),
        };
        assert_eq!(freed, decode_sample(header.as_bytes()).unwrap().measured);
    }

    #[test]
    fn a_call_carries_its_number_and_its_weighted_values() {
        let mut header = SampleHeader {
            signal: SignalCode::Syscall as u8,
            values: [1_000_000, 5, 0, 0],
            ..SampleHeader::default()
        };
        header.subject[..4].copy_from_slice(&(CALL_COMPAT | 3).to_ne_bytes());
        let sample = decode_sample(header.as_bytes()).unwrap();
        let call = Syscall {
            number: 3,
            is_compat: true,
        };
        assert_eq!(vec![Subject::InCall(call)], sample.about);
        let measured = Measured::Counted {
            signal: Signal::Syscall,
            values: [1_000_000, 5, 0, 0],
        };
        assert_eq!(measured, sample.measured);
    }

    #[test]
    fn rejects_a_verdict_nobody_defined() {
        let unknown = DecodeError::UnknownCode {
            what: "verdict",
            code: 200,
        };
        assert_eq!(Err(unknown), decode_sample(&record(200, &[], &[])));
    }
}
