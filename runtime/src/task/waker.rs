//! Wakers: a counted pointer to a cell that any thread may wake, clone and drop.
//!
//! Each function asks first whether this is the owner's thread, inside the owner's executor (a load
//! of a thread-local and a compare), and then takes the local road, without atomics, or the road
//! for other threads. The second is right from everywhere.
//!
//! # Invariants
//!
//! 1. The data pointer of a waker is a header, and each waker but the one lent to a poll has a
//!    counted reference.
//! 2. The current owner of a thread is one whose thread it is (see [`owner`]).

#![expect(
    unsafe_code,
    reason = "a waker is a raw pointer with a table of functions"
)]

use std::ptr::{self, NonNull};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::header::{Header, Task};
use super::meta::TaskId;
use super::owner;
use super::refs;
use super::trace::{ON, WakerOp, wake_event};
use crate::shim::proven;

static WAKER_VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// The parts of a waker for this task, for which no reference is counted.
#[inline]
pub(super) fn raw(header: NonNull<Header>) -> RawWaker {
    RawWaker::new(header.as_ptr().cast_const().cast(), &WAKER_VTABLE)
}

/// The header behind a waker's data pointer.
///
/// # Safety
///
/// The pointer is a waker's.
#[inline]
unsafe fn header_of(data: *const ()) -> NonNull<Header> {
    // SAFETY: a waker's data pointer comes from `raw`, so it is not null.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

/// The task, if this is its owner's thread, inside its executor.
///
/// # Safety
///
/// The caller has a reference to the cell.
#[inline]
unsafe fn local_task(header: NonNull<Header>) -> Option<Task> {
    // SAFETY: the caller's reference keeps the cell, and the field never changes.
    let owner = unsafe { (*header.as_ptr()).owner };
    if !ptr::eq(owner.as_ptr(), owner::current_address()) {
        return None;
    }
    // SAFETY: this is the owner's thread (Invariant 2); the caller's reference keeps the cell.
    Some(unsafe { Task::from_raw(header) })
}

/// The task that a waker wakes, if it is a task's.
pub(crate) fn task_of(waker: &Waker) -> Option<TaskId> {
    if !ptr::eq(waker.vtable(), &raw const WAKER_VTABLE) {
        return None;
    }
    // SAFETY: the table says that this is a waker of ours.
    let header = unsafe { header_of(waker.data()) };
    // SAFETY: the waker's reference keeps the cell (Invariant 1), and the id never changes.
    Some(unsafe { header.as_ref() }.id)
}

/// Tells whoever traces what is done with a waker.
///
/// # Safety
///
/// The caller has a reference to the cell.
#[inline]
unsafe fn trace(header: NonNull<Header>, op: WakerOp) {
    if ON {
        // SAFETY: the caller's reference keeps the cell, and the id never changes.
        wake_event(unsafe { header.as_ref() }.id, op);
    }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: std calls this with a waker's data only, here and below.
    let header = unsafe { header_of(data) };
    // SAFETY: the waker being cloned has a reference, or was lent by a poll, which has the list's.
    unsafe { trace(header, WakerOp::Clone) };
    // SAFETY: the waker being cloned has a reference, or was lent by a poll, which has the list's.
    match unsafe { local_task(header) } {
        Some(task) => task.retain(),
        // SAFETY: as above.
        None => unsafe { refs::retain_foreign(header) },
    }
    raw(header)
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: see `clone`.
    let header = unsafe { header_of(data) };
    // SAFETY: see `clone`.
    unsafe { trace(header, WakerOp::WakeByRef) };
    // SAFETY: see `clone`.
    unsafe { wake_task(header) };
}

/// Wakes the task.
///
/// # Safety
///
/// The caller has a reference to the cell, and keeps it until this returns.
#[inline]
unsafe fn wake_task(header: NonNull<Header>) {
    // SAFETY: see `clone`.
    match unsafe { local_task(header) } {
        Some(task) => task.schedule(),
        // SAFETY: as above.
        None => unsafe { wake_foreign(header) },
    }
}

unsafe fn wake(data: *const ()) {
    // The reference is given up last, not handed to the inbox: it keeps the owner until the owner
    // is unparked.
    // SAFETY: see `clone`.
    let header = unsafe { header_of(data) };
    // SAFETY: this waker is still whole.
    unsafe { trace(header, WakerOp::Wake) };
    // SAFETY: as above.
    unsafe { wake_task(header) };
    // SAFETY: std gives up the waker by this call.
    unsafe { give_up(header) };
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: see `clone`.
    let header = unsafe { header_of(data) };
    // SAFETY: the waker being dropped has a reference until below.
    unsafe { trace(header, WakerOp::Drop) };
    // SAFETY: std gives up the waker by this call.
    unsafe { give_up(header) };
}

/// Gives up the reference of a waker.
///
/// # Safety
///
/// The reference is the caller's, and is used no more.
#[inline]
unsafe fn give_up(header: NonNull<Header>) {
    // SAFETY: the caller has a reference until below.
    match unsafe { local_task(header) } {
        Some(task) => task.release(),
        // SAFETY: this is the end of the waker's reference.
        None => unsafe { refs::release_foreign(header) },
    }
}

/// A wake from another thread: puts the task in its owner's inbox, unless it is there.
///
/// # Safety
///
/// The caller has a counted reference, and keeps it until this returns.
unsafe fn wake_foreign(header: NonNull<Header>) {
    // SAFETY: the caller's reference keeps the cell.
    let node = unsafe { header.as_ref() };
    node.witness.used();
    // Always a swap, never a mere look: if the task is queued already, what this thread did before
    // the wake must still reach the poll that follows, and the swap is what carries it.
    if node.remote_queued.swap(true, proven::coalesce()) {
        return;
    }
    // For the inbox, and before the push: the owner gives it up as soon as it takes the task out.
    // SAFETY: the caller has one.
    unsafe { refs::retain_foreign(header) };
    // SAFETY: the caller's reference keeps the cell, and the cell its owner: before the merge the
    // executor cannot be gone, since it completes all tasks first.
    let owner = unsafe { node.owner.as_ref() };
    // SAFETY: the flag was turned just now, and a reference counted for the inbox.
    if unsafe { owner.inbox.push(header) } {
        owner.ring();
    } else {
        // Shut down. The flag stays, so that later wakes spare themselves the way.
        // SAFETY: the inbox refused the reference counted for it.
        unsafe { refs::release_foreign(header) };
    }
}
