//! Unix: `msghdr` and all it points to but the bytes, in one place that does not move.
//!
//! # Invariants
//!
//! 1. A `Head` is made in a box and stays there. The pointers in its `msghdr` lead to its own
//!    fields or to the heap behind them; they are set anew before each call or entry, so a head
//!    that has been moved with its box is sound.
//! 2. The ranges of bytes are the caller's: each function says for how long they must be valid.
//! 3. What the kernel says about lengths is cut to the room it was given before it is believed.
//! 4. Control messages received are decoded once: `take_meta` leaves none. What nobody decodes is
//!    decoded when the head is dropped, which closes descriptors.

#![expect(unsafe_code, reason = "system calls with memory behind pointers")]

use std::fmt;
use std::io::{self, IoSlice};
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

/// What goes or comes with the bytes of a message.
pub(crate) struct Head {
    message: libc::msghdr,
    /// The only range, or the many.
    one: libc::iovec,
    many: Vec<libc::iovec>,
    /// Who it goes to or came from.
    name: SockAddrStorage,
    name_bytes: libc::socklen_t,
    /// Room for control messages, or those that go.
    control: Vec<u8>,
    received: bool,
    /// Named in the control messages; closed when the kernel has taken them.
    _fds: Vec<OwnedFd>,
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
        let name = SockAddrStorage::zeroed();
        let name_bytes = name.size_of();
        Box::new(Self {
            message: empty_message(),
            one: NO_RANGE,
            many: Vec::new(),
            name,
            name_bytes,
            control: vec![0; control_bytes],
            received: false,
            _fds: Vec::new(),
        })
    }

    /// For a send of this by `socket`.
    ///
    /// # Errors
    ///
    /// `Unsupported` for what this system cannot send along.
    pub(crate) fn to_send(attach: Attach, socket: &Socket) -> io::Result<Box<Self>> {
        let control = if attach.is_plain() {
            Vec::new()
        } else {
            fields::encode(&attach, is_v4(&attach, socket))?
        };
        let mut head = Self::to_receive(0);
        head.control = control;
        head.name_bytes = 0;
        if let Some(to) = attach.to {
            head.name_bytes = to.len();
            head.name = to.as_storage();
        }
        head._fds = attach.fds;
        Ok(head)
    }

    /// Points the message at these fields; the ranges are set already.
    fn aim(&mut self, ranges: *mut libc::iovec, count: usize) -> *mut libc::msghdr {
        let message = &mut self.message;
        message.msg_name = ptr::null_mut();
        message.msg_namelen = self.name_bytes;
        if self.name_bytes > 0 {
            message.msg_name = (&raw mut self.name).cast();
        }
        message.msg_iov = ranges;
        set_count(message, count);
        message.msg_control = ptr::null_mut();
        set_control_bytes(message, self.control.len());
        if !self.control.is_empty() {
            message.msg_control = self.control.as_mut_ptr().cast();
        }
        message.msg_flags = 0;
        &raw mut self.message
    }

    /// The message of a call or entry that moves the bytes of one range. Whoever uses the pointer
    /// answers for the range and for this head being alive in its box.
    pub(crate) fn aim_at_one(&mut self, start: *mut u8, len: usize) -> *mut libc::msghdr {
        self.one = libc::iovec {
            iov_base: start.cast(),
            iov_len: len,
        };
        let ranges = &raw mut self.one;
        self.aim(ranges, 1)
    }

    /// As [`aim_at_one`](Self::aim_at_one), of several ranges that are only read.
    pub(crate) fn aim_at_many<'a>(
        &mut self,
        slices: impl Iterator<Item = &'a [u8]>,
    ) -> *mut libc::msghdr {
        self.many.clear();
        self.many.extend(slices.map(|slice| libc::iovec {
            iov_base: slice.as_ptr().cast_mut().cast(),
            iov_len: slice.len(),
        }));
        let (ranges, count) = (self.many.as_mut_ptr(), self.many.len());
        self.aim(ranges, count)
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
        let message = self.aim_at_one(space.as_mut_ptr().cast(), space.len());
        let peek = if peek { libc::MSG_PEEK } else { 0 };
        let flags = RECEIVE_FLAGS | libc::MSG_DONTWAIT | peek;
        // SAFETY: the message leads to the head's own fields (Invariant 1) and to `space`, which is
        // borrowed for the call; the kernel writes only initialised bytes there.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), message, flags) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.received = true;
        Ok(received)
    }

    /// Sends a message, if there is room at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is none.
    pub(crate) fn send(&mut self, socket: &Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let message = self.aim_at_many(slices.iter().map(|slice| &**slice));
        let flags = SEND_FLAGS | libc::MSG_DONTWAIT;
        // SAFETY: the message leads to the head's own fields (Invariant 1) and to the slices, which
        // are borrowed for the call and only read.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), message, flags) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
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
        if named > 0 && named <= self.name_bytes {
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
