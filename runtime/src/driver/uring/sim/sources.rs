//! What the simulated kernel's descriptors stand for: streams, listeners and files.
//!
//! The descriptors themselves are real, so that the types which own them are the production ones;
//! the simulation uses no more of them than the number and the identity behind it. A stream's bytes
//! are a function of their place in it, so whoever receives can tell a gap from a repetition.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::mem::ManuallyDrop;
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use super::entry::Room;
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

/// Descriptors given to whoever runs on the simulated kernel.
#[derive(Debug, Default)]
pub(super) struct HandedOut(Vec<(RawFd, Identity)>);

impl HandedOut {
    /// One more; it is the caller's.
    fn hand_out(&mut self) -> RawFd {
        let (near, _far) = UnixStream::pair().expect("a pair of sockets");
        let fd = near.into_raw_fd();
        let socket = identity(fd).expect("an open socket");
        self.0.push((fd, socket));
        fd
    }

    /// How many there were, and how many of them still name what they did. The far end would not
    /// tell: a child that another test starts has a copy of the near one until it runs its program.
    pub(super) fn count(&self) -> (usize, usize) {
        let is_open = |(fd, socket): &&(RawFd, Identity)| identity(*fd) == Some(*socket);
        (self.0.len(), self.0.iter().filter(is_open).count())
    }
}

/// Takes connections.
#[derive(Debug, Default)]
pub(super) struct Listener {
    pub(super) queued: u64,
    pub(super) accepted: HandedOut,
}

impl Listener {
    /// Takes a connection off the queue; the descriptor is the caller's.
    pub(super) fn accept(&mut self) -> RawFd {
        self.queued -= 1;
        self.accepted.hand_out()
    }
}

/// Sends and receives messages. The bytes of each received say which it is, as does the port that it
/// came from.
#[derive(Debug, Default)]
pub(super) struct Letterbox {
    pub(super) name: u64,
    /// Sizes of messages that have arrived, and whether a descriptor is with them.
    pub(super) arrived: VecDeque<(usize, bool)>,
    pub(super) received: u16,
    pub(super) passed: HandedOut,
    pub(super) sent: Vec<Vec<u8>>,
}

/// One message as the kernel hands it out.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) bytes: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) control: Vec<u8>,
    pub(super) flags: i32,
}

/// The bytes of a letterbox's message of this number.
pub(crate) fn letter_at(name: u64, number: u16, len: usize) -> Vec<u8> {
    bytes_at(name, u64::from(number) << 10, len)
}

impl Letterbox {
    /// The next message, as much of it as there is room for; one that is peeked at stays.
    pub(super) fn receive(&mut self, bytes: usize, room: Room, peek: bool) -> Letter {
        let (len, with_fd) = self.arrived[0];
        let mut flags = if len > bytes { libc::MSG_TRUNC } else { 0 };
        let number = self.received;
        let mut control = Vec::new();
        if with_fd && room.control < CONTROL_BYTES {
            flags |= libc::MSG_CTRUNC;
        } else if with_fd {
            // The length, `SOL_SOCKET`, `SCM_RIGHTS`, the descriptor, and padding.
            control.extend(20_usize.to_ne_bytes());
            for field in [1, 1, self.passed.hand_out(), 0] {
                control.extend(field.to_ne_bytes());
            }
        }
        let [high, low] = number.to_be_bytes();
        let mut name = 2_u16.to_ne_bytes().to_vec();
        name.extend([high, low, 127, 0, 0, 1]);
        name.resize(16, 0);
        name.truncate(room.name);
        if !peek {
            self.arrived.pop_front();
            self.received += 1;
        }
        Letter {
            bytes: letter_at(self.name, number, len.min(bytes)),
            name,
            control,
            flags,
        }
    }
}

/// Room that a descriptor in a control message takes.
pub(crate) const CONTROL_BYTES: usize = 24;

/// What a descriptor stands for.
#[derive(Debug)]
pub(super) enum Source {
    Stream(Stream),
    Listener(Listener),
    Letterbox(Letterbox),
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
