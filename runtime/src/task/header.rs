//! The header of a task's cell, and [`Task`], the pointer to it that the owner's thread uses.
//!
//! The fields fall into three groups: those only the owner's thread touches (plain cells), those
//! that never change after the spawn, and three atomics for everybody else. The first 64 bytes are
//! what a poll and a wake touch.
//!
//! # Invariants
//!
//! 1. A header is the first field of the cell it was allocated with, and every pointer to it keeps
//!    the right to the whole cell. (`raw::allocate` makes them; nobody makes one from a reference.)
//! 2. A [`Task`] exists on the owner's thread only, and is used only while something keeps the cell
//!    allocated: the list of live tasks, the run queue, a join handle, a counted reference. Each
//!    function that gives up one of these uses the `Task` no more.
//! 3. `owner` points to a live `Owner` for as long as the cell is allocated: until the merge the
//!    pin of the executor or of the join handle keeps it, afterwards the cell's own strong count.

#![expect(
    unsafe_code,
    reason = "a Task is a pointer into a cell that it does not own"
)]

use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;

use super::cancel::Busy;
use super::cells::Class;
use super::meta::{TaskId, TaskMeta};
use super::names::Name;
use super::owner::{Owner, OwnerRef};
use super::state::State;
use crate::shim::{AtomicBool, AtomicI64, AtomicPtr, Cell, Witness};

/// Where the atomic count starts, so that threads that give up references the owner's thread has
/// counted never take it to nought before the merge. 64 bits wide on every machine: at one
/// reference a nanosecond it lasts for 146 years.
pub(super) const BIAS: i64 = 1 << 62;

/// A link of one of the owner's lists.
pub(super) type Link = Option<Task>;

/// What differs from one type of future to the next. The functions are for the owner's
/// thread.
#[derive(Debug)]
pub(super) struct VTable {
    /// Bytes of the future or the output, behind the header.
    pub(super) stage_bytes: usize,
    /// Polls the future once. True if the task is complete and its output stored, or dropped.
    ///
    /// # Safety
    ///
    /// The task is RUNNING and this is the only poll.
    pub(super) poll: unsafe fn(Task) -> bool,
    /// Drops the future and stores the error.
    ///
    /// # Safety
    ///
    /// The task has just become COMPLETE, and not by `poll`.
    pub(super) cancel: unsafe fn(Task),
    /// Moves the output to where the second argument points.
    ///
    /// # Safety
    ///
    /// The stage holds an output (OUTPUT was set and the caller has cleared it), and the pointer
    /// is good for writing a `Result<F::Output, JoinError>`.
    pub(super) take_output: unsafe fn(Task, *mut ()),
    /// Where the output lies: a `Result<F::Output, JoinError>`.
    ///
    /// # Safety
    ///
    /// OUTPUT is set, and stays so for as long as the pointer is used.
    pub(super) peek_output: unsafe fn(Task) -> *const (),
    /// Drops the output, containing its panics.
    ///
    /// # Safety
    ///
    /// As for `take_output`.
    pub(super) drop_output: unsafe fn(Task),
    /// Where the cell's memory comes from.
    pub(super) class: Class,
}

/// The header of a cell.
#[repr(C)]
pub(crate) struct Header {
    pub(super) vtable: &'static VTable,
    pub(super) state: State,
    /// The task is in the owner's inbox, or on the way there; or is merged and past all wakes.
    /// Written by every thread.
    pub(super) remote_queued: AtomicBool,
    /// Its scheduling class.
    pub(super) class: Cell<u8>,
    /// What it waits for, as far as it has said; see [`Wait`](super::Wait).
    pub(super) waits: Cell<u8>,
    /// How often it was polled, at most 2^32 - 1.
    pub(super) polls: Cell<u32>,
    /// References counted by the owner's thread, less those it gave up; negative if others counted
    /// what it gave up.
    pub(super) local: Cell<i64>,
    /// The next task in the run queue.
    pub(super) queue_next: Cell<Link>,
    pub(super) owner: NonNull<Owner>,
    /// Ticks spent in its polls, and what it knows of cancels.
    pub(super) busy: Busy,
    /// When it was woken, in units of 2^[`WOKEN_SHIFT`] ticks, modulo 2^32.
    pub(super) woken: Cell<u32>,
    /// When it was spawned, in units of 2^[`BORN_SHIFT`] ticks, modulo 2^32.
    pub(super) born: u32,
    pub(super) id: TaskId,
    /// The neighbours in the list of live tasks.
    pub(super) list_prev: Cell<Link>,
    pub(super) list_next: Cell<Link>,
    /// [`BIAS`] plus the references counted by other threads, less those they gave up; after the
    /// merge, all of them.
    pub(super) refs: AtomicI64,
    /// The next task in the inbox. Belongs to whoever set `remote_queued`, from then until the
    /// owner's drain.
    pub(super) inbox_next: AtomicPtr<Self>,
    /// Whom to wake on completion.
    pub(super) join_waker: Cell<Option<Waker>>,
    /// One word while there is no name. Dropped with the cell.
    pub(super) name: Option<Box<Name>>,
    pub(super) location: &'static Location<'static>,
    pub(super) witness: Witness,
}

