//! TCP connections: their far ends, and what is measured of them.

use std::{fmt, net::IpAddr};

/// The far end of a connection, as this side names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FarEnd {
    /// Its address.
    pub address: IpAddr,
    /// Its port, when it is the one that serves: a client's means nothing.
    pub port: Option<u16>,
}

impl fmt::Display for FarEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.port) {
            (address, None) => write!(f, "{address}"),
            (IpAddr::V4(address), Some(port)) => write!(f, "{address}:{port}"),
            (IpAddr::V6(address), Some(port)) => write!(f, "[{address}]:{port}"),
        }
    }
}

/// Which side of a connection a process is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// It connected.
    Client,
    /// It was connected to.
    Server {
        /// Its own port.
        port: u16,
    },
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Server { port } => write!(f, "server :{port}"),
        }
    }
}

/// What is measured of a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TcpMeasure {
    /// Time until a client's connection stood.
    Connect,
    /// Time until it was refused.
    Refused,
    /// Time until it was given up because nobody answered.
    TimedOut,
    /// Time until it failed otherwise, or the program gave it up.
    Abandoned,
    /// Time that a connection waited for its server to accept it.
    AcceptQueue,
    /// Time between a request and the first byte of its answer.
    FirstByte,
    /// The kernel's smoothed time of a round trip.
    RoundTrip,
    /// Segments that were sent again.
    Retransmits,
    /// Bytes that the program sent.
    BytesSent,
    /// Bytes that the program received.
    BytesReceived,
}

impl TcpMeasure {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Connect,
        Self::Refused,
        Self::TimedOut,
        Self::Abandoned,
        Self::AcceptQueue,
        Self::FirstByte,
        Self::RoundTrip,
        Self::Retransmits,
        Self::BytesSent,
        Self::BytesReceived,
    ];

    /// The word for it in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Refused => "connect_refused",
            Self::TimedOut => "connect_timed_out",
            Self::Abandoned => "connect_abandoned",
            Self::AcceptQueue => "accept_queue",
            Self::FirstByte => "first_byte",
            Self::RoundTrip => "rtt",
            Self::Retransmits => "retransmits",
            Self::BytesSent => "bytes_sent",
            Self::BytesReceived => "bytes_received",
        }
    }

    /// Whether it is a time, which has buckets.
    pub fn is_time(self) -> bool {
        match self {
            Self::Retransmits | Self::BytesSent | Self::BytesReceived => false,
            Self::Connect
            | Self::Refused
            | Self::TimedOut
            | Self::Abandoned
            | Self::AcceptQueue
            | Self::FirstByte
            | Self::RoundTrip => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::{FarEnd, Side};

    #[test]
    fn far_ends_are_written_as_people_write_them() {
        let text = |address: IpAddr, port| FarEnd { address, port }.to_string();
        let (v4, v6) = (
            Ipv4Addr::new(10, 0, 0, 1).into(),
            Ipv6Addr::LOCALHOST.into(),
        );
        assert_eq!("10.0.0.1:5432", text(v4, Some(5432)));
        assert_eq!("[::1]:80", text(v6, Some(80)));
        assert_eq!("::1", text(v6, None));
        assert_eq!("server :8080", Side::Server { port: 8080 }.to_string());
    }
}
