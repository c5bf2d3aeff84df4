//! What the simulated kernel's descriptors stand for: streams, listeners and files.
//!
//! The descriptors themselves are real, so that the types which own them are the production ones;
//! the simulation uses no more of them than the number and the identity behind it. A stream's bytes
//! are a function of their place in it, so whoever receives can tell a gap from a repetition.

use std::fs::{self, File};
use std::mem::ManuallyDrop;
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use crate::sys::linux;

/// The byte at this place of a stream or file.
pub(crate) fn byte_at(name: u64, place: u64) -> u8 {
    let mixed = (place ^ (name << 40)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed.to_le_bytes()[6]
}

/// So many bytes from this place on.
pub(crate) fn bytes_at(name: u64, place: u64, len: usize) -> Vec<u8> {
    (place..).take(len).map(|at| byte_at(name, at)).collect()
}

/// One end of a connection.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) name: u64,
    /// Bytes that have arrived, and how many of them were received.
    pub(super) arrived: u64,
    pub(super) received: u64,
    pub(super) ended: bool,
    pub(super) reset: bool,
    pub(super) sent: Vec<u8>,
}

impl Stream {
    pub(super) fn waiting(&self) -> usize {
        usize::try_from(self.arrived - self.received).expect("few bytes")
    }

    pub(super) fn receive(&mut self, len: usize) -> Vec<u8> {
        let bytes = bytes_at(self.name, self.received, len);
        self.received += len as u64;
        bytes
    }
}

/// Takes connections.
#[derive(Debug, Default)]
pub(super) struct Listener {
    pub(super) queued: u64,
    handed_out: Vec<(RawFd, Identity)>,
    pub(super) accepted: usize,
}

impl Listener {
    /// Takes a connection off the queue; the descriptor is the caller's.
    pub(super) fn accept(&mut self) -> RawFd {
        let (near, _far) = UnixStream::pair().expect("a pair of sockets");
        let fd = near.into_raw_fd();
        let socket = identity(fd).expect("an open socket");
        self.queued -= 1;
        self.accepted += 1;
        self.handed_out.push((fd, socket));
        fd
    }

    /// Connections handed out whose descriptor still names them. The far end would not tell: a
    /// child that another test starts has a copy of the near one until it runs its program.
    pub(super) fn open(&self) -> usize {
        let is_open = |(fd, socket): &&(RawFd, Identity)| identity(*fd) == Some(*socket);
        self.handed_out.iter().filter(is_open).count()
    }
}

/// What a descriptor stands for.
#[derive(Debug)]
pub(super) enum Source {
    Stream(Stream),
    Listener(Listener),
    /// A file that holds `byte_at(name, …)` everywhere, as long as this.
    File {
        name: u64,
        len: u64,
    },
}

/// A file's device and inode.
pub(super) type Identity = (u64, u64);

/// Which file a descriptor names now. `None` if it is closed.
pub(super) fn identity(fd: RawFd) -> Option<Identity> {
    // Looked at and never closed here, so its owner keeps it.
    let file = ManuallyDrop::new(File::from(linux::own_fd(fd)));
    let meta = file.metadata().ok()?;
    Some((meta.dev(), meta.ino()))
}

/// How much has been added to an eventfd since it was last read; zero for any other descriptor.
pub(super) fn eventfd_count(fd: RawFd) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("eventfd-count:"))
        .and_then(|count| u64::from_str_radix(count.trim(), 16).ok())
        .unwrap_or(0)
}
