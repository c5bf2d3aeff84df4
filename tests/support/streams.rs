//! A pair of connected streams of the standard library.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// Two ends of a connection over loopback.
pub(crate) fn connected() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    Ok((near, far))
}