/// Two lines of the cache, and what a user pays for a task beside its future.
#[cfg(not(loom))]
const _: () = assert!(size_of::<Header>() <= 128);

/// A wake is known to 64 ticks, some 20 ns, and right for those who wait less than a minute.
const WOKEN_SHIFT: u32 = 6;
/// A spawn is known to 2^26 ticks, some 20 ms, and right for two years.
const BORN_SHIFT: u32 = 26;

/// A time in ticks, in coarse units.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "kept modulo 2^32")]
const fn coarse(ticks: u64, shift: u32) -> u32 {
    (ticks >> shift) as u32
}

impl Header {
    /// The header of a task that was just spawned. Always inlined, so that it is built where it
    /// will stay.
    #[inline(always)]
    pub(super) fn new(
        vtable: &'static VTable,
        owner: OwnerRef,
        id: TaskId,
        name: Option<Box<Name>>,
        location: &'static Location<'static>,
        now: u64,
    ) -> Self {
        Self {
            vtable,
            state: State::new(),
            remote_queued: AtomicBool::new(false),
            class: Cell::new(0),
            waits: Cell::new(0),
            polls: Cell::new(0),
            // The list's.
            local: Cell::new(1),
            queue_next: Cell::new(None),
            owner: owner.as_non_null(),
            busy: Busy::new(),
            woken: Cell::new(coarse(now, WOKEN_SHIFT)),
            born: coarse(now, BORN_SHIFT),
            id,
            list_prev: Cell::new(None),
            list_next: Cell::new(None),
            refs: AtomicI64::new(BIAS),
            inbox_next: AtomicPtr::new(std::ptr::null_mut()),
            join_waker: Cell::new(None),
            name,
            location,
            witness: Witness::new(),
        }
    }

    /// It is woken, at a time in ticks.
    #[inline]
    pub(super) fn set_woken(&self, now: u64) {
        self.woken.set(coarse(now, WOKEN_SHIFT));
    }

    /// Ticks from its wake to a later time.
    #[inline]
    pub(super) fn ticks_since_woken(&self, now: u64) -> u64 {
        u64::from(coarse(now, WOKEN_SHIFT).wrapping_sub(self.woken.get())) << WOKEN_SHIFT
    }

    /// Ticks from its spawn to a later time.
    pub(super) fn ticks_since_born(&self, now: u64) -> u64 {
        u64::from(coarse(now, BORN_SHIFT).wrapping_sub(self.born)) << BORN_SHIFT
    }

    pub(super) fn meta(&self) -> TaskMeta {
        TaskMeta {
            id: Some(self.id),
            name: self.name.as_ref().map(|name| Arc::clone(name.text())),
            location: self.location,
        }
    }
}

/// A task, as the owner's thread sees it: a pointer that keeps nothing alive (Invariant 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task(NonNull<Header>);

impl Task {
    /// # Safety
    ///
    /// The caller is on the owner's thread, and uphold Invariants 1 and 2 for what it does with it.
    #[inline]
    pub(super) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Self(header)
    }

    #[inline]
    pub(super) fn as_raw(self) -> NonNull<Header> {
        self.0
    }

    /// The owner of this task.
    #[inline]
    pub(super) fn owner(self) -> OwnerRef {
        // SAFETY: a `Task` is on its owner's thread (Invariant 2) and its owner lives (Invariant
        // 3).
        unsafe { OwnerRef::from_raw(self.owner) }
    }
}

impl Deref for Task {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: the cell is allocated, by Invariant 2, and only shared references to headers
        // are ever made.
        unsafe { self.0.as_ref() }
    }
}
