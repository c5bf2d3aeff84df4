//! Other Unix systems: descriptors are passed; the rest of what Linux says with a message is not
//! asked for.
//!
//! # Invariants
//!
//! 1. `data` of `SCM_RIGHTS` comes from a message that the kernel has just received, and each such
//!    message is decoded once: its descriptors are new and nobody else's. Upheld by [`Head`].
//!
//! [`Head`]: super::Head

#![expect(unsafe_code, reason = "takes over descriptors")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use libc::c_int;
use socket2::Socket;

use super::control::{int, push};
use super::{Attach, Meta, Report, unsupported};

/// Writes what `attach` asks for.
pub(super) fn encode(attach: &Attach, _v4: bool) -> io::Result<Vec<u8>> {
    if attach.segment_bytes.is_some() {
        return unsupported("cut a buffer into datagrams");
    }
    if attach.traffic_class.is_some() || attach.source.is_some() || attach.interface.is_some() {
        return unsupported("choose the class or the source of one datagram");
    }
    let mut control = Vec::new();
    if !attach.fds.is_empty() {
        let data: Vec<u8> = attach
            .fds
            .iter()
            .flat_map(|fd| fd.as_raw_fd().to_ne_bytes())
            .collect();
        push(&mut control, libc::SOL_SOCKET, libc::SCM_RIGHTS, &data);
    }
    Ok(control)
}

/// Notes in `meta` what one control message says.
pub(super) fn decode(level: c_int, kind: c_int, data: &[u8], meta: &mut Meta) {
    if (level, kind) != (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
        return;
    }
    for fd in data.chunks_exact(size_of::<c_int>()) {
        let fd = int(fd, 0).expect("chunks are of that size");
        // SAFETY: a descriptor that the kernel has opened for this message (Invariant 1).
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // Where a receive cannot ask for it, it is done here, a moment later. It fails for no open
        // descriptor.
        // SAFETY: the call sets a flag of an open descriptor, which the line above owns.
        let _set = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
        meta.fds.push(fd);
    }
}

/// See [`super::set_report`].
pub(super) fn set_report(_socket: &Socket, _report: Report, _on: bool) -> io::Result<()> {
    unsupported("say more about a message than its sender")
}
