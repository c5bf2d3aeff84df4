//! What an entry asks for, read from its 64 bytes as a kernel reads them.
//!
//! # Invariants
//!
//! 1. [`Fields`] has the size and the layout of the kernel's `struct io_uring_sqe` in its plain
//!    form, and every pattern of bits is a value of it.
//! 2. The header that an entry of a message names, and the list that the header names, are in place
//!    when the entry is queued: upheld by the payload, which has just made them.

#![expect(unsafe_code, reason = "reads the fields of an entry")]

use std::ptr;

use io_uring::opcode;

use super::sources::{Identity, identity};
use crate::driver::Sqe;

/// `struct io_uring_sqe`, each union by the member that the opcodes here use.
#[repr(C)]
#[derive(Clone, Copy)]
struct Fields {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: i32,
    offset: u64,
    address: u64,
    len: u32,
    op_flags: u32,
    user_data: u64,
    group: u16,
    personality: u16,
    file_index: i32,
    address_3: u64,
    unused: u64,
}

const _: () = assert!(size_of::<Fields>() == size_of::<io_uring::squeue::Entry>());

/// `IORING_ACCEPT_MULTISHOT`, `IORING_RECV_MULTISHOT` and `IORING_POLL_ADD_MULTI`.
const ACCEPT_MULTISHOT: u16 = 1;
const RECV_MULTISHOT: u16 = 1 << 1;
const POLL_MULTISHOT: u32 = 1;
/// `IORING_ASYNC_CANCEL_ALL`, `_FD` and `_ANY`.
const CANCEL_ALL: u32 = 1;
const CANCEL_FD: u32 = 1 << 1;
const CANCEL_ANY: u32 = 1 << 2;

/// Memory that an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: usize,
    pub(super) len: usize,
    /// Whether the kernel writes there (else it reads).
    pub(super) written: bool,
}

impl Range {
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.start < other.start + other.len && other.start < self.start + self.len
    }
}

/// Which requests a cancel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    UserData(u64),
    Fd(i32),
    Any,
}

/// The room that a header of a receive says there is; for bytes none where they go into a provided
/// buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) bytes: usize,
    pub(super) name: usize,
    pub(super) control: usize,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Nop,
    Poll {
        fd: i32,
        events: u32,
        multi: bool,
    },
    Accept {
        fd: i32,
        multi: bool,
    },
    Connect {
        fd: i32,
        address: Range,
    },
    Recv {
        fd: i32,
        into: Range,
    },
    RecvMulti {
        fd: i32,
        group: u16,
    },
    Send {
        fd: i32,
        from: Range,
    },
    SendZc {
        fd: i32,
        from: Range,
    },
    /// What follows the first completion of a zero-copy send: its memory is still read.
    Notify {
        fd: i32,
        from: Range,
    },
    /// Reads so many parts, then the header, the list, the name and the control messages.
    SendMsg {
        fd: i32,
        parts: usize,
    },
    /// Writes the bytes, the name and the control messages, of which there is so much room, and
    /// then the header.
    RecvMsg {
        fd: i32,
        peek: bool,
        room: Room,
    },
    /// Writes them into a provided buffer.
    RecvMsgMulti {
        fd: i32,
        group: u16,
        room: Room,
    },
    /// From a file to a pipe.
    Splice {
        fd: i32,
        to: i32,
        to_file: Option<Identity>,
        offset: u64,
        len: usize,
    },
    Read {
        fd: i32,
        into: Range,
        offset: u64,
    },
    Write {
        fd: i32,
        from: Range,
        offset: u64,
    },
    Fsync {
        fd: i32,
    },
    Truncate {
        fd: i32,
        len: u64,
    },
    Cancel {
        target: Target,
        all: bool,
    },
    Message {
        ring: i32,
        result: i32,
        user_data: u64,
    },
    /// The answer to a cancel or a message, on its way.
    Answer(i32),
}

