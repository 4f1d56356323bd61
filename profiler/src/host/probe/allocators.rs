//! Probes on functions that allocate and free.

use std::{
    ffi::CString,
    fs::{self, File},
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData},
    programs::UProbe,
};
use profiler_common::{
    alloc::{AllocatorCall, AllocatorRanges, LiveKey, encode_cookie},
    limits::{ALLOCATOR_RANGES_MAX, ALLOCATORS_MAX},
};

use super::{
    ProbeError,
    abi::Abi,
    load::{TABLE_SAMPLER, program_mut, typed_map},
    session::{UPROBE_SESSION, load_session},
    sys,
};
use crate::model::{Avma, FileOffset, Pid};

/// The programs for sessions, with unwind tables and without.
const SESSION: [&str; 2] = ["alloc_session", "alloc_session_frame_pointers"];
/// The program at the begin of a function.
const BEGIN: &str = "alloc_begin";
/// The programs at its return, with unwind tables and without.
const FINISH: [&str; 2] = ["alloc_finish", "alloc_finish_frame_pointers"];
/// Where the kernel says the number of its uprobe event source.
const UPROBE_SOURCE: &str = "/sys/bus/event_source/devices/uprobe/type";

/// The allocator of one file, as the probe is told of it.
#[derive(Clone, Debug)]
pub struct ProbedAllocator {
    /// Its number: below [`ALLOCATORS_MAX`], and of no other one that is attached.
    pub slot: u16,
    /// The instructions to probe, and what their functions do.
    pub points: Vec<(FileOffset, AllocatorCall)>,
    /// Where all its functions lie: calls among them are not counted.
    pub ranges: Vec<(FileOffset, FileOffset)>,
}

/// Slots there are for allocators.
pub const ALLOCATOR_SLOTS: u32 = ALLOCATORS_MAX;

/// What attaches probes to allocators, and what they tell the probe.
pub struct AllocatorProbes {
    programs: Programs,
    ranges: Array<MapData, Abi<AllocatorRanges>>,
}

/// How functions are probed.
enum Programs {
    /// In sessions: the return of a call is only probed when the call was drawn.
    Session(OwnedFd),
    /// With two probes on each function; the return is probed in every call.
    Pair {
        begin: OwnedFd,
        finish: OwnedFd,
        event_source: u32,
    },
}

/// Holds the probes of one allocator where they are.
#[derive(Debug)]
pub struct AllocatorLink {
    _links: Vec<OwnedFd>,
}

/// Live allocations that the probe waits for the end of.
pub struct LiveAllocations(HashMap<MapData, Abi<LiveKey>, u32>);

impl AllocatorProbes {
    /// Loads the programs: for sessions where the kernel has them, else in pairs.
    ///
    /// # Errors
    /// What the kernel refused: it has no uprobes.
    pub(super) fn load(object: &mut Ebpf, sampler: &str) -> Result<Self, ProbeError> {
        let kind = usize::from(sampler != TABLE_SAMPLER);
        let session = SESSION.get(kind).copied().unwrap_or_default();
        let programs = match load_session(object, session) {
            Ok(program) => Programs::Session(program),
            Err(refused) => {
                tracing::debug!(
                    error = &refused as &dyn std::error::Error,
                    "no uprobe sessions; every return is probed"
                );
                load_pair(object, FINISH.get(kind).copied().unwrap_or_default())?
            }
        };
        // Taken only now: the programs for sessions are linked with every map.
        let ranges = typed_map(object, "ALLOCATORS")?;
        Ok(Self { programs, ranges })
    }

    /// The programs that the library did not load, to be asked what they cost.
    pub(super) fn session_programs(&self) -> Vec<OwnedFd> {
        match &self.programs {
            Programs::Session(program) => program.try_clone().into_iter().collect(),
            Programs::Pair { .. } => Vec::new(),
        }
    }

