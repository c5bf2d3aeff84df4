//! Unix: `msghdr` and all it points to but the bytes, in one place that does not move.
//!
//! # Invariants
//!
//! 1. The pointers in the `msghdr` of a `Head`, which is made in a box and stays there, lead to its
//!    own fields or to the heap behind them, and those of an `Outgoing` to the heap behind it alone.
//!    They are set anew before each call or entry, so what has been moved since the last is sound.
//! 2. The ranges of bytes are the caller's: each function says for how long they must be valid.
//! 3. What the kernel says about lengths is cut to the room it was given before it is believed.
//! 4. Control messages received are decoded once: `take_meta` leaves none. What nobody decodes is
//!    decoded when the head is dropped, which closes descriptors.

#![expect(unsafe_code, reason = "system calls with memory behind pointers")]

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use libc::c_int;
use socket2::{SockAddr, SockAddrStorage, Socket};

use super::{Attach, Meta, control, fields};

/// Never raise SIGPIPE: the error says it.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
const SEND_FLAGS: c_int = 0;

/// Descriptors that arrive are closed on exec.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub(crate) const RECEIVE_FLAGS: c_int = libc::MSG_CMSG_CLOEXEC;
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
const RECEIVE_FLAGS: c_int = 0;

/// What comes with the bytes of a message.
pub(crate) struct Head {
    message: libc::msghdr,
    range: libc::iovec,
    /// Who it came from.
    name: SockAddrStorage,
    /// Room for control messages.
    control: Vec<u8>,
    received: bool,
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("control_bytes", &self.control.len())
            .finish_non_exhaustive()
    }
}

const NO_RANGE: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

pub(super) fn empty_message() -> libc::msghdr {
    // SAFETY: integers and null pointers: zeroes are a value of it.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

impl Head {
    /// For a receive, with so much room for control messages.
    pub(crate) fn to_receive(control_bytes: usize) -> Box<Self> {
        Box::new(Self {
            message: empty_message(),
            range: NO_RANGE,
            name: SockAddrStorage::zeroed(),
            control: vec![0; control_bytes],
            received: false,
        })
    }

    /// The message of a call or entry that fills this range. Whoever uses the pointer answers for
    /// the range and for this head being alive in its box.
    pub(crate) fn aim(&mut self, start: *mut u8, len: usize) -> *mut libc::msghdr {
        self.range = libc::iovec {
            iov_base: start.cast(),
            iov_len: len,
        };
        let message = &mut self.message;
        message.msg_name = (&raw mut self.name).cast();
        message.msg_namelen = self.name.size_of();
        message.msg_iov = &raw mut self.range;
        set_count(message, 1);
        set_control(message, &mut self.control);
        message.msg_flags = 0;
        &raw mut self.message
    }

    /// Says that a receive into this head has succeeded.
    pub(crate) fn set_received(&mut self) {
        self.received = true;
    }

    /// Receives a message that is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where none is.
    pub(crate) fn receive(
        &mut self,
        socket: &Socket,
        space: &mut [MaybeUninit<u8>],
        peek: bool,
    ) -> io::Result<usize> {
        let message = self.aim(space.as_mut_ptr().cast(), space.len());
        let peek = if peek { libc::MSG_PEEK } else { 0 };
        let flags = RECEIVE_FLAGS | libc::MSG_DONTWAIT | peek;
        // SAFETY: the message leads to the head's own fields (Invariant 1) and to `space`, which is
        // borrowed for the call; the kernel writes only initialised bytes there.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), message, flags) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.received = true;
        Ok(received)
    }

    /// What came with the message. The second time there is nothing.
    pub(crate) fn take_meta(&mut self) -> Meta {
        let mut meta = Meta::default();
        if !std::mem::replace(&mut self.received, false) {
            return meta;
        }
        let flags = self.message.msg_flags;
        meta.truncated = flags & libc::MSG_TRUNC != 0;
        meta.control_truncated = flags & libc::MSG_CTRUNC != 0;
        let named = self.message.msg_namelen;
        if named > 0 && named <= self.name.size_of() {
            let name = std::mem::replace(&mut self.name, SockAddrStorage::zeroed());
            // SAFETY: the kernel has written an address of so many bytes there, which is no more
            // than there is (Invariant 3).
            let name = unsafe { SockAddr::new(name, named) };
            meta.source = is_named(&name).then_some(name);
        }
        let control = control_bytes(&self.message).min(self.control.len());
        control::for_each(&self.control[..control], |level, kind, data| {
            fields::decode(level, kind, data, &mut meta);
        });
        meta
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        // Closes descriptors that nobody has taken (Invariant 4).
        drop(self.take_meta());
    }
}

/// What goes besides the bytes, and once it is aimed, the list of their ranges.
#[derive(Default)]
pub(crate) struct Outgoing {
    aimed: Option<Box<Aimed>>,
    attached: Option<Box<Attached>>,
}

/// Ranges that need no list of their own.
const FEW: usize = 4;

/// A message, and the ranges that it leads to.
struct Aimed {
    message: libc::msghdr,
    few: [libc::iovec; FEW],
    /// All of them, where they are more.
    many: Vec<libc::iovec>,
}

impl Aimed {
    fn new() -> Self {
        Self {
            message: empty_message(),
            few: [NO_RANGE; FEW],
            many: Vec::new(),
        }
    }

    /// Lists the parts that `show` shows, and has the message lead there.
    fn list<'a>(&mut self, show: impl FnOnce(&mut dyn FnMut(&'a [u8]))) {
        let Self {
            message, few, many, ..
        } = self;
        let mut count = 0;
        many.clear();
        show(&mut |part| {
            let range = libc::iovec {
                iov_base: part.as_ptr().cast_mut().cast(),
                iov_len: part.len(),
            };
            if count < FEW {
                few[count] = range;
            } else {
                if count == FEW {
                    many.extend_from_slice(few);
                }
                many.push(range);
            }
            count += 1;
        });
        if count == 0 {
            // Some systems have no message without a range.
            few[0] = NO_RANGE;
        }
        let ranges = if count > FEW {
            many.as_mut_slice()
        } else {
            few
        };
        message.msg_iov = ranges.as_mut_ptr();
        set_count(message, count.max(1));
    }
}

