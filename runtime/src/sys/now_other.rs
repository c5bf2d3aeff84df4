//! Receives and sends that do not wait, as far as the system can be told so by a flag.
//!
//! # Invariants
//!
//! 1. A receive only ever writes initialised bytes.

#![expect(unsafe_code, reason = "views initialised bytes as bytes to be written")]

use std::io;
use std::mem::MaybeUninit;

use socket2::Socket;

use super::MSG_NOW;

/// Never raise SIGPIPE: the error says it.
#[cfg(target_os = "freebsd")]
const QUIET: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(target_os = "freebsd"))]
const QUIET: i32 = 0;

/// Receives what is there.
///
/// # Errors
///
/// `WouldBlock` where nothing is; else the connection's.
pub(crate) fn recv(socket: &Socket, space: &mut [u8]) -> io::Result<usize> {
    let start = space.as_mut_ptr().cast::<MaybeUninit<u8>>();
    // SAFETY: initialised bytes may be viewed as possibly uninitialised ones (Invariant 1).
    let space = unsafe { std::slice::from_raw_parts_mut(start, space.len()) };
    socket.recv_with_flags(space, MSG_NOW)
}

/// Sends what the system takes at once, and raises no signal.
///
/// # Errors
///
/// `WouldBlock` where it takes nothing now; else the connection's.
pub(crate) fn send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    socket.send_with_flags(bytes, QUIET | MSG_NOW)
}