    /// How functions are probed, in words.
    pub fn hook(&self) -> &'static str {
        match self.programs {
            Programs::Session(_) => "uprobe session",
            Programs::Pair { .. } => "uprobe and uretprobe",
        }
    }

    /// Probes the functions of an allocator, in all processes that map its file.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn attach(
        &mut self,
        file: &File,
        allocator: &ProbedAllocator,
    ) -> Result<AllocatorLink, ProbeError> {
        self.tell_ranges(allocator)?;
        let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default();
        debug_assert!(!path.is_empty(), "a number has no zero byte");
        let (offsets, cookies): (Vec<u64>, Vec<u64>) = (allocator.points.iter())
            .map(|(offset, call)| (offset.0, encode_cookie(*call, allocator.slot, offset.0)))
            .unzip();
        let links = match &self.programs {
            Programs::Session(program) => {
                sys::link_uprobes(program.as_fd(), UPROBE_SESSION, &path, &offsets, &cookies)
                    .map(|link| vec![link])
            }
            Programs::Pair {
                begin,
                finish,
                event_source,
            } => {
                let links = allocator
                    .points
                    .iter()
                    .zip(cookies)
                    .map(|((offset, call), cookie)| {
                        let link = |program: &OwnedFd, at_return| {
                            let kind = (*event_source, at_return);
                            sys::link_uprobe(program.as_fd(), kind, &path, offset.0, cookie)
                        };
                        let returns = if *call == AllocatorCall::Free {
                            None
                        } else {
                            Some(link(finish, true)?)
                        };
                        let begins = link(begin, false)?;
                        Ok(returns.into_iter().chain([begins]).flatten().collect())
                    });
                links
                    .collect::<io::Result<Vec<Vec<OwnedFd>>>>()
                    .map(|links| links.into_iter().flatten().collect())
            }
        };
        links
            .map(|links| AllocatorLink { _links: links })
            .map_err(|source| ProbeError::AttachAllocator { source })
    }

    /// Tells the probe where the functions of an allocator lie.
    fn tell_ranges(&mut self, allocator: &ProbedAllocator) -> Result<(), ProbeError> {
        let mut ranges = AllocatorRanges {
            ranges: [[0; 2]; ALLOCATOR_RANGES_MAX as usize],
        };
        for (range, (start, end)) in ranges.ranges.iter_mut().zip(&allocator.ranges) {
            *range = [start.0, end.0];
        }
        (self.ranges)
            .set(allocator.slot.into(), Abi(ranges), 0)
            .map_err(|source| ProbeError::Map {
                name: "ALLOCATORS",
                source,
            })
    }
}

/// Loads the programs for the begin and the return.
fn load_pair(object: &mut Ebpf, finish: &'static str) -> Result<Programs, ProbeError> {
    let source = |source| ProbeError::AttachAllocator { source };
    let event_source = fs::read_to_string(UPROBE_SOURCE).map_err(source)?;
    let event_source = (event_source.trim().parse::<u32>())
        .map_err(|_text| source(io::ErrorKind::InvalidData.into()))?;
    let mut load = |name: &'static str| {
        let program: &mut UProbe = program_mut(object, name)?;
        let fails = |source| ProbeError::LoadProgram {
            program: name,
            source,
        };
        program.load().map_err(fails)?;
        let fd = program.fd().map_err(fails)?.as_fd();
        fd.try_clone_to_owned().map_err(source)
    };
    Ok(Programs::Pair {
        begin: load(BEGIN)?,
        finish: load(finish)?,
        event_source,
    })
}

impl LiveAllocations {
    /// The map of the loaded object.
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, ProbeError> {
        Ok(Self(typed_map(object, "LIVE_ALLOCATIONS")?))
    }

    /// Forgets memory of a process that is gone.
    pub fn forget(&mut self, pid: Pid, address: Avma) {
        let key = LiveKey {
            address: address.0,
            pid: pid.0,
            reserved: 0,
        };
        // What was freed meanwhile is not there any more.
        drop(self.0.remove(&Abi(key)));
    }
}
