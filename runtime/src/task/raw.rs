//! The cell: one allocation for a header and the future, or its output; and the code that differs
//! by the type of the future.
//!
//! # Invariants
//!
//! 1. The stage is touched on the owner's thread only, and only by whoever the state allows: the
//!    future by `poll` while RUNNING and by the one that sets COMPLETE; the output by the one that
//!    stored it or cleared OUTPUT. So no two uses of it overlap, even if a drop of user code
//!    comes back to us.
//! 2. The future does not move from the spawn to its drop.
//! 3. By the time the cell is freed the stage is empty, so that freeing runs no code of a user
//!    and may happen on any thread.

#![expect(
    unsafe_code,
    reason = "the cell's type is erased, and its stage is pinned in place"
)]

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::cells::Class;
use super::error::JoinError;
use super::header::{Header, Task, VTable};
use super::meta::TaskId;
use super::names::Name;
use super::owner::OwnerRef;
use super::state::{JOIN_INTEREST, OUTPUT};
use super::trace;
use super::waker;
use crate::panics::{Payload, contain};

/// What a cell holds beside its header. The state says what that is (Invariant 1), so that a task
/// costs its header and not a tag more; and either lies at its start.
#[repr(C)]
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Result<F::Output, JoinError>>,
}

/// See the [module](self).
#[repr(C)]
struct TaskCell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// Allocates a task, which is listed nowhere yet.
///
/// # Safety
///
/// The caller is on the owner's thread. Whatever the future, or its output, borrows must outlive
/// the future and the output: the caller sees to it that both are gone in time.
#[inline]
pub(super) unsafe fn allocate<F: Future>(
    owner: OwnerRef,
    future: F,
    name: Option<&str>,
    location: &'static Location<'static>,
) -> Task {
    let id = owner.next_id();
    let future = trace::wrap(future, id, name, location);
    let name = name.map(|name| Box::new(Name::new(id, name)));
    // SAFETY: as the caller says; the wrapper borrows nothing more.
    unsafe { allocate_cell(owner, future, id, name, location) }
}

/// Allocates the cell.
///
/// # Safety
///
/// As for [`allocate`].
#[inline]
unsafe fn allocate_cell<F: Future>(
    owner: OwnerRef,
    future: F,
    id: TaskId,
    name: Option<Box<Name>>,
    location: &'static Location<'static>,
) -> Task {
    let now = owner.local().meter.now();
    let cell = owner
        .local()
        .cells
        .allocate(class::<F>())
        .cast::<TaskCell<F>>();
    // SAFETY: the block was just allocated, with room for this type.
    let header = unsafe { &raw mut (*cell.as_ptr()).header };
    // SAFETY: as above.
    unsafe { header.write(Header::new(vtable::<F>(), owner, id, name, location, now)) };
    // SAFETY: as above.
    let stage = unsafe { &raw mut (*cell.as_ptr()).stage };
    // SAFETY: as above.
    unsafe {
        stage.write(UnsafeCell::new(Stage {
            future: ManuallyDrop::new(future),
        }))
    };
    // SAFETY: this is the owner's thread, as the caller says, and the pointer is to all of the
    // cell.
    unsafe { Task::from_raw(cell.cast()) }
}

const fn class<F: Future>() -> Class {
    const { Class::of(Layout::new::<TaskCell<F>>()) }
}

fn vtable<F: Future>() -> &'static VTable {
    &const {
        VTable {
            stage_bytes: size_of::<Stage<F>>(),
            poll: poll::<F>,
            cancel: cancel::<F>,
            take_output: take_output::<F>,
            peek_output: peek_output::<F>,
            drop_output: drop_output::<F>,
            class: class::<F>(),
        }
    }
}

/// Where the stage of a task is.
///
/// # Safety
///
/// The task's future is an `F`.
#[inline]
unsafe fn stage<F: Future>(task: Task) -> *mut Stage<F> {
    let cell: *mut TaskCell<F> = task.as_raw().cast().as_ptr();
    // SAFETY: the cell is allocated, and has this type as the caller says.
    let stage = unsafe { &raw const (*cell).stage };
    UnsafeCell::raw_get(stage)
}

