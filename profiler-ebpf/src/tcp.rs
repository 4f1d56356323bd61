//! TCP connections: what a program waits for, and what goes over the wire.
//!
//! A connection is remembered by the address of its socket. Some of what happens to it is seen in
//! the context of the program that uses it, and has its stack: connecting, accepting, sending,
//! receiving. The rest happens in soft interrupts and is charged to the process that used it last.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
};
use profiler_common::{
    counter::Tally,
    sample::{SignalCode, VALUE_DELAY_NS, VALUE_EVENTS},
    system_call::bucket_of,
    table::{TCP_FILLED, TCP_ROWS_MADE},
    tcp::{SideCode, TCP_COUNTS, TCP_STACKS, TcpKey, TcpMeasure, TcpPeer, TcpSocket, TcpSums},
};

use crate::{
    atomic, draw, emit, filter,
    maps::{Scratch, TABLE_STATE, TCP_SOCKETS, TCP_TABLE_0, TCP_TABLE_1, TcpTable, config},
    sock, stack, syscall, task,
};

/// States of a socket. Source: include/net/tcp_states.h; user-visible.
mod state {
    pub(super) const ESTABLISHED: u64 = 1;
    pub(super) const SYN_SENT: u64 = 2;
    pub(super) const SYN_RECEIVED: u64 = 3;
    pub(super) const CLOSE: u64 = 7;
}

/// Errors that a connection can fail with. Source: include/uapi/asm-generic/errno.h.
const TIMED_OUT: u32 = 110;
const REFUSED: u32 = 111;
/// `MSG_PEEK`: what is received stays to be received.
const PEEK: u64 = 2;

/// A connection with something to be told of it.
struct Event<'a> {
    /// The far end.
    peer: &'a TcpPeer,
    /// Process.
    pid: u32,
    /// What is measured.
    measure: TcpMeasure,
    /// Time, nanoseconds.
    time_ns: u64,
    /// Bytes.
    bytes: u64,
}

/// Monotonic clock.
#[inline(always)]
fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// The process that runs, when the filters take it.
#[inline(always)]
fn selected_pid() -> Option<u32> {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    filter::selects_current(pid).then_some(pid)
}

/// A socket changes its state.
#[inline(always)]
pub(crate) fn change(socket: u64, before: u64, after: u64) {
    if after == state::SYN_SENT {
        begin_client(socket);
    } else if before == state::SYN_RECEIVED && after == state::ESTABLISHED {
        begin_server(socket);
    } else if before == state::SYN_SENT {
        end_connect(socket, after == state::ESTABLISHED);
    }
    if after == state::CLOSE {
        _ = TCP_SOCKETS.remove(socket);
    }
}

/// A program begins to connect; it is the current one.
#[inline(always)]
fn begin_client(socket: u64) {
    if !sock::is_tcp(socket) {
        return;
    }
    let Some(pid) = selected_pid() else {
        emit::tally(SignalCode::Tcp, Tally::Filtered);
        return;
    };
    if let Some(peer) = sock::peer_of(socket, SideCode::Client) {
        remember(socket, peer, pid);
        syscall::remember_owner(pid);
    }
}

/// The far end has connected; nobody has accepted it yet.
#[inline(always)]
fn begin_server(socket: u64) {
    if !sock::is_tcp(socket) {
        return;
    }
    if let Some(peer) = sock::peer_of(socket, SideCode::Server) {
        remember(socket, peer, 0);
    }
}

/// Begins to remember a connection.
#[inline(always)]
fn remember(socket: u64, peer: TcpPeer, pid: u32) {
    let begun = TcpSocket {
        begun_at_ns: now(),
        asked_at_ns: 0,
        peer,
        pid,
        connect_ns: 0,
    };
    if TCP_SOCKETS.insert(socket, begun, 0).is_err() {
        emit::tally(SignalCode::Tcp, Tally::TableFull);
    }
}

/// A client's connection stands, or never will.
#[inline(always)]
fn end_connect(socket: u64, stands: bool) {
    let Some(known) = TCP_SOCKETS.get_ptr_mut(socket) else {
        return;
    };
    // SAFETY: a live map element; a socket's state changes under its lock.
    let begun = unsafe { *known };
    if begun.begun_at_ns == 0 {
        return;
    }
    let time_ns = now().saturating_sub(begun.begun_at_ns);
    // SAFETY: as above.
    unsafe {
        (*known).begun_at_ns = 0;
        (*known).connect_ns = time_ns;
    }
    let measure = if stands {
        TcpMeasure::Connect
    } else {
        match sock::error_of(socket) {
            REFUSED => TcpMeasure::Refused,
            TIMED_OUT => TcpMeasure::TimedOut,
            _ => TcpMeasure::Abandoned,
        }
    };
    count(&Event {
        peer: &begun.peer,
        pid: begun.pid,
        measure,
        time_ns,
        bytes: 0,
    });
}

