//! Unix: a source is a file descriptor.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

use super::AcceptFault;

/// What a driver watches or names in an entry: a file descriptor.
pub type RawSource = RawFd;

/// Owns something a driver can name: a socket or a file.
pub trait Source: 'static {
    /// What to watch, valid while `self` lives; `None` where this system cannot watch it.
    fn raw(&self) -> Option<RawSource>;
}

impl<T: AsFd + 'static> Source for T {
    fn raw(&self) -> Option<RawSource> {
        Some(self.as_fd().as_raw_fd())
    }
}

/// What an operation that was cancelled answers.
pub(crate) const CANCELED: i32 = libc::ECANCELED;
/// What a ring's receive answers when every provided buffer is out.
#[cfg(target_os = "linux")]
pub(crate) const NO_BUFFERS: i32 = libc::ENOBUFS;
/// Here no ring answers, and the number is about something else.
#[cfg(not(target_os = "linux"))]
pub(crate) const NO_BUFFERS: i32 = i32::MIN;
/// What an operation that there was no room for answers.
pub(crate) const AGAIN: i32 = libc::EAGAIN;
/// What an operation that this system does not know answers.
pub(crate) const UNSUPPORTED: i32 = libc::EOPNOTSUPP;
/// What stands for an error that has no number.
pub(crate) const IO: i32 = libc::EIO;

/// For a receive or a send that must not wait, whatever the socket's own mode.
pub(crate) const MSG_NOW: i32 = libc::MSG_DONTWAIT;

/// `pread(2)`; of what has no offsets, as a pipe or a terminal, what comes next.
pub(crate) fn read_at(mut file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    match file.read_at(buf, offset) {
        Err(error) if error.kind() == io::ErrorKind::NotSeekable => io::Read::read(&mut file, buf),
        answer => answer,
    }
}

/// `pwrite(2)`; to what has no offsets, as a pipe or a terminal, what comes next.
pub(crate) fn write_at(mut file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    match file.write_at(buf, offset) {
        Err(error) if error.kind() == io::ErrorKind::NotSeekable => {
            io::Write::write(&mut file, buf)
        }
        answer => answer,
    }
}

/// What people call a source.
pub(crate) fn describe(source: RawSource) -> String {
    format!("fd {source}")
}

/// What an error of accepting is about. Linux gives errors of the network that wait on the new
/// connection; they say nothing about the listener.
#[must_use]
pub fn accept_fault(error: &io::Error) -> AcceptFault {
    match error.raw_os_error() {
        Some(
            libc::ECONNABORTED
            | libc::ECONNRESET
            | libc::EINTR
            | libc::EPROTO
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::ENETDOWN,
        ) => AcceptFault::Connection,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN) => {
            AcceptFault::Shortage
        }
        #[cfg(target_os = "linux")]
        Some(libc::ENONET) => AcceptFault::Connection,
        _ => AcceptFault::Listener,
    }
}
