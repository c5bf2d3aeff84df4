//! Sockets of this machine alone, named by paths or, on Linux, by names that are in no file system.
//!
//! Addresses are the standard library's [`SocketAddr`]; `SocketAddrExt` of `std::os::linux::net`
//! makes the abstract ones.

mod address;
mod datagram;
mod listener;
mod seqpacket;
mod stream;

use std::io;
use std::os::unix::net::SocketAddr;

use socket2::SockAddr;

use address::to_system;
pub use annulet_runtime::sys::socket::PeerCredentials;
pub use datagram::UnixDatagram;
pub use listener::{Incoming, UnixListener};
pub use seqpacket::{UnixSeqpacket, UnixSeqpacketListener};
pub use stream::UnixStream;

/// What the standard library calls an address, that of a socket without a name included.
fn from_system(address: &SockAddr) -> io::Result<SocketAddr> {
    if !address.is_unix() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not an address of a Unix socket",
        ));
    }
    match address::from_system(address) {
        Some(named) => Ok(named),
        None => SocketAddr::from_pathname(""),
    }
}
