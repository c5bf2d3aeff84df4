//! Receives and sends that do not wait.
//!
//! The C library's are points at which a thread may be cancelled, and mark themselves so by two
//! atomic changes to the thread's state each; nobody cancels threads here.
//!
//! # Invariants
//!
//! 1. The kernel writes, or reads, no more than the slice it is given, which outlives the call.

#![expect(unsafe_code, reason = "system calls without the C library's detour")]

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::Socket;

/// Receives what is there.
///
/// # Errors
///
/// `WouldBlock` where nothing is; else the connection's.
#[inline]
pub(crate) fn recv(socket: &Socket, space: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the range is a live slice's (Invariant 1), and no address is asked for.
    let received = unsafe {
        libc::syscall(
            libc::SYS_recvfrom,
            socket.as_raw_fd(),
            space.as_mut_ptr(),
            space.len(),
            libc::MSG_DONTWAIT,
            ptr::null_mut::<u8>(),
            ptr::null_mut::<u8>(),
        )
    };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// Sends what the kernel takes at once, and raises no signal.
///
/// # Errors
///
/// `WouldBlock` where it takes nothing now; else the connection's.
#[inline]
pub(crate) fn send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the range is a live slice's (Invariant 1), and no address is given.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_sendto,
            socket.as_raw_fd(),
            bytes.as_ptr(),
            bytes.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            ptr::null::<u8>(),
            0_usize,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