/// A program comes back from `connect` with a connection that stands: it waited for it.
#[inline(always)]
pub(crate) fn connected(result: i64, walk: impl Fn(*mut Scratch)) {
    if result != 0 {
        return;
    }
    let Some(socket) = task::first_argument().and_then(sock::behind) else {
        return;
    };
    if let Some(known) = TCP_SOCKETS.get_ptr_mut(socket) {
        draw_connect(known, walk);
    }
}

/// Draws the stack of a wait for a connection, once.
#[inline(always)]
fn draw_connect(known: *mut TcpSocket, walk: impl Fn(*mut Scratch)) {
    // SAFETY: a live map element; the connection stands, so nobody else writes this part.
    let seen = unsafe { *known };
    if seen.connect_ns == 0 {
        return;
    }
    // SAFETY: as above.
    unsafe { (*known).connect_ns = 0 };
    let event = Event {
        peer: &seen.peer,
        pid: seen.pid,
        measure: TcpMeasure::Connect,
        time_ns: seen.connect_ns,
        bytes: 0,
    };
    draw_stack(&event, walk);
}

/// A program was given a connection by `accept`.
#[inline(always)]
pub(crate) fn accept(descriptor: i64, walk: impl Fn(*mut Scratch)) {
    if descriptor < 0 {
        return;
    }
    let Some(socket) = sock::behind(descriptor as u64) else {
        return;
    };
    let Some(known) = TCP_SOCKETS.get_ptr_mut(socket) else {
        return;
    };
    let Some(pid) = selected_pid() else {
        emit::tally(SignalCode::Tcp, Tally::Filtered);
        _ = TCP_SOCKETS.remove(socket);
        return;
    };
    // SAFETY: a live map element, of a socket that nobody else has a descriptor of yet.
    let begun = unsafe { *known };
    // SAFETY: as above.
    unsafe {
        (*known).pid = pid;
        (*known).begun_at_ns = 0;
    }
    if begun.begun_at_ns == 0 {
        return;
    }
    let event = Event {
        peer: &begun.peer,
        pid,
        measure: TcpMeasure::AcceptQueue,
        time_ns: now().saturating_sub(begun.begun_at_ns),
        bytes: 0,
    };
    count(&event);
    draw_stack(&event, walk);
}

/// A program sent: `result` bytes, or failed.
#[inline(always)]
pub(crate) fn sent(socket: u64, result: i64, walk: impl Fn(*mut Scratch)) {
    if 0 < result {
        transfer(socket, result as u64, SideCode::Server, walk);
    }
}

/// A program received: `result` bytes, or failed.
#[inline(always)]
pub(crate) fn received(socket: u64, result: i64, flags: u64, walk: impl Fn(*mut Scratch)) {
    if 0 < result && flags & PEEK == 0 {
        transfer(socket, result as u64, SideCode::Client, walk);
    }
}

/// Bytes went over a connection. `answer` is the side for which they are an answer; for the other
/// one they are a request.
#[inline(always)]
fn transfer(socket: u64, bytes: u64, answer: SideCode, walk: impl Fn(*mut Scratch)) {
    let Some(pid) = selected_pid() else {
        return;
    };
    let Some(known) = find(socket, pid) else {
        return;
    };
    // SAFETY: a live map element; a connection is used by one thread at a time, mostly, and else a
    // time is a little off.
    let mut seen = unsafe { *known };
    let (is_answer, now) = (seen.peer.side == answer as u8, now());
    let asked_at_ns = seen.asked_at_ns;
    // A client's request ends with the last byte that it sends, a server's begins with the first
    // one that it receives.
    let is_client = seen.peer.side == SideCode::Client as u8;
    if is_answer {
        seen.asked_at_ns = 0;
    } else if is_client || asked_at_ns == 0 {
        seen.asked_at_ns = now;
    }
    // SAFETY: as above.
    unsafe {
        (*known).pid = pid;
        (*known).asked_at_ns = seen.asked_at_ns;
    }
    let measure = if answer as u8 == SideCode::Server as u8 {
        TcpMeasure::Sent
    } else {
        TcpMeasure::Received
    };
    let mut event = Event {
        peer: &seen.peer,
        pid,
        measure,
        time_ns: 0,
        bytes,
    };
    count(&event);
    if !is_answer || asked_at_ns == 0 {
        return;
    }
    event.bytes = 0;
    if let Some(round_trip_ns) = sock::round_trip_ns(socket) {
        event.measure = TcpMeasure::RoundTrip;
        event.time_ns = round_trip_ns;
        count(&event);
    }
    event.measure = TcpMeasure::FirstByte;
    event.time_ns = now.saturating_sub(asked_at_ns);
    count(&event);
    draw_stack(&event, walk);
}

