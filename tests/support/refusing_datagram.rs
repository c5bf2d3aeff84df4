//! An address that refuses datagrams, for as long as its socket is kept: connected to itself, it
//! takes nobody else's. A port that was let go may be the asker's own by the time it is asked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

pub(crate) fn refusing_datagram() -> io::Result<(UdpSocket, SocketAddr)> {
    let bound = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = bound.local_addr()?;
    bound.connect(address)?;
    Ok((bound, address))
}
