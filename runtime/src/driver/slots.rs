//! Slots: where an operation's payload lives from submission to the last completion.
//!
//! | state     | payload is in | kernel may touch it | left by                            |
//! |-----------|---------------|---------------------|------------------------------------|
//! | vacant    | nowhere       | no                  | [`Slots::insert`]                  |
//! | in flight | the slot      | yes                 | last completion, or `orphan`       |
//! | orphaned  | the slot      | yes                 | last completion                    |
//! | done      | the slot      | no                  | [`Slots::take`], or `orphan`       |
//! | finishing | being dropped | no                  | [`Slots::finish`], to vacant       |
//!
//! A slot is named by its [`SlotId`]: index and generation. The generation moves on whenever a slot
//! becomes vacant, so a completion that comes late finds no slot and is only counted. The table is
//! touched by its shard alone; the kernel (or a pool thread in its stead) touches payloads, never
//! headers.
//!
//! Nothing here calls user code but [`Slots::finish`], [`Slots::insert`]'s caller-made values and
//! dropping what the other functions *return*; each is called with no borrow held.
//!
//! # Invariants
//!
//! 1. Chunks never move and are never freed before the table is, so a slot's address is stable.
//! 2. A slot that is in flight, orphaned or done holds a valid payload of the type its `vtable` was
//!    made for. `insert` puts both there together; `take` and `finish` are the only ways out.
//! 3. `&mut` to a payload is made only while its slot is done or finishing, or by the shard for the
//!    parts that the kernel was not lent (see [`VTable::more`]).
//! 4. A table that is dropped with slots in flight leaks its chunks: the kernel may still write.

#![expect(
    unsafe_code,
    reason = "keeps payloads of any type in place while the kernel may touch them"
)]

use std::cell::{Cell, RefCell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::task::Waker;

use super::features::Code;
use crate::sys::{self, RawSource};

/// Bytes of payload that a slot holds itself; a larger payload is boxed.
const INLINE_BYTES: usize = 128;
/// Slots in a chunk.
const CHUNK: usize = 64;
/// The most slots a table has: what the index field of `user_data` can name.
const SLOTS_MAX: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 24;
/// Marks the end of the list of vacant slots.
const NONE: u32 = u32::MAX;

/// A slot's name, as it stands in `user_data`: generation above, index below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SlotId {
    index: u32,
    generation: u32,
}

impl SlotId {
    /// The lower 56 bits of an entry's `user_data`.
    #[inline]
    pub(crate) fn to_bits(self) -> u64 {
        (u64::from(self.generation) << INDEX_BITS) | u64::from(self.index)
    }

    /// The inverse of [`to_bits`](Self::to_bits); any value is allowed and at worst names no slot.
    #[cfg(any(target_os = "linux", test))]
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        let index = u32::try_from(bits & ((1 << INDEX_BITS) - 1)).expect("masked to 24 bits");
        let generation =
            u32::try_from((bits >> INDEX_BITS) & u64::from(u32::MAX)).expect("masked to 32 bits");
        Self { index, generation }
    }
}

/// What the kernel said of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// The result, or a negated error number of the system.
    pub(crate) result: isize,
    /// The completion's flags (`IORING_CQE_F_*`); zero from other backends.
    pub(crate) flags: u32,
}

impl Completion {
    /// The kernel has no such thing.
    pub(crate) const UNSUPPORTED: Self = Self::error(sys::UNSUPPORTED);
    /// It was asked to end early, and did.
    pub(crate) const CANCELED: Self = Self::error(sys::CANCELED);

    const fn error(number: i32) -> Self {
        Self {
            result: -(number as isize),
            flags: 0,
        }
    }

    /// The runtime has been shut down, so nothing was asked of anybody. No error number of any
    /// system is as large.
    pub(crate) const SHUT_DOWN: Self = Self {
        result: -(i32::MAX as isize),
        flags: 0,
    };
    /// The table of operations is full.
    pub(crate) const NO_SLOT: Self = Self {
        result: 1 - (i32::MAX as isize),
        flags: 0,
    };

    /// A completion as a pool job or a non-blocking attempt reports it.
    pub(crate) fn from_io(result: std::io::Result<usize>) -> Self {
        let result = match result {
            Ok(value) => isize::try_from(value).unwrap_or(isize::MAX),
            Err(error) => -isize::try_from(error.raw_os_error().unwrap_or(sys::IO)).unwrap_or(1),
        };
        Self { result, flags: 0 }
    }

