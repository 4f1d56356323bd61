//! The one walk of a user stack that every probe calls.

use core::{ffi::c_void, hint::black_box};

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_user};
use profiler_common::{
    limits::{FRAME_POINTER_FRAMES_MAX, FRAME_STEP_SIZE_BYTES_MAX, USER_FRAMES_MAX},
    mapping::{MappingEntry, OBJECT_NONE, TABLE_NONE, encode_bare, encode_mapped},
    notice::NoticeKind,
    sample::{FLAG_FALLBACK, Verdict},
    unwind_row::{CfaKind, RuleCode, SavedKind, UnwindRule, register, unpack_registers},
};

use crate::{
    emit,
    maps::{RULES, Scratch, WINDOW_WORDS, Walk, config},
    stack,
    table::{self, NoMapping},
};

/// Bytes of the window.
const WINDOW_SIZE_BYTES: u32 = WINDOW_WORDS * 8;
/// Where a window begins, in bytes below the CFA: room for the callee-saved registers.
const WINDOW_BELOW_CFA_BYTES: u64 = 64;
/// Bytes from the stack pointer in a signal trampoline to the saved general registers: `ucontext`
/// up to `uc_mcontext`. Source: arch/x86/include/uapi/asm/ucontext.h; user-visible.
const SIGNAL_REGISTERS_OFFSET: u64 = 40;

/// Only the kept registers are known.
const REGISTERS_KEPT: u32 = 0;
/// Every register is known: in the innermost frame and behind a signal.
pub(crate) const REGISTERS_ALL: u32 = 1;
/// One frame further out. Hand-written code (AES-GCM of OpenSSL) keeps its CFA in a scratch register
/// across a call of a local function that leaves it alone, so the sample's value is tried, checked
/// like a frame pointer and marked as a guess.
const REGISTERS_GUESSED: u32 = 2;

/// Whether to go on to the next frame, or how the walk ended.
type Step = Result<(), Verdict>;

/// What the loop's callback gets.
#[repr(C)]
struct LoopContext {
    scratch: *mut Scratch,
}

/// Walks the user stack from the registers in the scratch memory, with tables.
#[inline(always)]
pub(crate) fn walk(scratch: *mut Scratch) {
    let mut context = LoopContext { scratch };
    // SAFETY: the callback has the shape the helper calls, and the context outlives the call.
    // One more than the frames kept, so that a stack of just that depth can end as complete.
    unsafe {
        bpf_loop(
            USER_FRAMES_MAX + 1,
            walk_one as *mut c_void,
            (&raw mut context).cast(),
            0,
        );
    }
}

/// One frame. Returns 1 to stop.
#[inline(never)]
extern "C" fn walk_one(_index: u32, context: *mut LoopContext) -> i64 {
    // SAFETY: the helper passes the context on unchanged.
    let scratch = unsafe { (*context).scratch };
    match step(scratch) {
        Ok(()) => 0,
        Err(verdict) => {
            stack::end(scratch, verdict);
            1
        }
    }
}

/// Adds the frame at `pc` to the record and moves the walk to its caller.
#[inline(always)]
fn step(scratch: *mut Scratch) -> Step {
    // SAFETY: a live map element that the program claimed.
    let walk = unsafe { &raw mut (*scratch).walk };
    let (frames, pc) = unsafe { ((*walk).frames, (*walk).pc) };
    if USER_FRAMES_MAX <= frames {
        return Err(Verdict::Depth);
    }
    // A call may be the last instruction of a function: the byte before the return address is
    // what was executing.
    let address = pc - u64::from(unsafe { (*walk).is_return_address });
    if let Err(missing) = enter_mapping(walk, address) {
        push(scratch, frames, encode_bare(address));
        return Err(report(walk, missing, address));
    }
    let mapping = unsafe { (*walk).mapping };
    let frame = encode(&mapping, address);
    push(scratch, frames, frame);
    match rule_code(scratch, &mapping, address, frame)? {
        RuleCode::Rule(index) => {
            let rule = RULES.get(u32::from(index)).ok_or(Verdict::TableNotReady)?;
            follow_rule(walk, rule)
        }
        RuleCode::EndOfStack => Err(Verdict::Complete),
        RuleCode::FramePointer => follow_frame_pointer(walk),
        RuleCode::NoInfo => {
            unsafe { (*walk).flags |= u32::from(FLAG_FALLBACK) };
            follow_frame_pointer(walk)
        }
        RuleCode::SignalFrame => leave_signal(walk),
        RuleCode::Unsupported => Err(Verdict::UnsupportedRule),
    }
}