impl Request {
    /// The memory it names, unless a header says it.
    fn range(self) -> Option<Range> {
        match self {
            Self::Connect { address: range, .. }
            | Self::Recv { into: range, .. }
            | Self::Send { from: range, .. }
            | Self::SendZc { from: range, .. }
            | Self::Notify { from: range, .. }
            | Self::Read { into: range, .. }
            | Self::Write { from: range, .. } => Some(range),
            _ => None,
        }
    }

    /// The file it acts on.
    pub(super) fn fd(self) -> Option<i32> {
        match self {
            Self::Poll { fd, .. }
            | Self::Accept { fd, .. }
            | Self::Connect { fd, .. }
            | Self::Recv { fd, .. }
            | Self::RecvMulti { fd, .. }
            | Self::Send { fd, .. }
            | Self::SendZc { fd, .. }
            | Self::Notify { fd, .. }
            | Self::SendMsg { fd, .. }
            | Self::RecvMsg { fd, .. }
            | Self::RecvMsgMulti { fd, .. }
            | Self::Splice { fd, .. }
            | Self::Read { fd, .. }
            | Self::Write { fd, .. }
            | Self::Fsync { fd }
            | Self::Truncate { fd, .. } => Some(fd),
            Self::Nop | Self::Cancel { .. } | Self::Message { .. } | Self::Answer(_) => None,
        }
    }
}

fn fields(sqe: &Sqe) -> Fields {
    let fields = (&raw const sqe.0).cast::<Fields>();
    // SAFETY: the entry is borrowed, has this size and layout, and was zeroed before it was filled,
    // so every byte is initialised (Invariant 1; the io-uring crate makes entries so).
    unsafe { fields.read_unaligned() }
}

/// Whom a cancel is for.
fn target(entry: &Fields) -> Target {
    if entry.op_flags & CANCEL_ANY != 0 {
        Target::Any
    } else if entry.op_flags & CANCEL_FD != 0 {
        Target::Fd(entry.fd)
    } else {
        Target::UserData(entry.address)
    }
}

/// The header that an entry names, and the ranges of its list.
fn message(entry: &Fields) -> (libc::msghdr, Vec<libc::iovec>) {
    let header = usize::try_from(entry.address).expect("an address");
    let header = ptr::with_exposed_provenance::<libc::msghdr>(header);
    // SAFETY: the header is in place (Invariant 2).
    let header = unsafe { header.read() };
    let (count, _) = lengths(&header);
    let list = (0..count).map(|place| {
        let range = header.msg_iov.wrapping_add(place);
        // SAFETY: the list is in place and as long as the header says (Invariant 2).
        unsafe { range.read() }
    });
    let list = list.collect();
    (header, list)
}

/// How many ranges a header's list has, and the bytes of its control data.
#[expect(
    clippy::unnecessary_cast,
    reason = "the fields' types differ, and are never wider"
)]
fn lengths(header: &libc::msghdr) -> (usize, usize) {
    (header.msg_iovlen as usize, header.msg_controllen as usize)
}

fn range_at<T>(start: *const T, len: usize, written: bool) -> Range {
    let start = start.expose_provenance();
    Range {
        start: if len == 0 { 0 } else { start },
        len,
        written,
    }
}

/// What a header of a send or a receive leads to, in the order that [`Request`] has.
fn ranges_of(entry: &Fields, received: bool) -> Vec<Range> {
    let (header, list) = message(entry);
    let name = range_at(header.msg_name, header.msg_namelen as usize, received);
    let control = range_at(header.msg_control, lengths(&header).1, received);
    let own = Range {
        start: usize::try_from(entry.address).expect("an address"),
        len: size_of::<libc::msghdr>(),
        written: false,
    };
    let bytes = list.len() * size_of::<libc::iovec>();
    let of_list = range_at(header.msg_iov, bytes, false);
    let parts = list
        .iter()
        .map(|part| range_at(part.iov_base, part.iov_len, received));
    if received {
        return parts.chain([name, control, own, of_list]).collect();
    }
    parts.chain([own, of_list, name, control]).collect()
}