    /// The result as the standard library would give it.
    #[inline]
    pub(crate) fn into_io(self) -> std::io::Result<usize> {
        usize::try_from(self.result).map_err(|_| self.to_error())
    }

    #[cold]
    fn to_error(self) -> std::io::Error {
        if self == Self::SHUT_DOWN {
            return std::io::Error::other("the runtime of this operation has been shut down");
        }
        if self == Self::NO_SLOT {
            return std::io::Error::other("too many operations in flight");
        }
        let code = i32::try_from(-self.result).unwrap_or(sys::IO);
        std::io::Error::from_raw_os_error(code)
    }
}

/// How a slot deals with a payload whose type it does not know.
pub(crate) struct VTable {
    /// Takes one completion that more will follow (multishot). May touch only what the payload's
    /// entry did not lend to the kernel. Answers what to do about those that would follow.
    more: unsafe fn(NonNull<u8>, Completion) -> Flow,
    /// Consumes the payload of an orphan with its last completion.
    finish: unsafe fn(NonNull<u8>, Completion),
    /// The source that the payload is about. Reads nothing that its entry lent to the kernel.
    source: unsafe fn(NonNull<u8>) -> Option<RawSource>,
    /// The kind of request.
    code: Code,
}

/// Whether a multishot operation wants more completions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    /// It takes what comes.
    Open,
    /// It takes what comes, and whoever waits need not hear of this one.
    Quiet,
    /// Its consumer lags: it is to be cancelled, and armed again once what came is consumed.
    Stop,
}

/// What the table needs to know of a payload.
pub(crate) trait Payload: Sized + 'static {
    /// The kind of request.
    const CODE: Code;
    /// The source it is about. Reads nothing that its entry lent to the kernel.
    fn source(&self) -> Option<RawSource>;
    /// One of several completions.
    fn more(&mut self, completion: Completion) -> Flow;
    /// The last completion, with nobody waiting.
    fn finish(self, completion: Completion);
}

/// Whether payloads of type `T` are boxed.
const fn boxed<T>() -> bool {
    size_of::<T>() > INLINE_BYTES || align_of::<T>() > align_of::<Inline>()
}

unsafe fn more<T: Payload>(place: NonNull<u8>, completion: Completion) -> Flow {
    // SAFETY: the vtable was made for `T` (Invariant 2).
    let mut payload = unsafe { payload_at::<T>(place) };
    // SAFETY: the payload is valid, and the shard alone is here (Invariant 3).
    unsafe { payload.as_mut() }.more(completion)
}

unsafe fn source<T: Payload>(place: NonNull<u8>) -> Option<RawSource> {
    // SAFETY: the vtable was made for `T` (Invariant 2).
    let payload = unsafe { payload_at::<T>(place) };
    // SAFETY: the payload is valid, and `source` reads only what the kernel was not lent (Invariant
    // 3).
    unsafe { payload.as_ref() }.source()
}

unsafe fn finish<T: Payload>(place: NonNull<u8>, completion: Completion) {
    // SAFETY: the vtable was made for `T` and the slot is finishing (Invariant 2).
    let payload = unsafe { take_at::<T>(place) };
    payload.finish(completion);
}

/// Where the `T` of a slot really is.
///
/// # Safety
///
/// `place` is the inline storage of a slot that holds a `T`.
unsafe fn payload_at<T>(place: NonNull<u8>) -> NonNull<T> {
    if boxed::<T>() {
        // SAFETY: a boxed payload's inline storage holds its pointer (see `put_at`).
        unsafe { place.cast::<NonNull<T>>().read() }
    } else {
        place.cast()
    }
}

unsafe fn put_at<T>(place: NonNull<u8>, payload: T) {
    if boxed::<T>() {
        let payload = NonNull::from(Box::leak(Box::new(payload)));
        // SAFETY: the inline storage is larger than a pointer and its slot is ours.
        unsafe { place.cast::<NonNull<T>>().write(payload) };
    } else {
        // SAFETY: the storage is large and aligned enough, as `boxed` has checked.
        unsafe { place.cast::<T>().write(payload) };
    }
}

