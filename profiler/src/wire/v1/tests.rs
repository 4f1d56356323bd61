//! A batch there and back, and every way in which a message can be wrong.

use crate::model::{
    Batch, BuildId, Definitions, FrameDefinition, FrameHash, FrameId, FrameKind, HostWindow,
    Location, Naming, ObjectFile, Reason, SeriesSamples, StackDefinition, StackHash, StackId,
    ValueType, WeightedStack, Window, label,
};

use super::{
    DecodeError, Table, decode_batch, encode_batch,
    generated::{self as proto, Batch as Message},
    limits,
};

/// A batch with one of everything.
fn batch() -> Batch {
    let frame = |hash, kind, naming| FrameDefinition {
        hash: FrameHash(hash),
        kind,
        object: (kind == FrameKind::Native).then(|| ObjectFile {
            path: "/usr/bin/app".to_owned(),
            build_id: BuildId::new(&[1, 2, 3]),
        }),
        address: 0x1000,
        naming,
    };
    let named = Naming::Named(vec![
        Location {
            function: "inlined".to_owned(),
            file: Some("a.c".to_owned()),
            line: Some(3),
        },
        Location {
            function: "main".to_owned(),
            file: None,
            line: None,
        },
    ]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Batch {
        definitions: Definitions {
            frames: vec![
                frame(1 << 64 | 1, FrameKind::Native, named),
                frame(2, FrameKind::Kernel, Naming::Unnamed(Reason::KernelHidden)),
            ],
            stacks: vec![StackDefinition {
                hash: StackHash(7 << 64 | 9),
                frames: vec![FrameId(2), FrameId(1)],
            }],
        },
        windows: vec![HostWindow {
            host: "here".to_owned(),
            signal: "cpu".to_owned(),
            span: Window {
                start: std::time::Duration::from_secs(1_700_000_000),
                duration: std::time::Duration::from_secs(10),
            },
            value_types: vec![ValueType {
                kind: "samples".to_owned(),
                unit: "count".to_owned(),
            }],
            period_ns: 10_101_010,
            series: vec![SeriesSamples {
                labels: [pair(label::COMM, "app"), pair(label::HOST, "here")].into(),
                samples: vec![WeightedStack {
                    stack: StackId(9),
                    values: vec![5],
                }],
            }],
            quality: crate::model::Quality {
                samples: 5,
                ..Default::default()
            },
        }],
    }
}

/// The message of [`batch`].
fn message() -> Message {
    encode_batch(3, &batch())
}

/// The error of a message that was changed in one place.
#[track_caller]
fn refused(change: impl FnOnce(&mut Message)) -> DecodeError {
    let mut message = message();
    change(&mut message);
    decode_batch(message).unwrap_err()
}

/// The first series of a message.
fn series(message: &mut Message) -> &mut proto::Series {
    &mut message.windows[0].series[0]
}

#[test]
fn what_is_encoded_comes_back() {
    assert_eq!((3, batch()), decode_batch(message()).unwrap());
}

#[test]
fn strings_and_objects_are_sent_once() {
    let mut twice = batch();
    twice.definitions.frames.extend(batch().definitions.frames);
    let message = encode_batch(1, &twice);
    assert_eq!(1, message.objects.len());
    assert_eq!(
        [
            "",
            "inlined",
            "a.c",
            "main",
            "/usr/bin/app",
            "comm",
            "app",
            "host",
            "here"
        ],
        message.strings.as_slice()
    );
}

#[test]
fn what_a_receiver_would_refuse_is_cut_or_left_out() {
    let mut batch = batch();
    batch.definitions.frames[0].naming = Naming::Named(vec![Location {
        function: "ü".repeat(limits::STRING_SIZE_BYTES_MAX),
        ..Location::default()
    }]);
    let labels = &mut batch.windows[0].series[0].labels;
    labels.insert("n".repeat(limits::NAME_SIZE_BYTES_MAX + 1), "x".to_owned());
    labels.insert("empty".to_owned(), String::new());
    let (_, back) = decode_batch(encode_batch(1, &batch)).unwrap();
    assert_eq!(2, back.windows[0].series[0].labels.len());
}

#[test]
fn indexes_past_a_table_are_refused() {
    let dangling = |error: DecodeError, wanted: Table| {
        assert!(matches!(error, DecodeError::Dangling { table, .. } if table == wanted));
    };
    dangling(refused(|m| m.frames[0].object = 2), Table::Objects);
    dangling(
        refused(|m| m.frames[0].lines[0].function = 9),
        Table::Strings,
    );
    dangling(
        refused(|m| m.frames[0].lines[0].file = u32::MAX),
        Table::Strings,
    );
    dangling(refused(|m| m.objects[0].path = 9), Table::Strings);
    dangling(refused(|m| series(m).labels[1] = 9), Table::Strings);
}

#[test]
fn labels_are_sorted_unique_pairs() {
    let error = refused(|m| series(m).labels.swap(0, 2));
    assert!(matches!(error, DecodeError::LabelOrder), "{error}");
    let error = refused(|m| series(m).labels[2] = 5);
    assert!(matches!(error, DecodeError::LabelOrder), "{error}");
    let error = refused(|m| series(m).labels.truncate(3));
    assert!(matches!(error, DecodeError::LabelPairs), "{error}");
    let error = refused(|m| series(m).labels[0] = 0);
    assert!(matches!(error, DecodeError::Empty { .. }), "{error}");
}

#[test]
fn values_fit_stacks_and_types() {
    let error = refused(|m| series(m).values.push(1));
    assert!(matches!(error, DecodeError::Values { found: 2, .. }));
    let error = refused(|m| m.windows[0].value_types.clear());
    assert!(matches!(error, DecodeError::Empty { .. }));
    let error = refused(|m| series(m).values[0] = limits::VALUE_MAX + 1);
    assert!(matches!(error, DecodeError::Range { .. }));
    let error = refused(|m| {
        series(m).stacks = vec![9, 3, 9];
        series(m).values = vec![1; 3];
    });
    assert!(matches!(error, DecodeError::StackTwice { stack: 9 }));
}

#[test]
fn bounds_are_kept() {
    let too_many = |error: DecodeError, wanted: Table| {
        assert!(matches!(error, DecodeError::TooMany { table } if table == wanted));
    };
    let depth = limits::STACK_DEPTH_FRAMES_MAX;
    let mut message = message();
    message.stacks[0].frames = vec![1; depth];
    decode_batch(message).unwrap();
    too_many(
        refused(|m| m.stacks[0].frames = vec![1; depth + 1]),
        Table::Depth,
    );
    let lines = vec![proto::Line::default(); limits::LINES_PER_FRAME_MAX + 1];
    too_many(refused(|m| m.frames[0].lines = lines), Table::Lines);
    let labels = vec![5; 2 * limits::LABELS_MAX + 2];
    too_many(refused(|m| series(m).labels = labels), Table::Labels);
    let long = "x".repeat(limits::STRING_SIZE_BYTES_MAX + 1);
    let error = refused(|m| m.strings.push(long));
    assert!(matches!(error, DecodeError::TooLong { .. }), "{error}");
    let error = refused(|m| m.windows[0].duration_ns = u64::MAX);
    assert!(matches!(error, DecodeError::Range { .. }), "{error}");
    let error = refused(|m| m.windows[0].start_ns = u64::MAX);
    assert!(matches!(error, DecodeError::Range { .. }), "{error}");
    let error = refused(|m| m.sequence = 0);
    assert!(
        matches!(error, DecodeError::Range { found: 0, .. }),
        "{error}"
    );
}

#[test]
fn codes_of_a_newer_daemon_are_taken_for_something_general() {
    let mut message = message();
    message.frames[1].kind = 77;
    message.frames[1].unnamed = 77;
    let (_, batch) = decode_batch(message).unwrap();
    let frame = &batch.definitions.frames[1];
    assert_eq!(FrameKind::Jit, frame.kind);
    assert_eq!(Naming::Unnamed(Reason::NotRecorded), frame.naming);
}
