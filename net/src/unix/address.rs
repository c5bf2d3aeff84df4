//! Addresses of local sockets, as the standard library has them and as `socket2` does.

use std::io;
use std::os::unix::net::SocketAddr;

use socket2::SockAddr;

/// What the system calls it.
pub(super) fn to_system(address: &SocketAddr) -> io::Result<SockAddr> {
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

/// What the standard library calls it; `None` for a socket without a name.
pub(super) fn from_system(address: &SockAddr) -> Option<SocketAddr> {
    if let Some(path) = address.as_pathname() {
        return SocketAddr::from_pathname(path).ok();
    }
    from_abstract(address.as_abstract_namespace()?)
}

#[cfg(target_os = "linux")]
fn abstract_name(address: &SocketAddr) -> Option<&[u8]> {
    std::os::linux::net::SocketAddrExt::as_abstract_name(address)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_address: &SocketAddr) -> Option<&[u8]> {
    None
}

#[cfg(target_os = "linux")]
fn from_abstract(name: &[u8]) -> Option<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name).ok()
}

#[cfg(not(target_os = "linux"))]
fn from_abstract(_name: &[u8]) -> Option<SocketAddr> {
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