unsafe fn take_at<T>(place: NonNull<u8>) -> T {
    // SAFETY: the caller's promise is the same.
    let payload = unsafe { payload_at::<T>(place) };
    if boxed::<T>() {
        // SAFETY: `put_at` leaked this box and only one taker comes (Invariant 2).
        *unsafe { Box::from_raw(payload.as_ptr()) }
    } else {
        // SAFETY: the payload is valid and is not used again (Invariant 2).
        unsafe { payload.read() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Vacant,
    InFlight,
    Orphaned,
    Done,
    Finishing,
}

#[repr(C, align(16))]
struct Inline(MaybeUninit<[u8; INLINE_BYTES]>);

#[repr(C, align(64))]
struct Slot {
    generation: Cell<u32>,
    next_vacant: Cell<u32>,
    state: Cell<State>,
    completion: Cell<Completion>,
    waker: Cell<Option<Waker>>,
    vtable: Cell<Option<&'static VTable>>,
    /// When it was inserted, in ticks.
    submitted: Cell<u64>,
    payload: UnsafeCell<Inline>,
}

/// The header of a slot is a line of the cache.
const _: () = assert!(std::mem::offset_of!(Slot, payload) == 64);

impl Slot {
    fn vacant() -> Self {
        Self {
            generation: Cell::new(1),
            next_vacant: Cell::new(NONE),
            state: Cell::new(State::Vacant),
            completion: Cell::new(Completion {
                result: 0,
                flags: 0,
            }),
            waker: Cell::new(None),
            vtable: Cell::new(None),
            submitted: Cell::new(0),
            payload: UnsafeCell::new(Inline(MaybeUninit::uninit())),
        }
    }

    #[inline]
    fn place(&self) -> NonNull<u8> {
        NonNull::from(&self.payload).cast()
    }

    #[inline]
    fn vtable(&self) -> &'static VTable {
        self.vtable.get().expect("an occupied slot has a vtable")
    }
}

/// What a completion did; the caller carries on with no borrow held.
#[must_use]
#[derive(Debug)]
pub(crate) enum Delivered {
    /// Somebody waits: wake them.
    Wake(Option<Waker>),
    /// Wake them, and cancel the operation: it has enough for now.
    Stop(Option<Waker>),
    /// Nobody waits: call [`Slots::finish`].
    Orphan(SlotId, Completion),
    /// The slot is gone; the completion came late.
    Stale,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Slots {
    chunks: RefCell<Vec<NonNull<[Slot; CHUNK]>>>,
    vacant: Cell<u32>,
    live: Cell<usize>,
    slots_max: usize,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self::bounded(SLOTS_MAX)
    }

    /// A table of at most so many slots.
    fn bounded(slots_max: usize) -> Self {
        Self {
            chunks: RefCell::new(Vec::new()),
            vacant: Cell::new(NONE),
            live: Cell::new(0),
            slots_max,
        }
    }

    /// Slots that hold a payload.
    #[inline]
    pub(crate) fn live(&self) -> usize {
        self.live.get()
    }

    #[inline]
    fn at(&self, index: u32) -> Option<&Slot> {
        let index = index as usize;
        let chunk = *self.chunks.borrow().get(index / CHUNK)?;
        // SAFETY: chunks live as long as the table and are shared by reference only (Invariant 1).
        let chunk = unsafe { chunk.as_ref() };
        Some(&chunk[index % CHUNK])
    }

    /// The slot of that name, unless it has become vacant since.
    #[inline]
    fn find(&self, id: SlotId) -> Option<&Slot> {
        let slot = self.at(id.index)?;
        (slot.generation.get() == id.generation && slot.state.get() != State::Vacant)
            .then_some(slot)
    }

    fn grow(&self) -> bool {
        let mut chunks = self.chunks.borrow_mut();
        let first = chunks.len() * CHUNK;
        if first + CHUNK > self.slots_max {
            return false;
        }
        let chunk: Box<[Slot; CHUNK]> = (0..CHUNK)
            .map(|_| Slot::vacant())
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| unreachable!("a chunk has that many slots"));
        for (place, slot) in chunk.iter().enumerate().rev() {
            let index = u32::try_from(first + place).expect("below SLOTS_MAX");
            slot.next_vacant.set(self.vacant.replace(index));
        }
        chunks.push(NonNull::from(Box::leak(chunk)));
        true
    }

    /// Whether a slot is vacant, or could be made. False where sixteen million are in use.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.vacant.get() != NONE || self.grow()
    }

    /// Moves a payload into a slot. The returned pointer is where it now is, until `take` or
    /// `finish`.
    ///
    /// # Panics
    ///
    /// If there is no [room](Self::has_room).
    #[inline]
    pub(crate) fn insert<T: Payload>(
        &self,
        payload: T,
        waker: Option<Waker>,
        now: u64,
    ) -> (SlotId, NonNull<T>) {
        assert!(self.has_room(), "a slot is vacant");
        let index = self.vacant.get();
        let slot = self
            .at(index)
            .expect("the list of vacant slots names slots of this table");
        self.vacant.set(slot.next_vacant.get());
        debug_assert_eq!(slot.state.get(), State::Vacant);
        slot.state.set(State::InFlight);
        slot.waker.set(waker);
        slot.submitted.set(now);
        slot.vtable.set(Some(
            const {
                &VTable {
                    more: more::<T>,
                    finish: finish::<T>,
                    source: source::<T>,
                    code: T::CODE,
                }
            },
        ));
        self.live.set(self.live.get() + 1);
        // SAFETY: the slot was vacant, so its storage is free and ours.
        unsafe { put_at(slot.place(), payload) };
        // SAFETY: a `T` was put there the line before.
        let payload = unsafe { payload_at::<T>(slot.place()) };
        let generation = slot.generation.get();
        (SlotId { index, generation }, payload)
    }

    /// What was submitted under that name, and when.
    #[inline]
    pub(crate) fn submitted(&self, id: SlotId) -> Option<(Code, u64)> {
        let slot = self.find(id)?;
        Some((slot.vtable().code, slot.submitted.get()))
    }

    /// Shows each operation in flight that somebody waits for.
    pub(crate) fn for_each_waiter(
        &self,
        mut show: impl FnMut(Code, Option<RawSource>, u64, &Waker),
    ) {
        let count = u32::try_from(self.chunks.borrow().len() * CHUNK).unwrap_or(u32::MAX);
        for slot in (0..count).filter_map(|index| self.at(index)) {
            if slot.state.get() != State::InFlight {
                continue;
            }
            // Taken and put back, as the cell lends nothing.
            let Some(waker) = slot.waker.take() else {
                continue;
            };
            // SAFETY: the vtable belongs to the payload here (Invariant 2).
            let source = unsafe { (slot.vtable().source)(slot.place()) };
            show(slot.vtable().code, source, slot.submitted.get(), &waker);
            slot.waker.set(Some(waker));
        }
    }

    /// Takes one completion for `id`; `more` says that others will follow.
    pub(crate) fn deliver(&self, id: SlotId, completion: Completion, more: bool) -> Delivered {
        let Some(slot) = self.find(id) else {
            return Delivered::Stale;
        };
        match (slot.state.get(), more) {
            (State::InFlight, true) => {
                // SAFETY: the vtable belongs to the payload here (Invariant 2).
                let flow = unsafe { (slot.vtable().more)(slot.place(), completion) };
                match flow {
                    Flow::Open => Delivered::Wake(slot.waker.take()),
                    Flow::Quiet => Delivered::Wake(None),
                    Flow::Stop => Delivered::Stop(slot.waker.take()),
                }
            }
            (State::Orphaned, true) => {
                // Kept with the payload, which `finish` disposes of as a whole.
                // SAFETY: the vtable belongs to the payload here (Invariant 2).
                let _cancelled = unsafe { (slot.vtable().more)(slot.place(), completion) };
                Delivered::Wake(None)
            }
            (State::InFlight, false) => {
                slot.state.set(State::Done);
                slot.completion.set(completion);
                Delivered::Wake(slot.waker.take())
            }
            (State::Orphaned, false) => {
                slot.state.set(State::Finishing);
                Delivered::Orphan(id, completion)
            }
            (State::Done | State::Finishing | State::Vacant, _) => Delivered::Stale,
        }
    }

    /// Disposes of an orphan's payload. Runs user code (a buffer's drop).
    pub(crate) fn finish(&self, id: SlotId, completion: Completion) {
        let Some(slot) = self.find(id) else { return };
        debug_assert_eq!(slot.state.get(), State::Finishing);
        let guard = Vacate { slots: self, id };
        // SAFETY: the slot is finishing, so the payload is valid and nobody else takes it.
        unsafe { (slot.vtable().finish)(slot.place(), completion) };
        drop(guard);
    }

    /// The payload and its last completion, if that has come; else leaves `waker` to be woken.
    ///
    /// The waker that stood there before is returned with `Err`, to be dropped by the caller.
    ///
    /// # Safety
    ///
    /// `id` was made by `insert::<T>` of this table and not yet taken or orphaned.
    #[inline]
    pub(crate) unsafe fn take<T: Payload>(
        &self,
        id: SlotId,
        waker: &Waker,
    ) -> Result<(T, Completion), Option<Waker>> {
        let slot = self.find(id).expect("the operation owns this slot");
        if slot.state.get() != State::Done {
            let old = slot.waker.take();
            return Err(match old {
                Some(old) if old.will_wake(waker) => {
                    slot.waker.set(Some(old));
                    None
                }
                old => {
                    slot.waker.set(Some(waker.clone()));
                    old
                }
            });
        }
        let completion = slot.completion.get();
        // SAFETY: done, so the kernel is out of it, and the caller promises the type.
        let payload = unsafe { take_at::<T>(slot.place()) };
        self.vacate(id);
        Ok((payload, completion))
    }

    /// The payload of a multishot operation in flight or done, for the parts not lent to the
    /// kernel.
    ///
    /// # Safety
    ///
    /// As [`take`](Self::take), and the closure touches nothing that the entry lent to the kernel.
    pub(crate) unsafe fn with<T: Payload, R>(&self, id: SlotId, f: impl FnOnce(&mut T) -> R) -> R {
        let slot = self.find(id).expect("the operation owns this slot");
        // SAFETY: the caller promises the type.
        let mut payload = unsafe { payload_at::<T>(slot.place()) };
        // SAFETY: the payload is valid, and the shard alone is here (Invariant 3).
        f(unsafe { payload.as_mut() })
    }

    /// Nobody waits any more. Returns what the caller must do.
    pub(crate) fn orphan(&self, id: SlotId) -> Orphaned {
        let Some(slot) = self.find(id) else {
            return Orphaned::Nothing(None);
        };
        let waker = slot.waker.take();
        match slot.state.get() {
            State::InFlight => {
                slot.state.set(State::Orphaned);
                Orphaned::Cancel(waker)
            }
            State::Done => {
                slot.state.set(State::Finishing);
                Orphaned::Finish(slot.completion.get(), waker)
            }
            State::Vacant | State::Orphaned | State::Finishing => Orphaned::Nothing(waker),
        }
    }

    /// Whether the last completion has yet to come.
    #[inline]
    pub(crate) fn is_in_flight(&self, id: SlotId) -> bool {
        self.find(id)
            .is_some_and(|slot| slot.state.get() == State::InFlight)
    }

    /// Every slot in flight or orphaned.
    pub(crate) fn pending(&self) -> Vec<SlotId> {
        let slots = u32::try_from(self.chunks.borrow().len() * CHUNK).expect("below SLOTS_MAX");
        (0..slots)
            .filter_map(|index| {
                let slot = self.at(index)?;
                matches!(slot.state.get(), State::InFlight | State::Orphaned).then(|| SlotId {
                    index,
                    generation: slot.generation.get(),
                })
            })
            .collect()
    }

    #[inline]
    fn vacate(&self, id: SlotId) {
        let Some(slot) = self.find(id) else { return };
        slot.state.set(State::Vacant);
        slot.generation.set(slot.generation.get().wrapping_add(1));
        slot.vtable.set(None);
        slot.next_vacant.set(self.vacant.replace(id.index));
        self.live.set(self.live.get() - 1);
    }
}

