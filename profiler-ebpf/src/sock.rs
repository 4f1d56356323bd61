//! All reads of the kernel's sockets, at the offsets that the daemon found.

use aya_ebpf::helpers::{bpf_get_current_task, bpf_probe_read_kernel};
use profiler_common::{
    probe_config::OFFSET_MISSING,
    tcp::{SideCode, TcpPeer},
};

use crate::maps::config;

/// `AF_INET` and `AF_INET6`. Source: include/linux/socket.h; user-visible.
const FAMILY_V4: u16 = 2;
const FAMILY_V6: u16 = 10;
/// `IPPROTO_TCP`.
const PROTOCOL_TCP: u16 = 6;

/// A value at an offset of a kernel struct.
#[inline(always)]
fn read<T>(base: u64, offset: u32) -> Option<T> {
    if offset == OFFSET_MISSING || base == 0 {
        return None;
    }
    // SAFETY: the helper checks the address; any bytes are a value of the types read here.
    unsafe { bpf_probe_read_kernel((base + u64::from(offset)) as *const T).ok() }
}

/// Whether a socket is one of TCP over IP.
#[inline(always)]
pub(crate) fn is_tcp(sock: u64) -> bool {
    if read::<u16>(sock, config!(sock_protocol)) != Some(PROTOCOL_TCP) {
        return false;
    }
    let family = read::<u16>(sock, config!(sock_family));
    family == Some(FAMILY_V4) || family == Some(FAMILY_V6)
}

/// The far end of a connection, as this side of it names it.
#[inline(always)]
pub(crate) fn peer_of(sock: u64, side: SideCode) -> Option<TcpPeer> {
    let mut peer = TcpPeer {
        side: side as u8,
        ..TcpPeer::default()
    };
    peer.port = match side {
        SideCode::Client => remote_port(sock)?,
        SideCode::Server => local_port(sock)?,
    };
    if read::<u16>(sock, config!(sock_family))? == FAMILY_V6 {
        peer.is_v6 = 1;
        peer.address = read(sock, config!(sock_address_v6))?;
    } else {
        let address: [u8; 4] = read(sock, config!(sock_address))?;
        peer.address[0] = address[0];
        peer.address[1] = address[1];
        peer.address[2] = address[2];
        peer.address[3] = address[3];
    }
    Some(peer)
}

/// Which side of a connection that was there before: the lower port is mostly the server's.
#[inline(always)]
pub(crate) fn guess_side(sock: u64) -> Option<SideCode> {
    if local_port(sock)? < remote_port(sock)? {
        Some(SideCode::Server)
    } else {
        Some(SideCode::Client)
    }
}

/// Port of the far end.
#[inline(always)]
fn remote_port(sock: u64) -> Option<u16> {
    read(sock, config!(sock_remote_port)).map(u16::from_be)
}

/// Port of this end.
#[inline(always)]
fn local_port(sock: u64) -> Option<u16> {
    read(sock, config!(sock_local_port))
}

/// The error that a socket ended with; zero without.
#[inline(always)]
pub(crate) fn error_of(sock: u64) -> u32 {
    read(sock, config!(sock_error)).unwrap_or(0)
}

/// The smoothed time of a round trip, nanoseconds; `None` before the first one.
#[inline(always)]
pub(crate) fn round_trip_ns(sock: u64) -> Option<u64> {
    // The kernel keeps eight times the microseconds.
    let eighths: u32 = read(sock, config!(tcp_round_trip))?;
    if eighths == 0 {
        return None;
    }
    Some(u64::from(eighths) * 125)
}

/// The socket behind a descriptor of the current process.
#[inline(always)]
pub(crate) fn behind(descriptor: u64) -> Option<u64> {
    // SAFETY: a helper without arguments.
    let task = unsafe { bpf_get_current_task() };
    let files: u64 = read(task, config!(task_files))?;
    let table: u64 = read(files, config!(files_table))?;
    let array: u64 = read(table, config!(table_files))?;
    let file: u64 = read(array + descriptor * 8, 0)?;
    let socket: u64 = read(file, config!(file_private))?;
    read(socket, config!(socket_sock))
}
