//! The inbox: tasks woken by other threads, on their way to their owner.
//!
//! A stack threaded through the headers (`inbox_next`). Any thread pushes with one compare-exchange
//! and allocates nothing; the owner takes everything with one swap and turns it round, so that
//! tasks run in the order in which they were woken. Since there is no single pop, there is no ABA.
//!
//! At shutdown the last take leaves the CLOSED mark instead of an empty list, in the same swap, so
//! that there is no moment between in which a push would succeed and never be seen. From then on
//! a push is refused and the waker takes its reference back.
//!
//! # Invariants
//!
//! 1. A node in the inbox carries one counted reference, so its cell is allocated.
//! 2. Whoever turned `remote_queued` from false to true owns `inbox_next`, until its push; then the
//!    inbox does, until the owner's thread has taken the node and turned the flag back to false.

#![expect(
    unsafe_code,
    reason = "the links of the inbox are raw pointers into cells"
)]

use std::ptr::{self, NonNull};

use super::header::{Header, Task};
use crate::shim::{AtomicPtr, Ordering, proven};

/// The inbox of one owner.
#[derive(Debug)]
pub(super) struct Inbox {
    head: AtomicPtr<Header>,
}

/// The mark of a closed inbox: an address no header has.
fn closed() -> *mut Header {
    ptr::without_provenance_mut(1)
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Whether something is in it, at a glance: after the fence of the sleep protocol the answer
    /// can be relied on, before it is a hint.
    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        // Relaxed: partner is the sleep protocol's fence; the take synchronises.
        let head = self.head.load(Ordering::Relaxed);
        !head.is_null() && head != closed()
    }

    /// Puts a task in. False if the inbox is closed.
    ///
    /// # Safety
    ///
    /// The caller has turned `remote_queued` to true and holds a counted reference for the inbox
    /// and another for itself (Invariants 1 and 2).
    #[must_use]
    pub(super) unsafe fn push(&self, header: NonNull<Header>) -> bool {
        // SAFETY: the caller holds a reference of its own.
        let node = unsafe { header.as_ref() };
        // Relaxed: the compare-exchange below orders it, and nothing is read through it here.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == closed() {
                return false;
            }
            // Relaxed: published by the compare-exchange.
            node.inbox_next.store(head, Ordering::Relaxed);
            // Partner of `push`: the swap in `take`. Relaxed on failure: see the load above.
            let pushed = self.head.compare_exchange_weak(
                head,
                header.as_ptr(),
                proven::push(),
                Ordering::Relaxed,
            );
            match pushed {
                Ok(_) => return true,
                Err(now) => head = now,
            }
        }
    }

    /// Takes everything, first come first.
    ///
    /// # Safety
    ///
    /// The caller is on the owner's thread, and goes through all of it.
    #[inline]
    pub(super) unsafe fn take(&self) -> Drained {
        if !self.is_pending() {
            return Drained {
                next: ptr::null_mut(),
            };
        }
        // Acquire: partner of `push`.
        let list = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: this list was taken just now, by the owner's thread.
        unsafe { Drained::in_order(list) }
    }

    /// Takes everything and refuses whatever comes later.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    pub(super) unsafe fn close(&self) -> Drained {
        let list = proven::close(&self.head, closed());
        if list == closed() {
            return Drained {
                next: ptr::null_mut(),
            };
        }
        // SAFETY: this list was taken just now, by the owner's thread.
        unsafe { Drained::in_order(list) }
    }
}

/// What was taken from an inbox: each task comes with its counted reference, and with
/// `remote_queued` still set.
#[derive(Debug)]
pub(super) struct Drained {
    next: *mut Header,
}

impl Drained {
    /// Turns a taken stack round.
    ///
    /// # Safety
    ///
    /// The list was taken from an inbox by the owner's thread, and nobody else has it.
    unsafe fn in_order(mut stack: *mut Header) -> Self {
        let mut first = ptr::null_mut();
        while let Some(header) = NonNull::new(stack) {
            // SAFETY: a node in the inbox is allocated (Invariant 1).
            let node = unsafe { header.as_ref() };
            // Relaxed, both: the links are ours since the take (Invariant 2).
            stack = node.inbox_next.load(Ordering::Relaxed);
            node.inbox_next.store(first, Ordering::Relaxed);
            first = header.as_ptr();
        }
        Self { next: first }
    }
}

impl Iterator for Drained {
    type Item = Task;

    #[inline]
    fn next(&mut self) -> Option<Task> {
        let header = NonNull::new(self.next)?;
        // SAFETY: the caller of `take` is on the owner's thread, and the reference that the node
        // carries is handed over with it.
        let task = unsafe { Task::from_raw(header) };
        // Relaxed: the links are ours since the take. Read before the node is handed out, since
        // its link belongs to the next waker once the flag is false again (Invariant 2).
        self.next = task.inbox_next.load(Ordering::Relaxed);
        Some(task)
    }
}
