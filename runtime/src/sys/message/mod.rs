//! Messages: what is sent and received along with bytes, and the system calls that do it.
//!
//! [`Meta`] is what came with a message, [`Attach`] what is to go with one. Both are plain values;
//! how they become control messages is a system's own affair, and differs by file: a `Head` holds
//! all that the kernel reads and writes besides the bytes.
//!
//! A descriptor that has arrived is owned by the [`Meta`] it came in, so dropping that closes it.

#[cfg(unix)]
mod control;
#[cfg(target_os = "linux")]
#[path = "fields_linux.rs"]
mod fields;
#[cfg(all(unix, not(target_os = "linux")))]
#[path = "fields_unix.rs"]
mod fields;
#[cfg_attr(target_os = "linux", path = "multi_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "multi_other.rs")]
mod multi;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::time::SystemTime;

use socket2::SockAddr;

pub(crate) use multi::{MultiHead, read_parts};
#[cfg(target_os = "linux")]
pub(crate) use unix::RECEIVE_FLAGS;
#[cfg(unix)]
pub(crate) use unix::{Head, Outgoing};
#[cfg(windows)]
use windows as fields;
#[cfg(windows)]
pub(crate) use windows::{Head, Outgoing};

/// Bytes for control messages that a receive of UDP needs at most: addresses, class, segment size
/// and time.
pub const UDP_CONTROL_BYTES: usize = 192;
/// As many bytes for a local socket: as many descriptors as one message can carry (253), the
/// sender's credentials and the time.
pub const LOCAL_CONTROL_BYTES: usize = 1152;

/// Who sent a message over a local socket, as the kernel vouches for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Credentials {
    /// The process.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// What came with a message besides its bytes.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Meta {
    /// Who sent it: `None` on a socket whose messages have no sender's address, or from a sender
    /// without a name.
    pub source: Option<SockAddr>,
    /// The address it was sent to, where the socket was told to say.
    pub destination: Option<IpAddr>,
    /// The index of the interface it came in by, where the socket was told to say.
    pub interface: Option<u32>,
    /// The traffic class (TOS) byte, where the socket was told to say.
    pub traffic_class: Option<u8>,
    /// The bytes of each datagram but the last, where the kernel has put several into one.
    pub segment_bytes: Option<u16>,
    /// When the kernel received it, where the socket was told to say.
    pub timestamp: Option<SystemTime>,
    /// The buffer was too small for the message: the rest is lost.
    pub truncated: bool,
    /// Control messages did not arrive whole. Of descriptors, some may be missing: the kernel has
    /// closed them.
    pub control_truncated: bool,
    /// Who sent it, where the socket was told to say.
    pub credentials: Option<Credentials>,
    /// Descriptors that were sent along.
    #[cfg(unix)]
    pub fds: Vec<OwnedFd>,
}

impl Meta {
    /// The sender's internet address.
    #[must_use]
    pub fn source_addr(&self) -> Option<SocketAddr> {
        self.source.as_ref().and_then(SockAddr::as_socket)
    }

    /// The explicit congestion notification: the low two bits of the traffic class.
    #[must_use]
    pub fn ecn(&self) -> Option<u8> {
        self.traffic_class.map(|class| class & 0b11)
    }
}

/// What is to go with a message besides its bytes.
#[derive(Debug, Default)]
pub struct Attach {
    /// Where to; `None` on a connected socket.
    pub to: Option<SockAddr>,
    /// Has the kernel cut the bytes into datagrams of so many bytes each (the last may be shorter).
    pub segment_bytes: Option<u16>,
    /// The traffic class (TOS) byte.
    pub traffic_class: Option<u8>,
    /// The address to send from.
    pub source: Option<IpAddr>,
    /// The index of the interface to send by.
    pub interface: Option<u32>,
    /// Descriptors to send along. They are the message's own, so that nobody closes or replaces
    /// them before the kernel has taken them.
    #[cfg(unix)]
    pub fds: Vec<OwnedFd>,
}

impl Attach {
    /// Whether nothing but bytes and an address is to go.
    #[cfg(unix)]
    fn is_plain(&self) -> bool {
        self.segment_bytes.is_none()
            && self.traffic_class.is_none()
            && self.source.is_none()
            && self.interface.is_none()
            && self.fds.is_empty()
    }
}

/// Has a socket say, or not say, something with each message it receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Report {
    /// The address it was sent to, and the interface.
    Destination,
    /// The traffic class byte.
    TrafficClass,
    /// The time of its arrival.
    Timestamp,
    /// The sender's credentials, on a local socket.
    Credentials,
    /// Not only say: put datagrams of one sender together, with the size of each.
    Coalesced,
}

/// Turns a [`Report`] of a socket on or off.
///
/// # Errors
///
/// The system's; `Unsupported` where it has no such thing.
pub fn set_report(socket: &socket2::Socket, report: Report, on: bool) -> io::Result<()> {
    fields::set_report(socket, report, on)
}

/// What a system that lacks something says.
#[cfg(not(target_os = "linux"))]
fn unsupported<T>(what: &str) -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("this system's sockets cannot {what} here"),
    ))
}