/// The frame at `address` as the record carries it.
#[inline(always)]
fn encode(mapping: &MappingEntry, address: u64) -> u64 {
    if mapping.object == OBJECT_NONE {
        return encode_bare(address);
    }
    encode_mapped(mapping.object, file_offset(mapping, address))
}

/// Where in its file the code at `address` lies.
#[inline(always)]
const fn file_offset(mapping: &MappingEntry, address: u64) -> u64 {
    address - mapping.start + mapping.file_offset
}

/// Puts a frame into the record.
#[inline(always)]
fn push(scratch: *mut Scratch, frames: u32, frame: u64) {
    if frames < USER_FRAMES_MAX {
        // SAFETY: the index was just checked.
        unsafe {
            *(&raw mut (*scratch).record.frames)
                .cast::<u64>()
                .add(frames as usize) = frame;
            (*scratch).walk.frames = frames + 1;
        }
    }
}

/// Makes the walk's cached mapping the one that holds `address`.
#[inline(always)]
fn enter_mapping(walk: *mut Walk, address: u64) -> Result<(), NoMapping> {
    // SAFETY: a live map element that the program claimed.
    unsafe {
        let cached = &raw const (*walk).mapping;
        if (*cached).start <= address && address < (*cached).end {
            return Ok(());
        }
        (*walk).mapping = *table::find_mapping(walk, address)?;
    }
    Ok(())
}

/// Asks the daemon to repair what was missing.
#[inline(always)]
fn report(walk: *mut Walk, missing: NoMapping, address: u64) -> Verdict {
    let (kind, verdict) = match missing {
        NoMapping::UnknownProcess => (NoticeKind::UnknownProcess, Verdict::UnknownProcess),
        NoMapping::Unmapped => (NoticeKind::UnknownAddress, Verdict::Unmapped),
    };
    // SAFETY: a live map element that the program claimed.
    emit::notice(kind, unsafe { (*walk).pid }, address);
    verdict
}

/// How to leave the frame at `address`.
#[inline(always)]
fn rule_code(
    scratch: *mut Scratch,
    mapping: &MappingEntry,
    address: u64,
    frame: u64,
) -> Result<RuleCode, Verdict> {
    if config!(frame_pointers_only) != 0 {
        return Ok(RuleCode::FramePointer);
    }
    if mapping.table == TABLE_NONE {
        return Ok(RuleCode::NoInfo);
    }
    let code = table::find_known_rule(scratch, frame, || {
        table::find_rule(mapping.table, file_offset(mapping, address))
    });
    code.map(RuleCode::from_u16).ok_or(Verdict::TableNotReady)
}

/// One 8-byte word of user memory.
#[inline(always)]
fn read_user(address: u64) -> Result<u64, Verdict> {
    let mut word = 0_u64;
    // SAFETY: the destination is eight bytes long; the helper checks the source.
    let status =
        unsafe { bpf_probe_read_user((&raw mut word).cast(), 8, address as *const c_void) };
    if status == 0 {
        Ok(word)
    } else {
        Err(Verdict::UnreadableStack)
    }
}

/// Whether the walk carries a register from frame to frame.
#[inline(always)]
const fn is_kept(number: u8) -> bool {
    number == register::RSP || number == register::RBP || number == register::RBX
}

/// Checks a CFA that came from a register whose value was guessed.
#[inline(always)]
fn check_guess(walk: *mut Walk, rule: &UnwindRule, cfa: u64, rsp: u64) -> Step {
    let (base, _) = unpack_registers(rule.cfa_register);
    // SAFETY: a live map element that the program claimed.
    unsafe {
        if (*walk).all_registers != REGISTERS_GUESSED || is_kept(base) {
            return Ok(());
        }
        (*walk).flags |= u32::from(FLAG_FALLBACK);
    }
    if FRAME_STEP_SIZE_BYTES_MAX < cfa - rsp || cfa & 7 != 0 {
        return Err(Verdict::UnsupportedRule);
    }
    Ok(())
}

