//! TCP connections: what is remembered of one, and the rows of the exact table.
//!
//! Written by the probe (`tcp.rs`); rows are read and emptied by the daemon (`host/probe`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::codes;

/// Stacks of waits for connections are drawn and sent.
pub const TCP_STACKS: u32 = 1;
/// Everything is counted in the table.
pub const TCP_COUNTS: u32 = 1 << 1;

codes! {
    /// What is measured of a connection.
    TcpMeasure: u8 {
        /// Time from the first packet of a client until the connection stands.
        Connect = 0,
        /// The same until it was refused.
        Refused = 1,
        /// The same until it was given up because nobody answered.
        TimedOut = 2,
        /// The same until it failed otherwise, or the program gave it up.
        Abandoned = 3,
        /// Time that a connection which stands waits for its server to accept it.
        AcceptQueue = 4,
        /// Client: time from the last byte of a request to the first of the answer. Server: from the
        /// first byte of a request to the first of its answer.
        FirstByte = 5,
        /// The kernel's smoothed time of a round trip, whenever a first byte is measured.
        RoundTrip = 6,
        /// Segments that were sent again.
        Retransmit = 7,
        /// Bytes that the program sent.
        Sent = 8,
        /// Bytes that the program received.
        Received = 9,
    }
}

codes! {
    /// Who began the connection.
    SideCode: u8 {
        /// This process did.
        Client = 0,
        /// The far end did.
        Server = 1,
    }
}

/// The far end of a connection.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct TcpPeer {
    /// Address of the far end: four bytes, or sixteen with `is_v6`.
    pub address: [u8; 16],
    /// Client: the port of the far end. Server: its own, because the far end's means nothing.
    pub port: u16,
    /// 1: the address is one of version 6.
    pub is_v6: u8,
    /// Code of a [`SideCode`].
    pub side: u8,
}

const _: () = assert!(size_of::<TcpPeer>() == 20);

/// What a sample is about.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct TcpSubject {
    /// The far end.
    pub peer: TcpPeer,
    /// Code of a [`TcpMeasure`].
    pub measure: u8,
    /// Always zero.
    pub reserved: [u8; 3],
}

const _: () = assert!(size_of::<TcpSubject>() == crate::sample::SUBJECT_SIZE_BYTES);

/// A row of the table.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct TcpKey {
    /// The far end.
    pub peer: TcpPeer,
    /// Process; zero when nobody has used the connection yet.
    pub pid: u32,
    /// Code of a [`TcpMeasure`].
    pub measure: u8,
    /// [`crate::system_call::bucket_of`] the time; zero for measures that are no time.
    pub bucket: u8,
    /// Always zero.
    pub reserved: [u8; 2],
}

const _: () = assert!(size_of::<TcpKey>() == 28);

/// What a row counts; one for each CPU.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct TcpSums {
    /// How often.
    pub events: u64,
    /// Time in all, nanoseconds.
    pub time_ns: u64,
    /// Bytes in all.
    pub bytes: u64,
}

const _: () = assert!(size_of::<TcpSums>() == 24);

/// What is remembered of a connection, by the address of its socket.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct TcpSocket {
    /// Client: when it began to connect. Server: when the connection stood. Zero from when the
    /// measure that begins there is taken. Monotonic clock, nanoseconds.
    pub begun_at_ns: u64,
    /// When the program last sent something that is not answered yet, or first received something
    /// that it has not answered yet; zero otherwise.
    pub asked_at_ns: u64,
    /// The far end.
    pub peer: TcpPeer,
    /// The process that used it last; zero when none has.
    pub pid: u32,
    /// Time that it took to connect, nanoseconds, until a stack that waited for it was seen; zero
    /// from then on.
    pub connect_ns: u64,
}

const _: () = assert!(size_of::<TcpSocket>() == 48);
