//! Answers of the pool's threads on their way to the shard that asked.
//!
//! They are a stack of the calls themselves, threaded through them: a thread pushes with one
//! compare-exchange and allocates nothing, and the shard takes everything with one swap and turns
//! it round. So a shard never waits for a thread that has lost its CPU half-way, as it would for
//! one that holds a lock. Since there is no single pop, there is no ABA.
//!
//! The shard closes the stack when it goes; what is pushed later is dropped.
//!
//! # Invariants
//!
//! 1. A pointer in the stack comes from [`Arc::into_raw`] and carries the reference of that.
//! 2. A call is pushed once. Its link belongs to whoever pushes it, then to the stack, and then to
//!    whoever took the stack.

#![expect(
    unsafe_code,
    reason = "the links are references that were turned into pointers"
)]

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::offload::Call;

/// The link of a call to the one that was answered before it.
#[derive(Default)]
pub(super) struct Link(AtomicPtr<Call>);

/// What was answered and not taken yet.
#[derive(Default)]
pub(super) struct Answers {
    head: AtomicPtr<Call>,
}

/// The mark of a closed stack: an address no call has.
fn closed() -> *mut Call {
    ptr::without_provenance_mut(1)
}

impl Answers {
    /// Whether there are any, at a glance: after the fence of the sleep protocol the answer can be
    /// relied on, before it is a hint.
    pub(super) fn is_pending(&self) -> bool {
        // Relaxed: partner is the sleep protocol's fence; the take synchronises.
        let head = self.head.load(Ordering::Relaxed);
        !head.is_null() && head != closed()
    }

    /// Puts one in, whose answer is written.
    pub(super) fn push(&self, call: Arc<Call>) {
        let node = Arc::into_raw(call).cast_mut();
        // Relaxed: the compare-exchange orders it, and nothing is read through it here.
        let mut head = self.head.load(Ordering::Relaxed);
        while head != closed() {
            // SAFETY: the reference that the pointer carries is still ours (Invariant 1).
            let link = unsafe { &(*node).link };
            // Relaxed: published by the compare-exchange.
            link.0.store(head, Ordering::Relaxed);
            // Release: partner of the Acquire in `take`. Relaxed on failure: see the load above.
            let pushed =
                self.head
                    .compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed);
            match pushed {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
        // SAFETY: it comes from `into_raw` above, and the stack did not take it.
        drop(unsafe { Arc::from_raw(node) });
    }

    /// Takes them all, first come first.
    pub(super) fn take(&self) -> Taken {
        Taken::in_order(self.head.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// Takes them all, and refuses whatever comes later.
    pub(super) fn close(&self) -> Taken {
        Taken::in_order(self.head.swap(closed(), Ordering::Acquire))
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        drop(self.close());
    }
}

/// Answers that were taken.
pub(super) struct Taken {
    next: *mut Call,
}

impl Taken {
    /// Turns round a stack that was taken just now.
    fn in_order(mut stack: *mut Call) -> Self {
        let mut first = ptr::null_mut();
        while !stack.is_null() && stack != closed() {
            let node = stack;
            // SAFETY: the reference that it carries is ours since the stack was taken.
            let link = unsafe { &(*node).link };
            // Relaxed, both: the links are ours, too (Invariant 2).
            stack = link.0.load(Ordering::Relaxed);
            link.0.store(first, Ordering::Relaxed);
            first = node;
        }
        Self { next: first }
    }
}

impl Iterator for Taken {
    type Item = Arc<Call>;

    fn next(&mut self) -> Option<Arc<Call>> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: the reference that it carries is ours, and given away once: `next` moves on.
        let call = unsafe { Arc::from_raw(self.next) };
        // Relaxed: the links are ours (Invariant 2).
        self.next = call.link.0.load(Ordering::Relaxed);
        Some(call)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