/// Makes a slot vacant also when the payload's drop panics.
struct Vacate<'a> {
    slots: &'a Slots,
    id: SlotId,
}

impl Drop for Vacate<'_> {
    fn drop(&mut self) {
        self.slots.vacate(self.id);
    }
}

/// What remains to do after [`Slots::orphan`]; the waker is to be dropped with no borrow held.
#[must_use]
#[derive(Debug)]
pub(crate) enum Orphaned {
    /// Ask the kernel to stop; the payload stays until the last completion.
    Cancel(Option<Waker>),
    /// The last completion has come already: call [`Slots::finish`].
    Finish(Completion, Option<Waker>),
    /// Nothing.
    Nothing(Option<Waker>),
}

impl Drop for Slots {
    fn drop(&mut self) {
        if self.live.get() > 0 {
            // Invariant 4. Whoever shut the driver down has counted and reported this.
            return;
        }
        for chunk in self.chunks.get_mut().drain(..) {
            // SAFETY: `grow` leaked this box; no slot is occupied, so nobody points into it.
            drop(unsafe { Box::from_raw(chunk.as_ptr()) });
        }
    }
}

const _: () = assert!(
    size_of::<Slot>() <= 256,
    "a slot is at most four cache lines"
);
const _: () = assert!(
    size_of::<*mut ()>() <= INLINE_BYTES,
    "a boxed payload's pointer fits"
);

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
