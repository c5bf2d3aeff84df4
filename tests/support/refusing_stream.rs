//! An address that refuses connections, for as long as its socket is kept: bound, and not
//! listening. A port that was let go may be somebody else's by the time it is asked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

pub(crate) fn refusing_stream() -> io::Result<(Socket, SocketAddr)> {
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    bound.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = bound.local_addr()?;
    Ok((bound, address.as_socket().expect("an internet address")))
}
