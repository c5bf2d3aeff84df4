//! Sockets of this machine alone, named by paths or, on Linux, by names that are in no file system.
//!
//! Addresses are the standard library's [`SocketAddr`]; `SocketAddrExt` of `std::os::linux::net`
//! makes the abstract ones.

mod listener;
mod stream;

use std::io;
use std::os::unix::net::SocketAddr;

use socket2::SockAddr;

pub use annulet_runtime::sys::socket::PeerCredentials;
pub use listener::{Incoming, UnixListener};
pub use stream::UnixStream;

/// What the system calls it, of what the standard library does.
fn to_system(address: &SocketAddr) -> io::Result<SockAddr> {
    if let Some(path) = address.as_pathname() {
        return SockAddr::unix(path);
    }
    match abstract_name(address) {
        Some(name) => named(name),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "an unnamed address is nobody's",
        )),
    }
}

/// What the standard library calls it.
fn from_system(address: &SockAddr) -> io::Result<SocketAddr> {
    if !address.is_unix() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not an address of a Unix socket",
        ));
    }
    match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => SocketAddr::from_pathname(path),
        (None, Some(name)) => from_abstract_name(name),
        // That of a socket without a name.
        (None, None) => SocketAddr::from_pathname(""),
    }
}

#[cfg(target_os = "linux")]
fn from_abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

/// There are none here.
#[cfg(not(target_os = "linux"))]
fn from_abstract_name(_name: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(target_os = "linux")]
fn abstract_name(address: &SocketAddr) -> Option<&[u8]> {
    std::os::linux::net::SocketAddrExt::as_abstract_name(address)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_address: &SocketAddr) -> Option<&[u8]> {
    None
}

/// The system's address of an abstract name: what follows a zero byte.
fn named(name: &[u8]) -> io::Result<SockAddr> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let mut path = vec![0];
    path.extend_from_slice(name);
    SockAddr::unix(OsStr::from_bytes(&path))
}
