//! Windows: a source is a socket; files are never watched, only used from the pool.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::os::windows::io::{AsRawSocket, RawSocket};

use super::AcceptFault;

/// What a driver watches: a socket.
pub type RawSource = RawSocket;

/// Owns something a driver can name: a socket or a file.
pub trait Source: 'static {
    /// What to watch, valid while `self` lives; `None` where this system cannot watch it.
    fn raw(&self) -> Option<RawSource>;
}

impl Source for socket2::Socket {
    fn raw(&self) -> Option<RawSource> {
        Some(self.as_raw_socket())
    }
}

impl Source for File {
    fn raw(&self) -> Option<RawSource> {
        None
    }
}

/// What an operation that was cancelled answers: `ERROR_OPERATION_ABORTED`.
pub(crate) const CANCELED: i32 = 995;
/// What a ring's receive answers when every provided buffer is out: here there is none.
pub(crate) const NO_BUFFERS: i32 = i32::MIN;
/// What an operation that there was no room for answers: `ERROR_NOT_ENOUGH_QUOTA`.
pub(crate) const AGAIN: i32 = 1816;

/// What an operation that this system does not know answers: `ERROR_NOT_SUPPORTED`.
pub(crate) const UNSUPPORTED: i32 = 50;
/// What stands for an error that has no number: `ERROR_IO_DEVICE`.
pub(crate) const IO: i32 = 1117;

/// For a receive or a send that must not wait: here the socket itself does not block.
pub(crate) const MSG_NOW: i32 = 0;

/// A read at an offset; unlike on Unix it moves the file's cursor, which nothing here uses.
pub(crate) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buf, offset)
}

/// A write at an offset; see [`read_at`].
pub(crate) fn write_at(file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(buf, offset)
}

/// What people call a source.
pub(crate) fn describe(source: RawSource) -> String {
    format!("socket {source}")
}

/// What an error of accepting is about.
#[must_use]
pub fn accept_fault(error: &io::Error) -> AcceptFault {
    match error.raw_os_error() {
        // WSAEINTR, WSAENETDOWN, WSAECONNABORTED, WSAECONNRESET.
        Some(10004 | 10050 | 10053 | 10054) => AcceptFault::Connection,
        // WSAEMFILE, WSAENOBUFS, and no room for the operation.
        Some(10024 | 10055 | AGAIN) => AcceptFault::Shortage,
        _ => AcceptFault::Listener,
    }
}
