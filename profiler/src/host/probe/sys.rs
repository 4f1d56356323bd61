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

/// A system call's result as a descriptor.
fn to_owned_fd(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(result).map_err(|_wide| io::ErrorKind::InvalidData)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
