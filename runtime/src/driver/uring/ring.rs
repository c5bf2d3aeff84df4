//! The system-call boundary: a ring as the kernel offers it, behind a small trait.
//!
//! The rest of the backend is written against [`Kernel`], so that the simulated kernel of the tests
//! can stand behind the same production code.
//!
//! # Invariants
//!
//! 1. What an entry points to stays valid until its last completion: upheld by the slots, which own
//!    payloads until then.
//! 2. One thread touches the queues, the one that made the ring: upheld by the types, none of which
//!    is `Send`.
//! 3. Memory of a buffer ring stays mapped until it is unregistered or the ring is gone: upheld by
//!    the driver, which holds the [`Provided`] and drops it after the ring.
//! 4. Registered memory stays allocated until its number names something else, or the table or the
//!    ring is gone: upheld by the driver, to which its arena gives a piece before it is freed.

#![expect(
    unsafe_code,
    reason = "pushes entries that name memory, and registers memory"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::time::Duration;

use io_uring::IoUring;

use super::Sqe;
use crate::buf::{Aligned, IoBuf, Provided};
use crate::sys::linux;

/// `IORING_ENTER_GETEVENTS`.
const GETEVENTS: u32 = 1;
/// `IORING_ENTER_REGISTERED_RING`.
const REGISTERED_RING: u32 = 1 << 4;
/// `IORING_ENTER_NO_IOWAIT` (Linux 6.15).
const NO_IOWAIT: u32 = 1 << 7;

/// The kernel's workers for requests that may wait without end, per ring.
const IOWQ_UNBOUNDED_MAX: u32 = 64;

fn limit_workers(ring: &IoUring) -> io::Result<()> {
    // SAFETY: the ring owns the descriptor for as long as it is borrowed here.
    let fd = unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) };
    linux::set_iowq_limits(fd, 0, IOWQ_UNBOUNDED_MAX)
}

/// One completion queue entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cqe {
    pub(crate) user_data: u64,
    pub(crate) result: i32,
    pub(crate) flags: u32,
}

/// What the backend needs of a kernel.
pub(crate) trait Kernel {
    /// Queues an entry; false if the submission queue is full.
    fn push(&mut self, sqe: &Sqe) -> bool;
    /// Entries queued and not yet submitted.
    fn queued(&mut self) -> u32;
    /// Submits all, always asks for events, and waits for `want` of them at most `timeout`.
    fn enter(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()>;
    /// How many completions lie in the queue.
    fn completions(&self) -> u32;
    /// Whether the kernel asks to be entered: deferred work, or completions it had no room for.
    fn is_flagged(&self) -> bool;
    /// Whether the completion queue has overflowed since it was last asked.
    fn take_overflow(&mut self) -> bool;
    /// Hands over every completion in order and frees their places at once.
    fn reap(&mut self, each: &mut dyn FnMut(Cqe));
    /// Registers the buffers that receives of `group` take theirs from.
    fn lend_buffers(&mut self, provided: &Provided, group: u16) -> io::Result<()>;
    /// Ends that. No operation of the group may be in flight.
    fn take_back_buffers(&mut self, group: u16);
    /// Makes the table of registered buffers, with so many empty places.
    fn open_table(&mut self, places: u16) -> io::Result<()>;
    /// Registers memory under a number of the table, or has the number name nothing.
    fn register(&mut self, number: u16, memory: Option<&Aligned>) -> io::Result<()>;
    /// Gives the table up. No operation that names a number may be in flight.
    fn close_table(&mut self);
}

/// A real ring.
pub(crate) struct Ring {
    ring: IoUring,
    /// The registered index, or else the descriptor.
    enter_fd: RawFd,
    enter_flags: u32,
    overflowed: bool,
}

impl Ring {
    /// Takes a ring into use; `ring_fd` registers its descriptor, `no_iowait` sets that flag.
    pub(super) fn new(ring: IoUring, ring_fd: bool, no_iowait: bool) -> Self {
        let mut enter_fd = ring.as_raw_fd();
        let mut enter_flags = GETEVENTS;
        if no_iowait && ring.params().is_feature_no_iowait() {
            enter_flags |= NO_IOWAIT;
        }
        // Without a bound a burst of punted requests makes thousands of kernel threads. Before
        // Linux 5.15 the kernel has its own idea, and keeps it.
        let _kept = limit_workers(&ring);
        let mut this = Self {
            ring,
            enter_fd,
            enter_flags,
            overflowed: false,
        };
        if ring_fd {
            // Without the registration the kernel looks the descriptor up at each call; no more.
            if let Ok(index) = linux::register_ring_fd(this.fd()) {
                enter_fd = index;
                enter_flags |= REGISTERED_RING;
                this.enter_fd = enter_fd;
                this.enter_flags = enter_flags;
            }
        }
        this
    }

