//! What sockets can tell that `socket2` leaves out: who is at the other end.
//!
//! # Invariants
//!
//! 1. Descriptors are borrowed, so they are open for as long as a call lasts.

#![expect(unsafe_code, reason = "a call that socket2 does not offer")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Who is at the other end of a local connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The user, as it counted for permissions.
    pub uid: u32,
    /// The group, likewise.
    pub gid: u32,
    /// The process, where the system says it. It may have ended since, and its number been given to
    /// another.
    pub pid: Option<i32>,
}

/// Who connected to, or listened at, the other end (`getpeereid(3)`).
///
/// # Errors
///
/// The system's.
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: the pointers are to locals of the right types, and the descriptor is open
    // (Invariant 1).
    let answer = unsafe { libc::getpeereid(socket.as_raw_fd(), &raw mut uid, &raw mut gid) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(PeerCredentials {
        uid,
        gid,
        pid: None,
    })
}
