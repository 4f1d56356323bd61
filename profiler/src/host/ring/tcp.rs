//! Far ends of TCP connections, as the probe writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use profiler_common::tcp::{SideCode, TcpMeasure as Code, TcpPeer};

use super::DecodeError;
use crate::model::{FarEnd, Side, TcpMeasure};

/// The far end of a connection, and which side this one is.
///
/// # Errors
/// A side that nobody defined.
pub fn decode_peer(peer: &TcpPeer) -> Result<(FarEnd, Side), DecodeError> {
    let side = SideCode::try_from(peer.side).map_err(|code| DecodeError::UnknownCode {
        what: "side",
        code: u32::from(code),
    })?;
    let [a, b, c, d, ..] = peer.address;
    let address = if peer.is_v6 == 0 {
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    } else {
        // A program that listens for version 6 has peers of version 4, too.
        IpAddr::V6(Ipv6Addr::from(peer.address)).to_canonical()
    };
    Ok(match side {
        SideCode::Client => {
            let port = Some(peer.port);
            (FarEnd { address, port }, Side::Client)
        }
        SideCode::Server => {
            let far = FarEnd {
                address,
                port: None,
            };
            (far, Side::Server { port: peer.port })
        }
    })
}

/// What was measured.
///
/// # Errors
/// A code that nobody defined.
pub fn decode_measure(code: u8) -> Result<TcpMeasure, DecodeError> {
    let code = Code::try_from(code).map_err(|code| DecodeError::UnknownCode {
        what: "measure",
        code: u32::from(code),
    })?;
    Ok(match code {
        Code::Connect => TcpMeasure::Connect,
        Code::Refused => TcpMeasure::Refused,
        Code::TimedOut => TcpMeasure::TimedOut,
        Code::Abandoned => TcpMeasure::Abandoned,
        Code::AcceptQueue => TcpMeasure::AcceptQueue,
        Code::FirstByte => TcpMeasure::FirstByte,
        Code::RoundTrip => TcpMeasure::RoundTrip,
        Code::Retransmit => TcpMeasure::Retransmits,
        Code::Sent => TcpMeasure::BytesSent,
        Code::Received => TcpMeasure::BytesReceived,
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use profiler_common::tcp::{SideCode, TcpPeer};

    use super::{FarEnd, Side, decode_measure, decode_peer};

    #[test]
    fn version_4_inside_of_version_6_is_version_4() {
        let address = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
        let peer = TcpPeer {
            address,
            port: 80,
            is_v6: 1,
            side: SideCode::Client as u8,
        };
        let far = FarEnd {
            address: Ipv4Addr::LOCALHOST.into(),
            port: Some(80),
        };
        assert_eq!((far, Side::Client), decode_peer(&peer).unwrap());
    }

    #[test]
    fn codes_that_nobody_defined_are_refused() {
        let peer = TcpPeer {
            side: 2,
            ..TcpPeer::default()
        };
        decode_peer(&peer).unwrap_err();
        decode_measure(0).unwrap();
        decode_measure(10).unwrap_err();
    }
}
