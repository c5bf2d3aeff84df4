//! Counting the references to a cell, and freeing it.
//!
//! The rules are in the protocol of [`task`](super). This file has the four moves a count can
//! make (by the owner's thread or by another, before the merge or after), the merge, and the free.
//!
//! # Invariants
//!
//! 1. Before the merge, the references alive are `local + (refs - BIAS)`, and nobody frees but
//!    the owner's thread, and only once the task is off the list.
//! 2. After the merge they are `refs`, in which the join handle and the place in the run queue
//!    count too, and whoever takes it to nought frees.
//! 3. A reference is given up by the thread that has it after the last use it makes of it.

#![expect(unsafe_code, reason = "memory is freed by count")]

use std::ptr::NonNull;

use super::cells::Class;
use super::header::{BIAS, Header, Task};
use super::owner;
use super::state::{COMPLETE, JOIN_INTEREST, LISTED, MERGED, SCHEDULED};
use crate::shim::{Ordering, fence, proven};

/// References by the owner's thread.
impl Task {
    /// Counts one more.
    #[inline]
    pub(super) fn retain(self) {
        if self.state.any(MERGED) {
            // SAFETY: the caller's own reference keeps the cell.
            unsafe { retain_foreign(self.as_raw()) };
        } else {
            // 64 bits: see `BIAS`.
            self.local.set(self.local.get() + 1);
        }
    }

    /// Gives up one that was counted. The caller uses the task no more, unless it has another hold
    /// on it.
    #[inline]
    pub(super) fn release(self) {
        if self.state.any(MERGED) {
            // SAFETY: the caller has this reference, and gives it up.
            unsafe { release_foreign(self.as_raw()) };
        } else {
            // Never the end: before the merge the list has a reference, or nobody has (Invariant
            // 1).
            self.local.set(self.local.get() - 1);
        }
    }

    /// Gives up the hold of the join handle or of the run queue, whose bit the caller has cleared.
    #[inline]
    pub(super) fn release_bit(self) {
        if self.state.any(MERGED) {
            // SAFETY: the merge has counted a reference for that bit.
            unsafe { release_foreign(self.as_raw()) };
        } else if !self.state.any(LISTED | SCHEDULED | JOIN_INTEREST) {
            let owner = self.owner();
            // SAFETY: the task is off the list and not merged, so there were no references when it
            // left, hence none since; and no other bit holds it.
            let class = unsafe { close(self.as_raw()) };
            // SAFETY: the block was allocated for this class, and its cell was closed just now.
            unsafe { owner.local().cells.free(class, self.as_raw().cast()) };
        }
    }

    /// Gives up the reference of the list, from which the caller has just taken the task. Frees
    /// the cell, or leaves it to the join handle and the run queue, or merges the two counts.
    #[inline]
    pub(super) fn release_listed(self) {
        debug_assert!(self.state.any(COMPLETE), "a live task stays listed");
        self.state.clear(LISTED);
        let local = self.local.get() - 1;
        self.local.set(local);
        // Acquire: partner of `release_ref`, for references that other threads have given up. One
        // load is enough to be sure of a nought: see the protocol.
        if local + (self.refs.load(Ordering::Acquire) - BIAS) == 0 {
            self.release_bit();
        } else {
            self.merge(local);
        }
    }

    /// References are outstanding, and nobody but the owner's thread knows how many: adds the local
    /// count to the atomic one, which decides from now on.
    #[cold]
    fn merge(self, local: i64) {
        self.owner().local().meter.tasks.merges.bump();
        self.state.set(MERGED);
        // A wake from another thread has nothing left to do, and this spares it the way. Relaxed:
        // to no avail if it comes late.
        self.remote_queued.store(true, Ordering::Relaxed);
        // From here on the cell may outlive the executor, and one of the wakers may be on its way
        // to the inbox.
        self.owner().retain_strong();
        let bits = i64::from(self.state.any(JOIN_INTEREST)) + i64::from(self.state.any(SCHEDULED));
        let change = local + bits - BIAS;
        // The last use of the cell, unless nought is reached. AcqRel: publishes all this thread
        // did to the cell, and has seen all that others did if they are gone by now.
        let before = self.refs.fetch_add(change, Ordering::AcqRel);
        if before + change == 0 {
            // SAFETY: the last reference went between the load and now.
            unsafe { free_merged(self.as_raw()) };
        }
    }
}

/// Counts one more, from any thread.
///
/// # Safety
///
/// The caller has a counted reference.
pub(super) unsafe fn retain_foreign(header: NonNull<Header>) {
    // SAFETY: the caller's reference keeps the cell.
    let header = unsafe { header.as_ref() };
    header.witness.used();
    // Relaxed: the caller's reference cannot go meanwhile.
    let before = header.refs.fetch_add(1, Ordering::Relaxed);
    if before < 0 {
        // More references than memory could hold were leaked, and one more round would free a cell
        // in use.
        std::process::abort();
    }
}

/// Gives up a counted reference, from any thread.
///
/// # Safety
///
/// The caller has the reference and uses it no more.
pub(super) unsafe fn release_foreign(header: NonNull<Header>) {
    // SAFETY: the reference that is given up keeps the cell until then.
    let refs = unsafe {
        let header = header.as_ref();
        header.witness.used();
        &header.refs
    };
    // Partner of `release_ref`: the fence below, and the load and the swap of the merge.
    if refs.fetch_sub(1, proven::release_ref()) == 1 {
        // Acquire: all others' uses come before the free.
        fence(Ordering::Acquire);
        // SAFETY: nought is reached only after the merge, because of the bias; and then the
        // references are all there are (Invariant 2).
        unsafe { free_merged(header) };
    }
}

/// Frees a merged cell, on any thread.
///
/// # Safety
///
/// The caller has taken the merged count to nought, and synchronised with whoever counted before.
#[cold]
unsafe fn free_merged(header: NonNull<Header>) {
    // SAFETY: nobody else uses the cell, so the caller may.
    let owner = unsafe { header.as_ref() }.owner;
    // SAFETY: the caller says so.
    let class = unsafe { close(header) };
    // SAFETY: the block was allocated for this class, and its cell was closed just now.
    unsafe { class.free(header.cast()) };
    // SAFETY: the cell was merged, and is freed.
    unsafe { owner::release_strong(owner) };
}

/// Drops what is left in a cell, before its memory is freed.
///
/// # Safety
///
/// Nobody uses the cell any more, and its stage is empty: it is off the list, so it is complete,
/// and its output, if it was kept, has been taken or dropped by the join handle, which is gone too.
#[inline]
unsafe fn close(header: NonNull<Header>) -> &'static Class {
    // SAFETY: nobody else uses the cell, so the caller may.
    let (class, named) = unsafe {
        let header = header.as_ref();
        header.witness.freed();
        // Gone with the join handle, or woken at completion.
        debug_assert!(header.join_waker.take().is_none(), "somebody waits for it");
        (&header.vtable.class, header.name.is_some())
    };
    // Beside the name nothing in a header has a drop to speak of, and an empty stage has nothing.
    if named {
        // SAFETY: the caller says so.
        unsafe { header.drop_in_place() };
    }
    class
}
