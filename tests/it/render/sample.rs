//! One profile with everything in it.

use std::{collections::BTreeMap, time::Duration};

use profiler::model::{
    BuildId, FrameIndex, FrameKind, Location, Loss, Naming, ObjectFile, ObjectIndex, Pid, Profile,
    ProfileBuilder, Quality, Reason, Task, Tid, Truncation, ValueType, Window,
};

/// Time that one sample stands for at 99 Hz.
const SAMPLE_NS: u64 = 10_101_010;

/// Kernel, native, inlined, JIT, unnamed and truncated frames in three processes.
pub(crate) fn profile() -> Profile {
    let kinds = [("samples", "count"), ("cpu", "nanoseconds")];
    let mut builder = ProfileBuilder::new(kinds.map(value_type).into());
    let frames = Frames::new(&mut builder);
    add_samples(&mut builder, &frames);
    let head = builder.head_mut();
    head.host = "web-1".into();
    head.window = window();
    head.quality = quality();
    builder.finish()
}

/// The frames that stacks are made of.
struct Frames {
    start: FrameIndex,
    main: FrameIndex,
    /// `serve` with two functions inlined into it.
    serve: FrameIndex,
    malloc: FrameIndex,
    stripped: FrameIndex,
    syscall: FrameIndex,
    read: FrameIndex,
    jit: FrameIndex,
    truncated: FrameIndex,
    unmapped: FrameIndex,
}

impl Frames {
    /// Interns them and their files.
    fn new(builder: &mut ProfileBuilder) -> Self {
        use FrameKind::{Jit, Kernel, Native, Truncated};
        let build_id = "00112233445566778899aabbccddeeff00112233";
        let app = Some(object(builder, "/usr/bin/app", build_id));
        let libc = Some(object(
            builder,
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
            "aabb",
        ));
        let kernel = Some(object(builder, "[kernel]", "0c0c"));
        let unnamed = Naming::Unnamed;
        let inlined = [
            ("hash<[u8; 16]>", Some(3)),
            ("lookup(key&)", Some(40)),
            ("serve", Some(55)),
        ];
        let run = named(&[("LazyCompile:*run app.js:7", None)]);
        let mut frame = |kind, object, address, names| builder.frame(kind, object, address, names);
        Self {
            start: frame(Native, app, 0x1040, named(&[("_start", None)])),
            main: frame(Native, app, 0x1180, named(&[("main", Some(12))])),
            serve: frame(Native, app, 0x1250, named(&inlined)),
            malloc: frame(Native, libc, 0x9_a2b0, named(&[("malloc", None)])),
            stripped: frame(Native, libc, 0x2_7cd0, unnamed(Reason::Stripped)),
            syscall: frame(Kernel, kernel, 0x12_0000, named(&[("do_syscall_64", None)])),
            read: frame(Kernel, kernel, 0x3a_1000, named(&[("ksys_read", None)])),
            jit: frame(Jit, None, 0x7f00_1000, run),
            truncated: frame(Truncated, None, 0, unnamed(Reason::NotRecorded)),
            unmapped: frame(Native, None, 0x7fff_1234, unnamed(Reason::Unmapped)),
        }
    }
}

/// 100 samples of four threads.
fn add_samples(builder: &mut ProfileBuilder, frames: &Frames) {
    let tasks = [
        (100, 100, "app"),
        (100, 101, "app-worker"),
        (7, 7, "node"),
        (1, 1, "systemd"),
    ];
    let [app, worker, node, systemd] =
        tasks.map(|(pid, tid, comm)| builder.task(task(pid, tid, comm)));
    let mut add = |task, count: u64, frames: &[FrameIndex]| {
        let stack = builder.stack(frames.to_vec());
        builder.add(task, stack, &[count, count * SAMPLE_NS]);
    };
    let f = frames;
    // Innermost first.
    add(app, 40, &[f.serve, f.main, f.start]);
    add(app, 25, &[f.malloc, f.serve, f.main, f.start]);
    add(app, 12, &[f.read, f.syscall, f.stripped, f.main, f.start]);
    add(worker, 9, &[f.stripped, f.serve, f.main, f.start]);
    add(node, 8, &[f.jit, f.main, f.start]);
    add(node, 3, &[f.malloc, f.jit, f.truncated]);
    add(systemd, 2, &[f.unmapped, f.truncated]);
    add(systemd, 1, &[]);
}

/// Names of one frame, innermost function first.
fn named(names: &[(&str, Option<u32>)]) -> Naming {
    Naming::Named(names.iter().map(location).collect())
}

/// Interns an object file.
fn object(builder: &mut ProfileBuilder, path: &str, build_id: &str) -> ObjectIndex {
    builder.object(ObjectFile {
        path: path.into(),
        build_id: Some(BuildId::try_from(build_id.to_owned()).unwrap()),
    })
}

/// One function, in `app.cc` when it has a line.
fn location((function, line): &(&str, Option<u32>)) -> Location {
    Location {
        function: (*function).to_owned(),
        file: line.map(|_| "/src/app.cc".to_owned()),
        line: *line,
    }
}

/// One thread.
fn task(pid: u32, tid: u32, comm: &str) -> Task {
    Task {
        pid: Pid(pid),
        tid: Tid(tid),
        comm: comm.into(),
        labels: BTreeMap::new(),
    }
}

/// Kind and unit.
fn value_type((kind, unit): (&str, &str)) -> ValueType {
    ValueType {
        kind: kind.into(),
        unit: unit.into(),
    }
}

/// Ten seconds of some day.
fn window() -> Window {
    Window {
        start: Duration::from_secs(1_700_000_000),
        duration: Duration::from_secs(10),
    }
}

/// 100 samples kept of 102, 5 of them cut.
fn quality() -> Quality {
    Quality {
        samples: 100,
        idle: 880,
        lost: [(Loss::RingFull, 2)].into(),
        complete: 95,
        truncated: [(Truncation::NoUnwindInfo, 3), (Truncation::Unmapped, 2)].into(),
        fallback: 1,
        frames: 10,
        frames_unnamed: 2,
        rate_asked_hz: 99.0,
        rate_effective_hz: 98.9,
        duty_cycle: 1.0,
        windows_lost: 0,
        overhead: 0.0,
    }
}