/// Value of a register in this frame.
#[inline(always)]
fn register_value(walk: *const Walk, number: u8) -> Result<u64, Verdict> {
    // SAFETY: a live map element; the index is masked to the length of the array.
    unsafe {
        if !is_kept(number) && (*walk).all_registers == REGISTERS_KEPT {
            return Err(Verdict::UnsupportedRule);
        }
        let registers = (&raw const (*walk).registers).cast::<u64>();
        Ok(*registers.add((number & (register::COUNT - 1)) as usize))
    }
}

/// Steps to the caller as an unwind rule says.
#[inline(always)]
fn follow_rule(walk: *mut Walk, rule: &UnwindRule) -> Step {
    let cfa = cfa_of(walk, rule)?;
    let rsp = register_value(walk, register::RSP)?;
    if cfa <= rsp {
        return Err(Verdict::NotAscending);
    }
    check_guess(walk, rule, cfa, rsp)?;
    fill_window(walk, cfa, rule.ra_offset);
    let pc = saved_at_cfa(walk, cfa, rule.ra_offset)?;
    if pc == 0 {
        return Err(Verdict::Complete);
    }
    let rbp = saved_register(walk, cfa, register::RBP, rule.rbp_kind, rule.rbp_offset)?;
    let rbx = saved_register(walk, cfa, register::RBX, rule.rbx_kind, rule.rbx_offset)?;
    // SAFETY: a live map element that the program claimed.
    unsafe {
        (*walk).registers[register::RBX as usize] = rbx;
    }
    enter_caller(walk, pc, cfa, rbp);
    Ok(())
}

/// The canonical frame address by a rule.
#[inline(always)]
fn cfa_of(walk: *mut Walk, rule: &UnwindRule) -> Result<u64, Verdict> {
    let (base, _) = unpack_registers(rule.cfa_register);
    let base = register_value(walk, base)?;
    let address = base.wrapping_add(rule.cfa_offset as i64 as u64);
    if rule.cfa_kind == CfaKind::Register as u8 {
        return Ok(address);
    }
    if rule.cfa_kind == CfaKind::Deref as u8 {
        return Ok(read_user(address)?.wrapping_add(rule.cfa_add as i64 as u64));
    }
    if rule.cfa_kind == CfaKind::DerefIndexed as u8 {
        let (_, index) = unpack_registers(rule.cfa_register);
        let index = register_value(walk, index)?;
        let indexed = address.wrapping_add(index.wrapping_mul(8));
        return Ok(read_user(indexed)?.wrapping_add(rule.cfa_add as i64 as u64));
    }
    // SAFETY: a live map element that the program claimed.
    let pushed = unsafe { (*walk).pc } & 15 >= rule.cfa_add as u64;
    Ok(if pushed { address + 8 } else { address })
}

/// Makes the window hold the return address; a word that could not be read is read alone later.
#[inline(always)]
fn fill_window(walk: *mut Walk, cfa: u64, ra_offset: i16) {
    if window_index(walk, cfa.wrapping_add(ra_offset as i64 as u64)).is_some() {
        return;
    }
    let start = cfa - WINDOW_BELOW_CFA_BYTES;
    // SAFETY: the destination is as long as the size; the helper checks the source.
    unsafe {
        let status = bpf_probe_read_user(
            (&raw mut (*walk).window).cast(),
            WINDOW_SIZE_BYTES,
            start as *const c_void,
        );
        (*walk).window_start = if status == 0 { start } else { 0 };
    }
}

/// Where in the window the word at `address` is.
#[inline(always)]
fn window_index(walk: *const Walk, address: u64) -> Option<usize> {
    // SAFETY: a live map element that the program claimed.
    let from_start = address.wrapping_sub(unsafe { (*walk).window_start });
    let holds = from_start & 7 == 0 && from_start < u64::from(WINDOW_SIZE_BYTES);
    holds.then_some(from_start as usize >> 3)
}

/// The word at `cfa + offset`, from the window where it lies there.
#[inline(always)]
fn saved_at_cfa(walk: *const Walk, cfa: u64, offset: i16) -> Result<u64, Verdict> {
    let address = cfa.wrapping_add(offset as i64 as u64);
    let Some(index) = window_index(walk, address) else {
        return read_user(address);
    };
    // SAFETY: a live map element; the index is masked to the length of the window.
    unsafe {
        let window = (&raw const (*walk).window).cast::<u64>();
        // The compiler knows that the mask changes nothing; the verifier does not.
        Ok(*window.add(black_box(index) & (WINDOW_WORDS as usize - 1)))
    }
}

