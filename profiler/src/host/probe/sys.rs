//! System calls of the probe that no library wraps.
#![expect(unsafe_code, reason = "system calls")]

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

use aya_obj::generated::{bpf_insn, perf_event_attr};

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

/// `BPF_PROG_LOAD`, `BPF_BTF_LOAD` and `BPF_LINK_CREATE` of bpf(2).
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_BTF_LOAD: libc::c_long = 18;
const BPF_LINK_CREATE: libc::c_long = 28;

/// Arguments of bpf(2) for a program to be loaded, as far as they are needed.
#[repr(C)]
#[derive(Default)]
struct ProgramToLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    device: u32,
    attach_type: u32,
    btf: u32,
    function_size_bytes: u32,
    functions: u64,
    function_count: u32,
    line_size_bytes: u32,
    lines: u64,
    line_count: u32,
    /// Padding of the kernel's own struct.
    _unused: u32,
}

/// A program for uprobes, ready to be loaded.
pub(super) struct UprobeProgram<'a> {
    /// At most 15 letters are kept.
    pub(super) name: &'a str,
    /// What is executed, with the descriptors of its maps in it.
    pub(super) instructions: &'a [bpf_insn],
    /// The licence.
    pub(super) license: &'a CStr,
    /// `BPF_TRACE_UPROBE_*`
    pub(super) attach_type: u32,
    /// Its types.
    pub(super) btf: BorrowedFd<'a>,
    /// Its functions, as `struct bpf_func_info`; without them it may not have callbacks.
    pub(super) functions: &'a [u8],
    /// Bytes of one of them.
    pub(super) function_size_bytes: usize,
}

/// Loads types.
pub(super) fn load_btf(types: &[u8]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Types {
        address: u64,
        log: u64,
        size_bytes: u32,
        log_size_bytes: u32,
    }
    let types = Types {
        address: types.as_ptr() as u64,
        log: 0,
        size_bytes: length(types)?,
        log_size_bytes: 0,
    };
    bpf(BPF_BTF_LOAD, &types)
}

/// Loads a program; on a refusal, `log` holds the end of what the verifier said.
pub(super) fn load_uprobe(program: &UprobeProgram<'_>, log: &mut Vec<u8>) -> io::Result<OwnedFd> {
    /// `BPF_PROG_TYPE_KPROBE`, which uprobes are too.
    const KPROBE: u32 = 2;
    let mut name = [0; 16];
    for (slot, byte) in name.iter_mut().take(15).zip(program.name.bytes()) {
        *slot = byte;
    }
    let function_size_bytes =
        u32::try_from(program.function_size_bytes).map_err(|_wide| io::ErrorKind::InvalidInput)?;
    let mut load = ProgramToLoad {
        kind: KPROBE,
        instruction_count: length(program.instructions)?,
        instructions: program.instructions.as_ptr() as u64,
        license: program.license.as_ptr() as u64,
        name,
        attach_type: program.attach_type,
        btf: descriptor(program.btf)?,
        function_size_bytes,
        functions: program.functions.as_ptr() as u64,
        function_count: length(program.functions)?
            .checked_div(function_size_bytes)
            .unwrap_or(0),
        ..ProgramToLoad::default()
    };
    let refused = match bpf(BPF_PROG_LOAD, &load) {
        Ok(program) => return Ok(program),
        Err(refused) => refused,
    };
    // Once more, only to hear why.
    log.resize(VERIFIER_LOG_SIZE_BYTES, 0);
    load.log_level = 1;
    load.log_size_bytes = length(log)?;
    load.log = log.as_mut_ptr() as u64;
    bpf(BPF_PROG_LOAD, &load).or(Err(refused))
}

/// Room for what the verifier says: it keeps the end.
const VERIFIER_LOG_SIZE_BYTES: usize = 1 << 20;

/// Attaches a program to many places of one file, in all processes. Since: Linux 6.6.
pub(super) fn link_uprobes(
    program: BorrowedFd<'_>,
    attach_type: u32,
    path: &CStr,
    offsets: &[u64],
    cookies: &[u64],
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Uprobes {
        program: u32,
        target: u32,
        attach_type: u32,
        flags: u32,
        path: u64,
        offsets: u64,
        reference_counts: u64,
        cookies: u64,
        count: u32,
        uprobe_flags: u32,
        pid: u32,
        /// Padding of the kernel's own struct.
        _unused: u32,
    }
    debug_assert_eq!(offsets.len(), cookies.len(), "a cookie for each place");
    let uprobes = Uprobes {
        program: descriptor(program)?,
        target: 0,
        attach_type,
        flags: 0,
        path: path.as_ptr() as u64,
        offsets: offsets.as_ptr() as u64,
        reference_counts: 0,
        cookies: cookies.as_ptr() as u64,
        count: length(offsets)?,
        uprobe_flags: 0,
        pid: 0,
        _unused: 0,
    };
    bpf(BPF_LINK_CREATE, &uprobes)
}

/// bpf(2) for commands that give a descriptor.
fn bpf<T>(command: libc::c_long, arguments: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads as many bytes as the struct has; what its addresses point to outlives
    // the call, for the callers hold references to it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(arguments),
            size_of::<T>(),
        )
    };
    to_owned_fd(result)
}

/// How many there are, as the kernel wants it.
fn length<T>(items: &[T]) -> io::Result<u32> {
    u32::try_from(items.len()).map_err(|_many| io::ErrorKind::InvalidInput.into())
}

/// The number of a descriptor.
fn descriptor(fd: BorrowedFd<'_>) -> io::Result<u32> {
    u32::try_from(fd.as_raw_fd()).map_err(|_negative| io::ErrorKind::InvalidInput.into())
}

/// Attaches a program to one place of one file, in all processes; at the return of the function
/// there, when `at_return`. Gives what holds it there. `event_source` is the number of the kernel's
/// uprobe event source. Since: Linux 5.15.
pub(super) fn link_uprobe(
    program: BorrowedFd<'_>,
    (event_source, at_return): (u32, bool),
    path: &CStr,
    offset: u64,
    cookie: u64,
) -> io::Result<[OwnedFd; 2]> {
    /// `BPF_PERF_EVENT` of `enum bpf_attach_type`.
    const PERF_EVENT: u32 = 41;
    #[repr(C)]
    struct PerfLink {
        program: u32,
        event: u32,
        attach_type: u32,
        flags: u32,
        cookie: u64,
    }
    let mut attributes = event_attributes();
    attributes.type_ = event_source;
    // The first bit says what is probed: /sys/bus/event_source/devices/uprobe/format/retprobe.
    attributes.config = u64::from(at_return);
    attributes.__bindgen_anon_3.uprobe_path = path.as_ptr() as u64;
    attributes.__bindgen_anon_4.probe_offset = offset;
    let event = open_event_on_cpu(&attributes, 0)?;
    let link = PerfLink {
        program: descriptor(program)?,
        event: descriptor(event.as_fd())?,
        attach_type: PERF_EVENT,
        flags: 0,
        cookie,
    };
    Ok([bpf(BPF_LINK_CREATE, &link)?, event])
}