    /// Whether the thread knows the ring by an index.
    pub(super) fn is_registered(&self) -> bool {
        self.enter_flags & REGISTERED_RING != 0
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring owns the descriptor for as long as it is borrowed here.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }

    pub(super) fn io_uring(&self) -> &IoUring {
        &self.ring
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

impl Kernel for Ring {
    #[inline]
    fn push(&mut self, sqe: &Sqe) -> bool {
        // SAFETY: what the entry names lives until its last completion (Invariant 1).
        unsafe { self.ring.submission().push(&sqe.0) }.is_ok()
    }

    #[inline]
    fn queued(&mut self) -> u32 {
        u32::try_from(self.ring.submission().len()).expect("a queue's length fits in 32 bits")
    }

    fn enter(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()> {
        let to_submit = self.queued();
        let timeout_ns = timeout.map(|t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        linux::uring_enter(self.enter_fd, to_submit, want, self.enter_flags, timeout_ns).map(drop)
    }

    #[inline]
    fn completions(&self) -> u32 {
        // SAFETY: this thread alone touches the queue (Invariant 2), and only looks at it here.
        let queue = unsafe { self.ring.completion_shared() };
        u32::try_from(queue.len()).expect("a queue's length fits in 32 bits")
    }

    #[inline]
    fn is_flagged(&self) -> bool {
        // SAFETY: this thread alone touches the queue (Invariant 2), and only looks at it here.
        let queue = unsafe { self.ring.submission_shared() };
        queue.taskrun() || queue.cq_overflow()
    }

    fn take_overflow(&mut self) -> bool {
        let now = self.ring.submission().cq_overflow();
        let rose = now && !self.overflowed;
        self.overflowed = now;
        rose
    }

    fn reap(&mut self, each: &mut dyn FnMut(Cqe)) {
        for cqe in self.ring.completion() {
            each(Cqe {
                user_data: cqe.user_data(),
                result: cqe.result(),
                flags: cqe.flags(),
            });
        }
    }

    fn lend_buffers(&mut self, provided: &Provided, group: u16) -> io::Result<()> {
        let (address, entries) = provided.lend()?;
        // SAFETY: the entries stay mapped until they are unregistered (Invariant 3).
        unsafe {
            self.ring
                .submitter()
                .register_buf_ring_with_flags(address, entries, group, 0)
        }
    }

    fn take_back_buffers(&mut self, group: u16) {
        // Fails only if the group is unknown, and then there is nothing to take back.
        let _unknown = self.ring.submitter().unregister_buf_ring(group);
    }

    fn open_table(&mut self, places: u16) -> io::Result<()> {
        let submitter = self.ring.submitter();
        submitter.register_buffers_sparse(u32::from(places))
    }

    fn register(&mut self, number: u16, memory: Option<&Aligned>) -> io::Result<()> {
        let (start, len) = memory.map_or((ptr::null(), 0), |it| (it.stable_ptr(), it.capacity()));
        let range = libc::iovec {
            iov_base: start.cast_mut().cast(),
            iov_len: len,
        };
        let submitter = self.ring.submitter();
        // SAFETY: the memory stays allocated for as long as the number names it (Invariant 4).
        unsafe { submitter.register_buffers_update(u32::from(number), &[range], None) }
    }

    fn close_table(&mut self) {
        // Fails only if there is none.
        let _none = self.ring.submitter().unregister_buffers();
    }
}