/// The caller's value of a callee-saved register.
#[inline(always)]
fn saved_register(
    walk: *const Walk,
    cfa: u64,
    number: u8,
    kind: u8,
    offset: i16,
) -> Result<u64, Verdict> {
    if kind == SavedKind::AtCfa as u8 {
        return saved_at_cfa(walk, cfa, offset);
    }
    if kind == SavedKind::AtRbp as u8 {
        let rbp = register_value(walk, register::RBP)?;
        return read_user(rbp.wrapping_add(offset as i64 as u64));
    }
    register_value(walk, number)
}

/// Steps to the caller by the frame pointer, where nothing better is known. Checked: the frame must
/// lie further up, aligned, and not implausibly far.
#[inline(always)]
fn follow_frame_pointer(walk: *mut Walk) -> Step {
    let rbp = register_value(walk, register::RBP)?;
    let rsp = register_value(walk, register::RSP)?;
    if rbp == 0 {
        // The ABI has a thread start with a zero frame pointer. In the innermost frame a zero may
        // be just a number.
        // SAFETY: a live map element that the program claimed.
        let innermost = unsafe { (*walk).all_registers } == REGISTERS_ALL;
        return Err(if innermost {
            Verdict::NoUnwindInfo
        } else {
            Verdict::Complete
        });
    }
    if rbp < rsp || rbp & 7 != 0 || FRAME_STEP_SIZE_BYTES_MAX < rbp - rsp {
        return Err(Verdict::NoUnwindInfo);
    }
    let caller_rbp = read_user(rbp)?;
    let pc = read_user(rbp + 8)?;
    if pc == 0 {
        return Err(Verdict::Complete);
    }
    enter_caller(walk, pc, rbp + 16, caller_rbp);
    Ok(())
}

/// Moves the walk to the frame of a return address.
#[inline(always)]
fn enter_caller(walk: *mut Walk, pc: u64, rsp: u64, rbp: u64) {
    // SAFETY: a live map element that the program claimed.
    unsafe {
        (*walk).pc = pc;
        (*walk).registers[register::RSP as usize] = rsp;
        (*walk).registers[register::RBP as usize] = rbp;
        (*walk).all_registers = if (*walk).all_registers == REGISTERS_ALL {
            REGISTERS_GUESSED
        } else {
            REGISTERS_KEPT
        };
        (*walk).is_return_address = 1;
    }
}

/// Steps from a signal trampoline to the code that the signal interrupted.
#[inline(always)]
fn leave_signal(walk: *mut Walk) -> Step {
    /// DWARF numbers in the order of the kernel's `struct sigcontext`: r8 to r15, rdi, rsi, rbp,
    /// rbx, rdx, rax, rcx, rsp; rip follows.
    const ORDER: [usize; 16] = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7];
    let start = register_value(walk, register::RSP)? + SIGNAL_REGISTERS_OFFSET;
    // SAFETY: the destination is as long as the size; the helper checks the source.
    unsafe {
        let saved = &raw mut (*walk).signal_registers;
        let status = bpf_probe_read_user(saved.cast(), 17 * 8, start as *const c_void);
        if status != 0 {
            return Err(Verdict::UnreadableStack);
        }
        let mut index = 0;
        while index < 16 {
            (*walk).registers[ORDER[index]] = (*saved)[index];
            index += 1;
        }
        (*walk).pc = (*saved)[16];
        (*walk).all_registers = REGISTERS_ALL;
        (*walk).is_return_address = 0;
    }
    Ok(())
}

/// Walks by frame pointers alone, without mappings or tables: all that a kernel without `bpf_loop`
/// gets. Frames are bare addresses; the daemon finds their mappings.
#[inline(always)]
pub(crate) fn walk_frame_pointers(scratch: *mut Scratch) {
    // SAFETY: a live map element that the program claimed.
    let walk = unsafe { &raw mut (*scratch).walk };
    for index in 0..FRAME_POINTER_FRAMES_MAX {
        // SAFETY: as above.
        let (pc, back) = unsafe { ((*walk).pc, (*walk).is_return_address) };
        push(scratch, index, encode_bare(pc - u64::from(back)));
        if let Err(verdict) = follow_frame_pointer(walk) {
            stack::end(scratch, verdict);
            return;
        }
    }
}
