//! System calls of the probe that no library wraps.
#![expect(unsafe_code, reason = "system calls")]

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

use aya_obj::generated::perf_event_attr;

/// `PERF_FLAG_FD_CLOEXEC`
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;
/// `BPF_MAP_DELETE_ELEM` of bpf(2).
const BPF_MAP_DELETE_ELEM: libc::c_long = 3;
/// `BPF_ENABLE_STATS` of bpf(2).
const BPF_ENABLE_STATS: libc::c_long = 32;
/// `BPF_MAP_LOOKUP_AND_DELETE_BATCH` of bpf(2). Since: Linux 5.6.
const BPF_MAP_LOOKUP_AND_DELETE_BATCH: libc::c_long = 25;
/// `MEMBARRIER_CMD_GLOBAL` of membarrier(2).
const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
/// `BPF_STATS_RUN_TIME`
const RUN_TIME: u32 = 0;

/// `perf_event_open(2)` for every process on one CPU.
pub(super) fn open_event_on_cpu(attributes: &perf_event_attr, cpu: u32) -> io::Result<OwnedFd> {
    let any_process: libc::pid_t = -1;
    let no_group: RawFd = -1;
    // SAFETY: the kernel reads `attributes.size` bytes of a struct that is that long.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(attributes),
            any_process,
            cpu,
            no_group,
            CLOSE_ON_EXEC,
        )
    };
    to_owned_fd(fd)
}

/// An all-zero `perf_event_attr` that knows its size.
pub(super) fn event_attributes() -> perf_event_attr {
    // SAFETY: a struct of integers and unions of integers; zero is a value of each.
    let mut attributes: perf_event_attr = unsafe { std::mem::zeroed() };
    attributes.size = u32::try_from(size_of::<perf_event_attr>())
        .expect("the struct is about a hundred bytes long");
    attributes
}

/// Opens a probe on a kernel function, only to see whether the kernel has kprobes: nothing is
/// attached. `event_source` is the number of the kernel's kprobe event source.
pub(super) fn try_kprobe(event_source: u32, function: &CStr) -> io::Result<()> {
    let mut attributes = event_attributes();
    attributes.type_ = event_source;
    attributes.__bindgen_anon_3.kprobe_func = function.as_ptr() as u64;
    open_event_on_cpu(&attributes, 0).map(drop)
}

/// Opens a probe at the start of a file, only to see whether the kernel has uprobes.
pub(super) fn try_uprobe(event_source: u32, path: &CStr, offset: u64) -> io::Result<()> {
    let mut attributes = event_attributes();
    attributes.type_ = event_source;
    attributes.__bindgen_anon_3.uprobe_path = path.as_ptr() as u64;
    attributes.__bindgen_anon_4.probe_offset = offset;
    open_event_on_cpu(&attributes, 0).map(drop)
}

/// Turns on the kernel's measurement of BPF run time, for as long as the descriptor lives.
/// Since: Linux 5.8.
pub(super) fn enable_run_time_stats() -> io::Result<OwnedFd> {
    // SAFETY: the command reads four bytes.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_ENABLE_STATS,
            std::ptr::from_ref(&RUN_TIME),
            size_of::<u32>(),
        )
    };
    to_owned_fd(fd)
}

/// Arguments of bpf(2) for one element of a map.
#[repr(C)]
#[derive(Default)]
struct MapElement {
    map: u32,
    /// Padding of the kernel's own struct.
    _unused: u32,
    /// Address of the key.
    key: u64,
    value: u64,
    flags: u64,
}

/// Deletes the element of a map whose keys have four bytes.
pub(super) fn delete_map_element(map: BorrowedFd<'_>, key: u32) -> io::Result<()> {
    let element = MapElement {
        map: u32::try_from(map.as_raw_fd()).map_err(|_negative| io::ErrorKind::InvalidInput)?,
        key: std::ptr::from_ref(&key) as u64,
        ..MapElement::default()
    };
    // SAFETY: the kernel reads the arguments, and four bytes at the key, which lives until after.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_MAP_DELETE_ELEM,
            std::ptr::from_ref(&element),
            size_of::<MapElement>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Arguments of bpf(2) for many elements of a map.
#[repr(C)]
#[derive(Default)]
struct MapBatch {
    /// Address of the place to go on from; zero at the start.
    in_batch: u64,
    /// Address of the place where the next one begins.
    out_batch: u64,
    keys: u64,
    values: u64,
    /// Room for so many; then how many there are.
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Elements that were taken out of a map.
pub(super) struct Taken {
    /// How many.
    pub(super) count: u32,
    /// Where to go on; `None` when that was all.
    pub(super) next: Option<u32>,
}

/// Takes elements out of a hash map, from `cursor` on: at most `count`, which `keys` and `values`
/// have room for.
pub(super) fn take_batch(
    map: BorrowedFd<'_>,
    cursor: Option<u32>,
    keys: &mut [u8],
    values: &mut [u8],
    count: u32,
) -> io::Result<Taken> {
    let mut next = 0_u32;
    let mut batch = MapBatch {
        in_batch: cursor
            .as_ref()
            .map_or(0, |cursor| std::ptr::from_ref(cursor) as u64),
        out_batch: std::ptr::from_mut(&mut next) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count,
        map: u32::try_from(map.as_raw_fd()).map_err(|_negative| io::ErrorKind::InvalidInput)?,
        ..MapBatch::default()
    };
    // SAFETY: the kernel reads and writes the arguments, and four bytes at each place; the caller
    // gives room for `count` keys and values of this map, on every CPU. All live until after.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_MAP_LOOKUP_AND_DELETE_BATCH,
            std::ptr::from_mut(&mut batch),
            size_of::<MapBatch>(),
        )
    };
    if result == 0 {
        return Ok(Taken {
            count: batch.count,
            next: Some(next),
        });
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOENT) {
        return Ok(Taken {
            count: batch.count,
            next: None,
        });
    }
    Err(error)
}

/// Waits until every program that runs now, with preemption off, has ended: the kernel waits for
/// each CPU to pass through a state in which none can be running. Since: Linux 4.3.
pub(super) fn wait_for_programs() -> io::Result<()> {
    // SAFETY: the command takes no memory.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A system call's result as a descriptor.
fn to_owned_fd(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(result).map_err(|_wide| io::ErrorKind::InvalidData)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