/// A request on a message, and the memory it leads to.
fn read_message(entry: &Fields) -> (Request, Vec<Range>) {
    let fd = entry.fd;
    let (header, list) = message(entry);
    let room = Room {
        bytes: list.iter().map(|part| part.iov_len).sum(),
        name: header.msg_namelen as usize,
        control: lengths(&header).1,
    };
    if entry.opcode == opcode::SendMsg::CODE {
        let parts = list.len();
        return (Request::SendMsg { fd, parts }, ranges_of(entry, false));
    }
    if entry.ioprio & RECV_MULTISHOT == 0 {
        let peek = entry.op_flags & libc::MSG_PEEK.cast_unsigned() != 0;
        let request = Request::RecvMsg { fd, peek, room };
        return (request, ranges_of(entry, true));
    }
    let header = Range {
        start: usize::try_from(entry.address).expect("an address"),
        len: size_of::<libc::msghdr>(),
        written: false,
    };
    let group = entry.group;
    (Request::RecvMsgMulti { fd, group, room }, vec![header])
}

/// The name and the request of an entry, and the memory it names.
pub(super) fn read(sqe: &Sqe) -> (u64, Request, Vec<Range>) {
    let entry = fields(sqe);
    let (request, ranges) = match entry.opcode {
        opcode::SendMsg::CODE | opcode::RecvMsg::CODE => read_message(&entry),
        _ => {
            let request = read_plain(&entry);
            (request, request.range().into_iter().collect())
        }
    };
    (entry.user_data, request, ranges)
}

fn splice(entry: &Fields) -> Request {
    Request::Splice {
        fd: entry.file_index,
        to: entry.fd,
        to_file: identity(entry.fd),
        offset: entry.address,
        len: entry.len as usize,
    }
}

/// A request that names its memory itself.
///
/// # Panics
///
/// On an opcode that no driver uses.
fn read_plain(entry: &Fields) -> Request {
    let fd = entry.fd;
    let range = |written| Range {
        start: usize::try_from(entry.address).expect("an address"),
        len: entry.len as usize,
        written,
    };
    match entry.opcode {
        opcode::Nop::CODE => Request::Nop,
        opcode::PollAdd::CODE => Request::Poll {
            fd,
            events: entry.op_flags,
            multi: entry.len & POLL_MULTISHOT != 0,
        },
        opcode::Accept::CODE => Request::Accept {
            fd,
            multi: entry.ioprio & ACCEPT_MULTISHOT != 0,
        },
        opcode::Connect::CODE => Request::Connect {
            fd,
            address: Range {
                len: usize::try_from(entry.offset).expect("a length"),
                ..range(false)
            },
        },
        opcode::Recv::CODE if entry.ioprio & RECV_MULTISHOT != 0 => Request::RecvMulti {
            fd,
            group: entry.group,
        },
        opcode::Recv::CODE => Request::Recv {
            fd,
            into: range(true),
        },
        opcode::Send::CODE => Request::Send {
            fd,
            from: range(false),
        },
        opcode::SendZc::CODE => Request::SendZc {
            fd,
            from: range(false),
        },
        opcode::Read::CODE => Request::Read {
            fd,
            into: range(true),
            offset: entry.offset,
        },
        opcode::Write::CODE => Request::Write {
            fd,
            from: range(false),
            offset: entry.offset,
        },
        opcode::Fsync::CODE => Request::Fsync { fd },
        opcode::Ftruncate::CODE => Request::Truncate {
            fd,
            len: entry.offset,
        },
        opcode::AsyncCancel::CODE => Request::Cancel {
            target: target(entry),
            all: entry.op_flags & CANCEL_ALL != 0,
        },
        opcode::MsgRingData::CODE => Request::Message {
            ring: fd,
            result: entry.len.cast_signed(),
            user_data: entry.offset,
        },
        opcode::Splice::CODE => splice(entry),
        other => panic!("no driver uses opcode {other}"),
    }
}
