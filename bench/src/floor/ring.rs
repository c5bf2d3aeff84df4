//! A ring for one thread: set-up, entering the kernel, and reaping.
//!
//! The three halves that `io_uring` hands out are kept apart and alive for the whole run, because
//! the registered ring descriptor is remembered by the submitter, and because head and tail then
//! need publishing only where the kernel looks at them: in [`Ring::enter`].
//!
//! # Invariants
//!
//! 1. `in_flight` counts the entries that the kernel may still act on: it grows with every push and
//!    shrinks with every completion that is the last of its entry. Messages between rings are
//!    outside the count: they name no memory.
//! 2. Whoever pushes keeps the memory that an entry names valid until `in_flight` is zero.
//!    [`Ring::drain`] gets there by cancelling; if it fails, the owner leaks the memory.

#![expect(
    unsafe_code,
    reason = "entries name memory, and the kernel is entered with raw flags"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter};
use io_uring::{cqueue, opcode, squeue};

/// How long [`Ring::enter`] may stay in the kernel.
#[derive(Debug, Clone, Copy)]
pub enum Wait {
    /// Submit, run what the kernel deferred, come back.
    No,
    /// Until there is a completion.
    One,
    /// Until there are this many completions.
    Count(u32),
    /// Until there is a completion, or for this long.
    AtMost(Duration),
}

/// A ring in use by the thread that made it.
#[expect(missing_debug_implementations, reason = "made of types without one")]
pub struct Ring<'r> {
    submitter: Submitter<'r>,
    submissions: SubmissionQueue<'r>,
    completions: CompletionQueue<'r>,
    in_flight: usize,
    enters: u64,
}

/// Marks the completions of the ring's own cancellations.
const CANCEL: u64 = u64::MAX;

/// Marks what [`Ring::message`] sends, at the receiver, and at the sender if it failed.
pub const MESSAGE: u64 = u64::MAX - 1;

/// Sets up a ring the way the floors use it: one thread, completions run when asked for.
///
/// # Errors
///
/// The errno of `io_uring_setup`: the kernel is older than 6.1, or forbids io_uring.
pub fn build(entries: u32) -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_submit_all()
        .setup_cqsize((entries * 4).max(4096))
        .build(entries)
}

impl<'r> Ring<'r> {
    /// Takes a ring into use. Its descriptor is registered where the kernel has that (5.18).
    #[must_use]
    pub fn new(uring: &'r mut IoUring) -> Self {
        let (mut submitter, submissions, completions) = uring.split();
        // Without registration an enter costs a look-up in the descriptor table and nothing else.
        let _unregistered_works_too = submitter.register_ring_fd();
        Self {
            submitter,
            submissions,
            completions,
            in_flight: 0,
            enters: 0,
        }
    }

    /// For registering buffers and files.
    #[must_use]
    pub const fn submitter(&self) -> &Submitter<'r> {
        &self.submitter
    }

    /// System calls made so far.
    #[must_use]
    pub const fn enters(&self) -> u64 {
        self.enters
    }

    /// Entries that the kernel may still act on.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Queues a completion with [`MESSAGE`] and this result for another ring.
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter).
    pub fn message(&mut self, target: BorrowedFd<'_>, result: i32) -> io::Result<()> {
        let entry = opcode::MsgRingData::new(Fd(target.as_raw_fd()), result, MESSAGE, None)
            .build()
            .user_data(MESSAGE)
            .flags(squeue::Flags::SKIP_SUCCESS);
        // SAFETY: the entry names no memory.
        unsafe { self.push(&entry) }?;
        self.in_flight -= 1;
        Ok(())
    }

    /// Queues an entry for the next [`enter`](Self::enter), entering first if the queue is full.
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter).
    ///
    /// # Panics
    ///
    /// Never: the queue is seen to have room.
    ///
    /// # Safety
    ///
    /// Memory that the entry names is valid, and not used against what the kernel does with it,
    /// until the entry's last completion has been returned by [`next`](Self::next).
    pub unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        while self.submissions.is_full() {
            self.enter(Wait::No)?;
        }
        // SAFETY: the caller keeps the entry's memory valid to the last completion.
        unsafe { self.submissions.push(entry) }.expect("the queue was seen to have room");
        self.in_flight += 1;
        Ok(())
    }

    /// Submits everything queued, runs deferred completions, and waits as told.
    ///
    /// # Errors
    ///
    /// Any errno but those that mean "nothing yet" or "reap first".
    pub fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.submissions.sync();
        self.completions.sync();
        let wait = if self.completions.is_empty() {
            wait
        } else {
            Wait::No
        };

        self.enters += 1;
        let result = match wait {
            Wait::No => self.enter_now(0),
            Wait::One => self.enter_now(1),
            Wait::Count(count) => self.enter_now(count),
            Wait::AtMost(limit) => {
                let limit = Timespec::from(limit);
                self.submitter
                    .submit_with_args(1, &SubmitArgs::new().timespec(&limit))
            }
        };
        self.submissions.sync();
        self.completions.sync();

        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // A deadline, a signal, or a full completion queue: the caller reaps and returns.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// The next completion that is in already.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would borrow the ring"
    )]
    pub fn next(&mut self) -> Option<cqueue::Entry> {
        loop {
            let completion = self.completions.next()?;
            let ours = completion.user_data() != MESSAGE;
            if ours && !cqueue::more(completion.flags()) {
                self.in_flight -= 1;
            }
            if completion.user_data() != CANCEL {
                return Some(completion);
            }
        }
    }

    /// Cancels what is in flight and reaps until nothing is, or `limit` has passed.
    /// True if the kernel has let go of all memory.
    #[must_use]
    pub fn drain(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.in_flight > 0 {
            let cancel = opcode::AsyncCancel2::new(CancelBuilder::any())
                .build()
                .user_data(CANCEL);
            // SAFETY: the entry names no memory.
            let cancelled = unsafe { self.push(&cancel) };
            let entered = cancelled.and_then(|()| self.enter(Wait::AtMost(limit / 10)));
            while self.next().is_some() {}
            if entered.is_err() || Instant::now() > deadline {
                return self.in_flight == 0;
            }
        }
        true
    }

    fn enter_now(&self, wait_for: u32) -> io::Result<usize> {
        let queued =
            u32::try_from(self.submissions.len()).expect("a queue has at most 2^15 entries");
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: no argument is passed, and what the entries name is Invariant 2.
        unsafe {
            self.submitter
                .enter::<libc::sigset_t>(queued, wait_for, flags, None)
        }
    }
}

/// The ring's descriptor.
#[must_use]
pub fn borrow(uring: &IoUring) -> BorrowedFd<'_> {
    // SAFETY: the descriptor is the ring's own and lives as long as the borrow.
    unsafe { BorrowedFd::borrow_raw(uring.as_raw_fd()) }
}
