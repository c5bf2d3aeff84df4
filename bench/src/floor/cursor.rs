//! Receiving straight into the buffer that hyper lends: the shortest way that bytes can take to it.
//!
//! # Invariants
//!
//! 1. What a buffer has had initialised stays so: a receive writes bytes and nothing else.
//! 2. A cursor is advanced over bytes that the kernel says it has written, and over no others.

#![expect(unsafe_code, reason = "hyper's buffers are not initialised")]

use std::io;
use std::os::fd::AsFd;

use hyper::rt::ReadBufCursor;
use rustix::net::{RecvFlags, recv};

/// Receives without waiting what there is room for; the number of bytes, and whether the room was
/// filled.
///
/// # Errors
///
/// As `recv(2)`.
pub fn receive(socket: impl AsFd, space: &mut ReadBufCursor<'_>) -> io::Result<(usize, bool)> {
    let room = space.remaining();
    // SAFETY: `recv` only writes to what it is given (Invariant 1).
    let unfilled = unsafe { space.as_mut() };
    let ((filled, _rest), _length) = recv(socket, unfilled, RecvFlags::DONTWAIT)?;
    let received = filled.len();
    // SAFETY: `filled` is the part that the kernel has written (Invariant 2).
    unsafe { space.advance(received) };
    Ok((received, received == room))
}