/// What few sends have.
struct Attached {
    name: SockAddrStorage,
    name_bytes: libc::socklen_t,
    control: Vec<u8>,
    /// Named in the control messages; closed when the kernel has taken them.
    _fds: Vec<OwnedFd>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("attached", &self.attached.is_some())
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    /// With this, by `socket`.
    ///
    /// # Errors
    ///
    /// `Unsupported` for what this system cannot send along.
    pub(crate) fn with(attach: Attach, socket: &Socket) -> io::Result<Self> {
        let mut outgoing = Self::default();
        let is_plain = attach.is_plain();
        if is_plain && attach.to.is_none() {
            return Ok(outgoing);
        }
        let control = if is_plain {
            Vec::new()
        } else {
            fields::encode(&attach, is_v4(&attach, socket))?
        };
        let (name, name_bytes) = match attach.to {
            Some(to) => {
                let bytes = to.len();
                (to.as_storage(), bytes)
            }
            None => (SockAddrStorage::zeroed(), 0),
        };
        outgoing.attached = Some(Box::new(Attached {
            name,
            name_bytes,
            control,
            _fds: attach.fds,
        }));
        Ok(outgoing)
    }

    /// The message of a call or entry that sends the parts that `show` shows. Whoever uses the
    /// pointer answers for the parts, and for this being alive and where it is.
    pub(crate) fn aim<'a>(
        &mut self,
        show: impl FnOnce(&mut dyn FnMut(&'a [u8])),
    ) -> *const libc::msghdr {
        let aimed = self.aimed.get_or_insert_with(|| Box::new(Aimed::new()));
        aimed.list(show);
        let message = &mut aimed.message;
        if let Some(attached) = &mut self.attached {
            if attached.name_bytes > 0 {
                message.msg_name = (&raw mut attached.name).cast();
                message.msg_namelen = attached.name_bytes;
            }
            set_control(message, &mut attached.control);
        }
        &raw const *message
    }

    /// Sends the parts that `show` shows, if there is room at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is none.
    pub(crate) fn send<'a>(
        &mut self,
        socket: &Socket,
        show: impl FnOnce(&mut dyn FnMut(&'a [u8])),
    ) -> io::Result<usize> {
        let message = self.aim(show);
        let flags = SEND_FLAGS | libc::MSG_DONTWAIT;
        // SAFETY: the message leads to the fields behind this (Invariant 1) and to the parts, which
        // are borrowed for longer than the call and only read.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), message, flags) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Whether packets of IPv4 are sent: to its addresses, also by a socket of IPv6.
fn is_v4(attach: &Attach, socket: &Socket) -> bool {
    let to = attach.to.as_ref().and_then(SockAddr::as_socket);
    let peer = || socket.peer_addr().ok()?.as_socket();
    let own = || socket.local_addr().ok()?.as_socket();
    match to.or_else(peer).or_else(own).map(|address| address.ip()) {
        Some(IpAddr::V4(_)) => true,
        Some(IpAddr::V6(address)) => address.to_ipv4_mapped().is_some(),
        None => false,
    }
}

/// Whether a sender's address says anything: that of a local socket without a name does not.
fn is_named(name: &SockAddr) -> bool {
    !name.is_unix() || !name.is_unnamed()
}

/// Sets the number of ranges, whose type is the system's affair.
#[expect(clippy::useless_conversion, reason = "the field's type differs")]
fn set_count(message: &mut libc::msghdr, count: usize) {
    message.msg_iovlen = count.try_into().expect("few ranges");
}

fn set_control(message: &mut libc::msghdr, control: &mut [u8]) {
    message.msg_control = ptr::null_mut();
    if !control.is_empty() {
        message.msg_control = control.as_mut_ptr().cast();
    }
    set_control_bytes(message, control.len());
}

#[expect(clippy::useless_conversion, reason = "the field's type differs")]
pub(super) fn set_control_bytes(message: &mut libc::msghdr, bytes: usize) {
    message.msg_controllen = bytes.try_into().expect("little control data");
}

#[expect(
    clippy::unnecessary_cast,
    reason = "the field's type differs, and is never wider"
)]
fn control_bytes(message: &libc::msghdr) -> usize {
    message.msg_controllen as usize
}