/// See [`VTable::poll`].
unsafe fn poll<F: Future>(task: Task) -> bool {
    // SAFETY: this function is in the vtable of an `F` alone.
    let stage = unsafe { stage::<F>(task) };
    // SAFETY: a task that is RUNNING has its future, which is ours meanwhile (Invariant 1).
    let future: &mut F = unsafe { &mut *stage.cast::<F>() };
    // SAFETY: the future stays where it is until it is dropped (Invariant 2).
    let future = unsafe { Pin::new_unchecked(future) };
    // SAFETY: the list of live tasks keeps the cell for as long as this poll, and the waker is not
    // counted since it is never dropped.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(waker::raw(task.as_raw())) });

    let result = match contain(|| future.poll(&mut Context::from_waker(&waker))) {
        Ok(Poll::Pending) => return false,
        Ok(Poll::Ready(output)) => Ok(output),
        Err(payload) => Err(JoinError::panicked(Some(task.id), payload)),
    };
    task.state.complete();
    // SAFETY: this call has just set COMPLETE.
    if let Err(payload) = unsafe { drop_future::<F>(task) } {
        task.owner().report(&task.meta(), payload);
    }
    // SAFETY: the future was dropped just now.
    unsafe { store::<F>(task, result) };
    true
}

/// See [`VTable::cancel`].
unsafe fn cancel<F: Future>(task: Task) {
    // SAFETY: the caller has just set COMPLETE, and this function is in the vtable of an `F` alone.
    let error = match unsafe { drop_future::<F>(task) } {
        Ok(()) => JoinError::cancelled(Some(task.id)),
        Err(payload) => JoinError::panicked(Some(task.id), payload),
    };
    // SAFETY: the future was dropped just now.
    unsafe { store::<F>(task, Err(error)) };
}

/// Drops the future and hands back the panic of its drop.
///
/// # Safety
///
/// The task's future is an `F`, and the caller has just set COMPLETE.
unsafe fn drop_future<F: Future>(task: Task) -> Result<(), Payload> {
    // SAFETY: the caller says so.
    let stage = unsafe { stage::<F>(task) };
    contain(|| {
        // SAFETY: whoever sets COMPLETE has the stage for itself, with the future in it, which is
        // nobody's from here on, even if its drop panics (Invariant 1).
        unsafe { stage.cast::<F>().drop_in_place() };
    })
}

/// Stores the output for the join handle, or drops it if there is none.
///
/// # Safety
///
/// The task's future is an `F`, and the caller has dropped it just now.
unsafe fn store<F: Future>(task: Task, result: Result<F::Output, JoinError>) {
    if !task.state.any(JOIN_INTEREST) {
        discard(task, result);
        return;
    }
    // SAFETY: the caller says so.
    let stage = unsafe { stage::<F>(task) };
    // SAFETY: the stage is still the caller's, and empty, so there is nothing to drop in it.
    unsafe {
        stage.write(Stage {
            output: ManuallyDrop::new(result),
        })
    };
    task.state.set(OUTPUT);
}

/// Drops an output that nobody takes, and reports its panic, or that of its drop.
fn discard<T>(task: Task, result: Result<T, JoinError>) {
    let unheard = match result {
        Ok(output) => contain(|| drop(output)).err(),
        Err(error) => error.try_into_panic().ok(),
    };
    if let Some(payload) = unheard {
        task.owner().report(&task.meta(), payload);
    }
}

/// Moves the output out.
///
/// # Safety
///
/// The task's future is an `F`, and the caller has just cleared OUTPUT.
#[inline]
unsafe fn output<F: Future>(task: Task) -> Result<F::Output, JoinError> {
    // SAFETY: the caller says so.
    let stage = unsafe { stage::<F>(task) };
    // SAFETY: whoever clears OUTPUT has the stage for itself, with the output in it, which is
    // nobody else's from here on (Invariant 1).
    unsafe { stage.cast::<Result<F::Output, JoinError>>().read() }
}

/// See [`VTable::take_output`].
unsafe fn take_output<F: Future>(task: Task, to: *mut ()) {
    // SAFETY: the caller has cleared OUTPUT, and this function is in the vtable of an `F` alone.
    let output = unsafe { output::<F>(task) };
    // SAFETY: the caller gives a place for exactly this type.
    unsafe { to.cast::<Result<F::Output, JoinError>>().write(output) };
}

/// See [`VTable::peek_output`].
unsafe fn peek_output<F: Future>(task: Task) -> *const () {
    // SAFETY: this function is in the vtable of an `F` alone.
    let stage = unsafe { stage::<F>(task) };
    // OUTPUT stays set meanwhile, as the caller says, so the output is there and nobody writes the
    // stage (Invariant 1).
    stage.cast_const().cast()
}

/// See [`VTable::drop_output`].
unsafe fn drop_output<F: Future>(task: Task) {
    // SAFETY: the caller has cleared OUTPUT, and this function is in the vtable of an `F` alone.
    let output = unsafe { output::<F>(task) };
    discard(task, output);
}
