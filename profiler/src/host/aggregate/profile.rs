//! A counted window with its names, as a profile.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    identity::{hash_frame, hash_stack},
    place::{NamedPlace, Place},
    wait_reason::WaitReason,
    window::{CountedStack, Window},
};
use crate::model::{
    Frame, FrameHash, FrameIndex, FrameKind, Labels, Loss, Naming, ObjectFile, ObjectIndex,
    Profile, Quality, Sample, Signal, Stack, StackIndex, Subject, Task, TaskIndex, ValueType,
    Window as Span, label,
};

/// What a profile says besides its stacks.
#[derive(Clone, Debug, Default)]
pub struct ProfileFacts {
    /// Host name.
    pub host: String,
    /// The span of time covered.
    pub span: Span,
    /// The kernel's release: part of the identity of its frames.
    pub kernel_release: String,
    /// Samples a second and CPU that were asked for.
    pub rate_asked_hz: f64,
    /// CPUs that were sampled.
    pub cpus: u32,
    /// Samples of idle CPUs.
    pub idle: u64,
    /// Samples that the filters left out.
    pub filtered: u64,
    /// Samples lost in the kernel, by cause.
    pub lost: BTreeMap<Loss, u64>,
    /// Windows before this one that never arrive.
    pub windows_lost: u64,
    /// Samples a second and CPU that were taken, where counting them does not tell.
    pub rate_effective_hz: Option<f64>,
    /// Share of the time that was sampled, or of what was drawn; all of it when absent.
    pub duty_cycle: Option<f64>,
    /// Share of the host's CPU that sampling took, all signals together.
    pub overhead: f64,
    /// Labels of everything in it, besides those of the threads.
    pub labels: Labels,
}

/// Share of a window for which a thread must wait for work at one place to be idle.
const IDLE_SHARE: f64 = 0.95;

/// The name of every place of a window.
pub type Names = HashMap<Place, NamedPlace>;

/// Puts counts and names together.
pub fn build_profile(window: &Window, names: &Names, facts: &ProfileFacts) -> Profile {
    let mut dictionary = Dictionary::default();
    let stacks = (window.stacks().iter())
        .map(|places| dictionary.add_stack(places, names, &facts.kernel_release))
        .collect();
    let (mut tasks, samples) = match window.signal {
        Signal::Cpu => cpu_samples(window, facts),
        Signal::OffCpu => off_cpu_samples(window, names, facts.span.duration),
        Signal::Syscall
        | Signal::SyscallCounts
        | Signal::Alloc
        | Signal::PageFault
        | Signal::Tcp
        | Signal::TcpCounts => counted_samples(window),
        Signal::Imported => Default::default(),
    };
    for task in &mut tasks {
        let labels = facts.labels.iter();
        (task.labels).extend(labels.map(|(name, value)| (name.clone(), value.clone())));
    }
    Profile {
        signal: window.signal,
        host: facts.host.clone(),
        window: facts.span,
        value_types: value_types(window.signal),
        quality: quality(window, &dictionary.frames, facts),
        objects: dictionary.objects,
        frames: dictionary.frames,
        stacks,
        tasks,
        samples,
    }
}

/// What the values of a signal count.
fn value_types(signal: Signal) -> Vec<ValueType> {
    let value_type = |(kind, unit): &(&str, &str)| ValueType {
        kind: (*kind).to_owned(),
        unit: (*unit).to_owned(),
    };
    signal.value_types().iter().map(value_type).collect()
}

/// Tasks and samples of time on a CPU: a sample stands for a period.
fn cpu_samples(window: &Window, facts: &ProfileFacts) -> (Vec<Task>, Vec<Sample>) {
    let period = period(facts.rate_asked_hz);
    let sample = |counted: CountedStack| {
        let [count, ..] = counted.values;
        Sample {
            task: TaskIndex(counted.task),
            stack: StackIndex(counted.stack),
            values: vec![count, count.saturating_mul(period)],
        }
    };
    let samples = window.counts().into_iter().map(sample).collect();
    (window.tasks(), samples)
}

/// Tasks and samples of time off the CPU. A thread is one task for each reason that it waited for.
fn off_cpu_samples(window: &Window, names: &Names, length: Duration) -> (Vec<Task>, Vec<Sample>) {
    let nearly_all_ns = length.mul_f64(IDLE_SHARE).as_nanos();
    let threads = window.tasks();
    let mut tasks = Vec::new();
    let mut known: HashMap<(u32, WaitReason), TaskIndex> = HashMap::new();
    let mut sample = |counted: CountedStack| {
        let stack = window.stacks().get(usize::try_from(counted.stack).ok()?)?;
        let mut reason = WaitReason::of(counted.wait?, stack, names);
        let [delay_ns, ..] = counted.values;
        if nearly_all_ns <= u128::from(delay_ns) && reason.is_for_work(stack, names) {
            reason = WaitReason::Idle;
        }
        let thread = threads.get(usize::try_from(counted.task).ok()?)?;
        let task = *known.entry((counted.task, reason)).or_insert_with(|| {
            let mut task = thread.clone();
            (task.labels).insert(label::REASON.to_owned(), reason.as_str().to_owned());
            tasks.push(task);
            TaskIndex(u32::try_from(tasks.len() - 1).expect("tasks are bounded by stacks"))
        });
        Some(Sample {
            task,
            stack: StackIndex(counted.stack),
            values: (counted.values.into_iter())
                .take(window.signal.value_types().len())
                .collect(),
        })
    };
    let samples = (window.counts().into_iter())
        .filter_map(&mut sample)
        .collect();
    (tasks, samples)
}

