//! The words everyone uses.
//!
//! Job: hold one meaning for each noun of the field, with its unit.
//! In: nothing. Out: plain values. Nothing here touches the system, and nothing here can fail
//! except the conversions that say so.
//!
//! | Word | Means |
//! |---|---|
//! | [`Sample`] | one weighted stack of one task |
//! | [`Stack`] | frames, innermost first, always |
//! | [`Frame`] | one level of a stack: identity first, names later |
//! | [`Avma`], [`Svma`], [`FileOffset`] | address in the process, address the file was linked for, offset in the file |
//! | [`ObjectFile`], [`BuildId`] | a file on disk that holds code, its identity |
//! | [`Location`], [`Naming`] | function, file and line; or the [`Reason`] why there is none |
//! | [`Signal`] | what is watched |
//! | [`Subject`] | a part of what a sample is about that is not code |
//! | [`Profile`], [`ValueType`] | counted stacks of one window, what is counted and its unit |
//! | [`LiveStack`] | memory of one stack that lives at one moment |
//! | [`Labels`], [`SeriesId`] | what describes a thread, and the content address of that |
//! | [`Batch`], [`HostWindow`] | what a daemon delivers at once, one signal of one host over one window |
//! | [`Selection`] | which data a question is about |
//! | [`Quality`] | how good the data is: taken, lost, complete, truncated, unnamed |

mod address;
mod batch;
mod builder;
mod burst;
mod container;
mod event;
mod frame;
mod id;
mod labels;
mod live;
mod object_file;
mod profile;
mod quality;
mod selection;
mod signal;
mod subject;
mod tcp;

pub use self::{
    address::{Avma, FileOffset, Svma},
    batch::{
        Batch, Definitions, FrameDefinition, HostWindow, SenderId, SeriesSamples, StackDefinition,
        WeightedStack,
    },
    builder::ProfileBuilder,
    burst::BurstOrder,
    container::PodContainer,
    event::{
        Allocation, Event, Inode, MappedFile, Measured, NewMapping, ObjectId, StackEnd,
        StackSample, UserFrame, Wait,
    },
    frame::{Frame, FrameKind, Location, Naming, Reason},
    id::{FrameHash, FrameId, Pid, StackHash, StackId, Tid},
    labels::{LabelSet, Labels, ProfileType, SeriesId, label},
    live::LiveStack,
    object_file::{BuildId, BuildIdError, ObjectFile},
    profile::{
        FrameIndex, ObjectIndex, Profile, ProfileError, Sample, Stack, StackIndex, Task, TaskIndex,
        ValueType, Window,
    },
    quality::{Loss, Quality, Truncation},
    selection::{MatchKind, Matcher, Selection, TimeRange},
    signal::{Signal, Values},
    subject::{BucketError, DurationBucket, Outcome, Subject, Syscall},
    tcp::{FarEnd, Side, TcpMeasure},
};
