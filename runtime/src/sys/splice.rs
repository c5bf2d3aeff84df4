//! Linux's `splice(2)`, and the pipes between its two halves.
//!
//! Whether a socket makes a splice wait is a matter of its open file's `O_NONBLOCK` and of nothing
//! else; and a peer that is gone raises `SIGPIPE`, which no flag of the call prevents. So a call
//! that must do neither sets the one and holds back the other while it lasts: two short system
//! calls each, for as much as a pipe holds.
//!
//! # Invariants
//!
//! 1. Descriptors are borrowed, so they are open for as long as a call lasts.

#![expect(unsafe_code, reason = "calls that neither std nor socket2 offers")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;

/// What a pipe is asked to hold: with more nothing is faster, with less some is slower (`docs/decisions/0013`). A user may
/// have so many pages in pipes (64 MiB by default) and gets small ones beyond that.
const PIPE_BYTES: usize = 512 * 1024;

/// A pipe to splice through, and how much lies in it.
#[derive(Debug)]
pub(crate) struct Pipe {
    reader: OwnedFd,
    writer: Arc<OwnedFd>,
    bytes: usize,
    bytes_max: usize,
}

impl Pipe {
    /// A pipe as large as may be had, up to [`PIPE_BYTES`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
        let wanted = libc::c_int::try_from(PIPE_BYTES).expect("a small number");
        // SAFETY: the call sets the size of a pipe of ours (Invariant 1).
        let set = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, wanted) };
        // Refused to those who have too many: it stays as it was made.
        let bytes_max = usize::try_from(set).unwrap_or(64 * 1024);
        Ok(Self {
            reader,
            writer: Arc::new(writer),
            bytes: 0,
            bytes_max,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(crate) fn writer(&self) -> &Arc<OwnedFd> {
        &self.writer
    }

    /// Notes what was put in by [`writer`](Self::writer).
    pub(crate) fn filled(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Moves what a socket has received into the pipe. None at the end of the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is nothing now, or the pipe has no room; else the socket's.
    pub(crate) fn fill(&mut self, socket: BorrowedFd<'_>, blocking: bool) -> io::Result<usize> {
        let _guard = NoWait::of(socket, blocking)?;
        let moved = splice(socket, None, self.writer.as_fd(), self.bytes_max)?;
        self.bytes += moved;
        Ok(moved)
    }

    /// Moves what lies in the pipe to a socket; says how much.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where the socket has no room; else the socket's.
    pub(crate) fn drain(&mut self, socket: BorrowedFd<'_>, blocking: bool) -> io::Result<usize> {
        let _guard = NoWait::of(socket, blocking)?;
        let _quiet = NoSigpipe::new();
        let moved = splice(self.reader.as_fd(), None, socket, self.bytes)?;
        self.bytes -= moved.min(self.bytes);
        Ok(moved)
    }
}

/// `splice(2)`, without a wait for the pipe.
///
/// # Errors
///
/// The system's.
pub(crate) fn splice(
    from: BorrowedFd<'_>,
    offset: Option<u64>,
    to: BorrowedFd<'_>,
    bytes: usize,
) -> io::Result<usize> {
    let mut offset = offset.map(|at| libc::loff_t::try_from(at).unwrap_or(libc::loff_t::MAX));
    let place = offset.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    // SAFETY: the descriptors are open (Invariant 1), and the offset is a local that outlives the
    // call.
    let moved = unsafe {
        libc::splice(
            from.as_raw_fd(),
            place,
            to.as_raw_fd(),
            ptr::null_mut(),
            bytes,
            flags,
        )
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// While it lives, a socket that blocks does not. Its shard does nothing else meanwhile.
struct NoWait<'a>(Option<BorrowedFd<'a>>);

impl<'a> NoWait<'a> {
    fn of(socket: BorrowedFd<'a>, blocking: bool) -> io::Result<Self> {
        if !blocking {
            return Ok(Self(None));
        }
        set_waiting(socket, false)?;
        Ok(Self(Some(socket)))
    }
}

impl Drop for NoWait<'_> {
    fn drop(&mut self) {
        if let Some(socket) = self.0 {
            // What could be set can be set back.
            let _set = set_waiting(socket, true);
        }
    }
}

fn set_waiting(socket: BorrowedFd<'_>, waits: bool) -> io::Result<()> {
    let mut on = libc::c_int::from(!waits);
    // SAFETY: the descriptor is open (Invariant 1), and the call reads a local.
    let set = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONBIO, &raw mut on) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// While it lives, `SIGPIPE` does not reach this thread; one that came meanwhile is taken back.
struct NoSigpipe {
    before: libc::sigset_t,
    was_pending: bool,
}

fn sigpipe() -> libc::sigset_t {
    // SAFETY: a set of zeroes is a valid one.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: the set is a local, and the number is a signal's.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGPIPE) };
    set
}

fn is_pending() -> bool {
    // SAFETY: a set of zeroes is a valid one.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: the set is a local, which the call fills.
    unsafe { libc::sigpending(&raw mut set) };
    // SAFETY: the set is a local, and the number is a signal's.
    unsafe { libc::sigismember(&raw const set, libc::SIGPIPE) == 1 }
}

impl NoSigpipe {
    fn new() -> Self {
        let set = sigpipe();
        // SAFETY: a set of zeroes is a valid one.
        let mut before = unsafe { std::mem::zeroed() };
        // SAFETY: both sets are locals; the call changes this thread's mask alone.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, &raw mut before) };
        // SAFETY: the set is a local, and the number is a signal's.
        let held_before = unsafe { libc::sigismember(&raw const before, libc::SIGPIPE) == 1 };
        Self {
            before,
            // Only who had held it back can have had it pending.
            was_pending: held_before && is_pending(),
        }
    }
}

impl Drop for NoSigpipe {
    fn drop(&mut self) {
        if !self.was_pending && is_pending() {
            let set = sigpipe();
            let at_once = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            // SAFETY: the set and the time are locals; what it would tell nobody asks for.
            unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const at_once) };
        }
        // SAFETY: the mask is the one that this thread had.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut())
        };
    }
}