/// Tasks and samples of a signal whose values were summed as they came.
fn counted_samples(window: &Window) -> (Vec<Task>, Vec<Sample>) {
    let count = window.signal.value_types().len();
    let sample = |counted: CountedStack| Sample {
        task: TaskIndex(counted.task),
        stack: StackIndex(counted.stack),
        values: counted.values.into_iter().take(count).collect(),
    };
    let samples = window.counts().into_iter().map(sample).collect();
    (window.tasks(), samples)
}

/// Nanoseconds between two samples of a CPU; zero below one a second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a period of 1 ns to 1 s, rounded"
)]
pub fn period(rate_hz: f64) -> u64 {
    if rate_hz < 1.0 {
        0
    } else {
        (1e9 / rate_hz).round() as u64
    }
}

/// How good the data is.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn quality(window: &Window, frames: &[Frame], facts: &ProfileFacts) -> Quality {
    let unnamed = frames
        .iter()
        .filter(|frame| matches!(frame.naming, Naming::Unnamed(_)))
        .count();
    let mut lost = window.lost.clone();
    for (loss, count) in &facts.lost {
        *lost.entry(*loss).or_default() += count;
    }
    let left_out = window.filtered + facts.filtered;
    let taken = window.samples + facts.idle + left_out + lost.values().sum::<u64>();
    let cpu_seconds = facts.span.duration.as_secs_f64() * f64::from(facts.cpus);
    Quality {
        samples: window.samples,
        idle: facts.idle,
        lost,
        complete: window.complete,
        truncated: window.truncated.clone(),
        fallback: window.fallback,
        frames: frames.len() as u64,
        frames_unnamed: unnamed as u64,
        rate_asked_hz: facts.rate_asked_hz,
        rate_effective_hz: match facts.rate_effective_hz {
            Some(rate_hz) => rate_hz,
            None if cpu_seconds == 0.0 => 0.0,
            None => taken as f64 / cpu_seconds,
        },
        duty_cycle: facts.duty_cycle.unwrap_or(1.0),
        overhead: facts.overhead,
        windows_lost: facts.windows_lost,
    }
}

/// Frames and objects, each once.
#[derive(Default)]
struct Dictionary {
    objects: Vec<ObjectFile>,
    object_indexes: HashMap<ObjectFile, ObjectIndex>,
    frames: Vec<Frame>,
    frame_indexes: HashMap<Place, (FrameIndex, FrameHash)>,
    frame_hashes: HashMap<FrameHash, FrameIndex>,
}

impl Dictionary {
    /// A stack of frames.
    fn add_stack(&mut self, places: &[Place], names: &Names, kernel_release: &str) -> Stack {
        let frames: Vec<(FrameIndex, FrameHash)> = (places.iter())
            .map(|place| self.add_frame(place, names, kernel_release))
            .collect();
        let hash = hash_stack(frames.iter().map(|(_index, hash)| *hash));
        Stack {
            id: hash.id(),
            hash_high: hash.high(),
            frames: frames.iter().map(|(index, _hash)| *index).collect(),
        }
    }

    /// A frame; places with the same identity share one.
    fn add_frame(
        &mut self,
        place: &Place,
        names: &Names,
        kernel_release: &str,
    ) -> (FrameIndex, FrameHash) {
        if let Some(known) = self.frame_indexes.get(place) {
            return *known;
        }
        let named = names
            .get(place)
            .expect("every place of the window was named");
        let hash = hash_frame(place, named, kernel_release);
        let index = match self.frame_hashes.get(&hash) {
            Some(index) => *index,
            None => self.push_frame(place, named, hash),
        };
        self.frame_indexes.insert(*place, (index, hash));
        (index, hash)
    }

    /// Appends a frame.
    fn push_frame(&mut self, place: &Place, named: &NamedPlace, hash: FrameHash) -> FrameIndex {
        let (kind, address) = match *place {
            Place::Object { offset, .. } => (FrameKind::Native, offset.0),
            Place::Bare { address, .. } => (FrameKind::Jit, address.0),
            Place::Unmapped { address } => (FrameKind::Native, address.0),
            Place::Kernel { address } => (FrameKind::Kernel, address.0),
            Place::Cut => (FrameKind::Truncated, 0),
            Place::Subject(Subject::InCall(_call)) => (FrameKind::Kernel, 0),
            Place::Subject(_part) => (FrameKind::Table, 0),
        };
        let object = named.object.as_ref().map(|object| self.add_object(object));
        let index =
            FrameIndex(u32::try_from(self.frames.len()).expect("frames are bounded by stacks"));
        let naming = named.naming.clone();
        self.frames.push(Frame {
            id: hash.id(),
            hash_high: hash.high(),
            kind,
            object,
            address,
            naming,
        });
        self.frame_hashes.insert(hash, index);
        index
    }

    /// The index of an object.
    fn add_object(&mut self, object: &ObjectFile) -> ObjectIndex {
        if let Some(index) = self.object_indexes.get(object) {
            return *index;
        }
        let index =
            ObjectIndex(u32::try_from(self.objects.len()).expect("objects are bounded by process"));
        self.objects.push(object.clone());
        self.object_indexes.insert(object.clone(), index);
        index
    }
}