/// What is remembered of a connection, which may have been there before anyone watched.
#[inline(always)]
fn find(socket: u64, pid: u32) -> Option<*mut TcpSocket> {
    if let Some(known) = TCP_SOCKETS.get_ptr_mut(socket) {
        return Some(known);
    }
    if !sock::is_tcp(socket) {
        return None;
    }
    let peer = sock::peer_of(socket, sock::guess_side(socket)?)?;
    let found = TcpSocket {
        begun_at_ns: 0,
        asked_at_ns: 0,
        peer,
        pid,
        connect_ns: 0,
    };
    if TCP_SOCKETS.insert(socket, found, 0).is_err() {
        emit::tally(SignalCode::Tcp, Tally::TableFull);
    }
    TCP_SOCKETS.get_ptr_mut(socket)
}

/// A segment is sent again.
#[inline(always)]
pub(crate) fn retransmit(socket: u64) {
    let Some(known) = TCP_SOCKETS.get_ptr_mut(socket) else {
        return;
    };
    // SAFETY: a live map element.
    let seen = unsafe { *known };
    count(&Event {
        peer: &seen.peer,
        pid: seen.pid,
        measure: TcpMeasure::Retransmit,
        time_ns: 0,
        bytes: 0,
    });
}

/// Sends the current stack with a probability of the event's time over the period.
#[inline(always)]
fn draw_stack(event: &Event<'_>, walk: impl Fn(*mut Scratch)) {
    if config!(tcp_wants) & TCP_STACKS == 0 {
        return;
    }
    let thinning = draw::thinning(SignalCode::Tcp);
    let period_ns = draw::period_ns(config!(tcp_period_ns), &thinning);
    if !draw::is_drawn(event.time_ns, period_ns) {
        emit::tally(SignalCode::Tcp, Tally::Thinned);
        return;
    }
    let Some(scratch) = stack::claim(stack::CLASS_TRACEPOINT) else {
        emit::tally(SignalCode::Tcp, Tally::ScratchBusy);
        return;
    };
    let side = task::load_saved_registers(scratch);
    stack::begin(scratch, event.pid);
    let weighted = draw::weigh(event.time_ns, period_ns);
    // SAFETY: a live map element that this program claimed.
    unsafe {
        let header = &raw mut (*scratch).record.header;
        (*header).values[VALUE_DELAY_NS] = weighted.time_ns;
        (*header).values[VALUE_EVENTS] = weighted.events;
        let subject = (&raw mut (*header).subject).cast::<u8>();
        subject.cast::<TcpPeer>().write_unaligned(*event.peer);
        *subject.add(size_of::<TcpPeer>()) = event.measure as u8;
    }
    stack::take_user(scratch, side, walk);
    emit::sample(scratch, SignalCode::Tcp, 0);
    stack::release(scratch);
}

/// Adds to the row of an event, in the table that is filled.
#[inline(always)]
fn count(event: &Event<'_>) {
    if config!(tcp_wants) & TCP_COUNTS == 0 {
        return;
    }
    let key = TcpKey {
        peer: *event.peer,
        pid: event.pid,
        measure: event.measure as u8,
        bucket: bucket_of(event.time_ns) as u8,
        reserved: [0; 2],
    };
    let sums = TcpSums {
        events: 1,
        time_ns: event.time_ns,
        bytes: event.bytes,
    };
    let filled = TABLE_STATE.get_ptr(TCP_FILLED);
    // SAFETY: a live element of an array.
    if filled.is_none_or(|filled| unsafe { *filled } == 0) {
        add_to(&TCP_TABLE_0, &key, &sums);
    } else {
        add_to(&TCP_TABLE_1, &key, &sums);
    }
}

/// Adds to a row of one table, which is made if there is none.
#[inline(always)]
fn add_to(table: &'static TcpTable, key: &TcpKey, sums: &TcpSums) {
    if let Some(row) = table.get_ptr_mut(key) {
        return add(row, sums);
    }
    if table.insert(key, sums, u64::from(BPF_NOEXIST)).is_err() {
        // Another CPU may have been quicker, or an interrupt.
        match table.get_ptr_mut(key) {
            Some(row) => add(row, sums),
            None => emit::tally(SignalCode::Tcp, Tally::TableFull),
        }
        return;
    }
    if let Some(made) = TABLE_STATE.get_ptr_mut(TCP_ROWS_MADE) {
        // SAFETY: a live element of an array; nearly right is right enough.
        unsafe { *made += 1 };
    }
}

/// Adds to a row. In one step each: a soft interrupt may add to the same row in between.
#[inline(always)]
fn add(row: *mut TcpSums, sums: &TcpSums) {
    // SAFETY: a live map element.
    unsafe {
        atomic::add(&raw mut (*row).events, sums.events);
        atomic::add(&raw mut (*row).time_ns, sums.time_ns);
        atomic::add(&raw mut (*row).bytes, sums.bytes);
    }
}
