//! The owner of tasks: what one shard's tasks share, half of it for all threads, half for its own.
//!
//! # Who keeps an owner alive
//!
//! An owner lies in an `Arc`. Its own thread holds one strong count, shared out as **pins**: the
//! executor has one, so does each join handle and each place that remembers the owner as current.
//! Pins are counted in a plain cell, so a spawn costs no atomic for them. When the last pin goes,
//! the half that belongs to this thread is emptied there and then and the strong count is given up.
//! Beside that, every `Remote` and every merged cell has a strong count of its own, so the other
//! half, all of it fit for any thread, lives for as long as somebody may wake or send.
//!
//! # Am I on the owner's thread?
//!
//! A thread-local pointer names the owner whose executor this thread is inside of; a waker compares
//! it with its task's. Equal means this thread: only the owner's thread ever sets it to that owner,
//! and since the place holds a pin, no other owner can get the same address meanwhile. Unequal
//! means nothing, and the road for other threads is taken, which is right from everywhere.
//!
//! # Invariants
//!
//! 1. `Owner::local` is used by one thread only, the one that made the owner. ([`OwnerRef`] and
//!    [`LocalOwner`] give access to it and cannot leave their thread.) After the last pin it holds
//!    nothing whose drop matters, so the `Owner` itself may be dropped anywhere.
//! 2. An [`OwnerRef`] is used only while a pin, or a cell that knows this owner, is alive.
//! 3. Each pin in the count is held by exactly one of the things named above.

#![expect(
    unsafe_code,
    reason = "the owner's thread shares out one strong count by hand"
)]

use std::cell::{Cell as StdCell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc as StdArc;

use super::cells::Cells;
use super::class::Class;
use super::header::{Header, Link};
use super::inbox::Inbox;
use super::lists::TaskList;
use super::messages::{Message, Messages, Sent};
use super::meta::{ID_BLOCK, TaskId, TaskMeta};
use super::pace::Pace;
use super::probe::Probe;
use super::queues::Queues;
use super::running::RunningCell;
use super::sleep::Sleep;
use super::unhandled::{self, Unhandled};
use crate::metrics::Meter;
use crate::panics::{Payload, contain, discard_payload};
use crate::shim::{Arc, Cell, thread_local_const};

/// Ends an owner's sleep.
pub(crate) trait Unpark: Send + Sync + 'static {
    /// Ends the current sleep of the owner's thread, or else the next. May be called from any
    /// thread, and is never called under a lock of ours.
    fn unpark(&self);
}

/// See the [module](self).
pub(crate) struct Owner {
    pub(super) inbox: Inbox,
    pub(super) messages: Messages,
    pub(super) sleep: Sleep,
    unpark: StdArc<dyn Unpark>,
    pub(super) running: RunningCell,
    meter: StdArc<Meter>,
    /// The name of the thread.
    thread: String,
    local: Local,
}

// SAFETY: `local` alone is not `Send`. It is touched by its own thread only, and holds nothing by
// the time another thread can drop it: Invariant 1.
unsafe impl Send for Owner {}

// SAFETY: `local` alone is not `Sync`, and one thread alone uses it: Invariant 1.
unsafe impl Sync for Owner {}

/// What only the owner's thread touches.
pub(super) struct Local {
    pub(super) queues: Queues,
    pub(super) tasks: TaskList,
    /// The task whose poll is on the stack.
    pub(super) running: Cell<Link>,
    pub(super) meter: StdArc<Meter>,
    pub(super) pace: Pace,
    /// In debug mode alone.
    pub(super) probe: OnceCell<Probe>,
    /// When the class that runs has had its turn, in ticks.
    pub(super) slice_end: Cell<u64>,
    /// Messages taken from the queue and not run yet.
    pub(super) backlog: RefCell<VecDeque<Sent>>,
    pub(super) shut_down: Cell<bool>,
    /// Memory of cells, freed and kept.
    pub(super) cells: Cells,
    pins: Cell<usize>,
    next_id: Cell<u64>,
    /// None for the default.
    unhandled: RefCell<Option<Rc<Unhandled>>>,
}

impl Local {
    /// The class of the task that runs, or the default.
    #[inline]
    pub(super) fn current_class(&self) -> Class {
        let running = self.running.get();
        running.map_or(Class::DEFAULT, |task| Class::from_number(task.class.get()))
    }
}

impl Owner {
    /// Something was published for the owner: unparks it if it sleeps.
    pub(super) fn ring(&self) {
        if self.sleep.must_unpark() {
            self.unpark.unpark();
        }
    }

    /// Whether tasks or messages from other threads wait.
    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        self.inbox.is_pending() || self.messages.is_pending()
    }
}

thread_local_const! {
    /// The owner whose executor this thread is inside of, with a pin on it; or null.
    static CURRENT: StdCell<*const Owner> = StdCell::new(ptr::null())
}

/// The address of the current owner, or null.
#[inline]
pub(super) fn current_address() -> *const Owner {
    // It has no destructor, so it can be read until the thread is gone.
    CURRENT.try_with(StdCell::get).unwrap_or(ptr::null())
}

/// The current owner.
#[inline]
pub(super) fn current_owner() -> Option<OwnerRef> {
    NonNull::new(current_address().cast_mut()).map(OwnerRef)
}

/// An owner, as its own thread sees it: a pointer that keeps nothing alive (Invariant 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnerRef(NonNull<Owner>);

impl OwnerRef {
    /// # Safety
    ///
    /// The caller is on the owner's thread, and uses the value only as Invariant 2 allows.
    #[inline]
    pub(super) unsafe fn from_raw(owner: NonNull<Owner>) -> Self {
        Self(owner)
    }

    #[inline]
    pub(super) fn as_non_null(self) -> NonNull<Owner> {
        self.0
    }

    /// The half for all threads.
    #[inline]
    pub(super) fn shared(&self) -> &Owner {
        // SAFETY: the owner is alive, by Invariant 2.
        unsafe { self.0.as_ref() }
    }

    /// The half for this thread.
    #[inline]
    pub(super) fn local(&self) -> &Local {
        &self.shared().local
    }

    #[inline]
    pub(super) fn next_id(self) -> TaskId {
        let local = self.local();
        let mut id = local.next_id.get();
        // The block begins at a multiple of its size, plus one.
        if id % ID_BLOCK == 1 {
            id = TaskId::take_block();
        }
        local.next_id.set(id + 1);
        TaskId::from_number(id)
    }

    /// Adds a pin; every call is matched by one of [`unpin`](Self::unpin).
    #[inline]
    pub(super) fn pin(self) {
        let pins = &self.local().pins;
        pins.set(pins.get() + 1);
    }

    /// Gives up a pin, and the owner with the last.
    #[inline]
    pub(super) fn unpin(self) {
        let pins = &self.local().pins;
        let left = pins.get() - 1;
        pins.set(left);
        if left == 0 {
            self.let_go();
        }
    }

    #[cold]
    fn let_go(self) {
        let local = self.local();
        debug_assert!(
            local.tasks.len() == 0 && local.queues.is_empty(),
            "shut down before"
        );
        // The hook and the backlog are user code's, and may be fit for this thread only. Their
        // drops may pin and unpin again, which must not lead here twice.
        local.pins.set(1);
        let hook = local.unhandled.take();
        let backlog = local.backlog.take();
        if let Err(payload) = contain(|| drop((hook, backlog))) {
            discard_payload(payload);
        }
        if local.pins.replace(local.pins.get() - 1) == 1 {
            // Last, since what was dropped above may have freed cells.
            local.cells.clear();
            // SAFETY: the pins hold one strong count, taken in `LocalOwner::new`, and the last of
            // them is gone (Invariant 3).
            drop(unsafe { Arc::from_raw(self.0.as_ptr()) });
        }
    }

    /// Adds a strong count for a merged cell, which gives it up in `release_strong`.
    pub(super) fn retain_strong(self) {
        // SAFETY: the pointer came from `Arc::into_raw`, and the owner is alive (Invariant 2).
        unsafe { Arc::increment_strong_count(self.0.as_ptr()) };
    }

    /// Hands a panic that nobody joined to the hook, and drops it.
    #[cold]
    pub(super) fn report(self, meta: &TaskMeta, payload: Payload) {
        let hook = self.local().unhandled.borrow().clone();
        let payload_ref = &*payload;
        let told = match hook {
            Some(hook) => contain(move || hook(meta, payload_ref)),
            None => {
                unhandled::print(meta, payload_ref);
                Ok(())
            }
        };
        if let Err(second) = told {
            discard_payload(second);
        }
        discard_payload(payload);
    }

    /// Runs code with this owner as the current one.
    #[inline]
    pub(super) fn enter<R>(self, code: impl FnOnce() -> R) -> R {
        if ptr::eq(current_address(), self.0.as_ptr()) {
            return code();
        }
        let _guard = EnterGuard::new(self);
        code()
    }
}

/// Gives up the strong count of a merged cell. Any thread.
///
/// # Safety
///
/// The caller frees, or has freed, a merged cell of this owner, whose count this is.
pub(super) unsafe fn release_strong(owner: NonNull<Owner>) {
    // SAFETY: the count was taken by `retain_strong`, and it is given up once, by the caller.
    drop(unsafe { Arc::from_raw(owner.as_ptr()) });
}

/// Keeps an owner current on this thread; the one before becomes current again on drop.
#[derive(Debug)]
#[must_use = "the owner is current only while the guard lives"]
pub(crate) struct EnterGuard {
    /// With the pin that the thread-local held on it.
    previous: *const Owner,
}

impl EnterGuard {
    fn new(owner: OwnerRef) -> Self {
        owner.pin();
        Self {
            previous: CURRENT.with(|current| current.replace(owner.0.as_ptr())),
        }
    }
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let ours = CURRENT.with(|current| current.replace(self.previous));
        if let Some(ours) = NonNull::new(ours.cast_mut()) {
            // The pin that the thread-local held: guards may be dropped out of order, so it may be
            // another owner's, but it is always the pin of what stood there.
            OwnerRef(ours).unpin();
        }
    }
}

/// A pin on an owner: what the executor holds, and what gives safe access to everything else.
#[derive(Debug)]
pub(crate) struct LocalOwner {
    inner: OwnerRef,
    not_send: PhantomData<*const ()>,
}

impl LocalOwner {
    /// A new owner, whose thread is this one.
    pub(crate) fn new(unpark: StdArc<dyn Unpark>, meter: StdArc<Meter>) -> Self {
        let owner = Arc::new(Owner {
            inbox: Inbox::new(),
            messages: Messages::new(),
            sleep: Sleep::new(),
            unpark,
            running: RunningCell::new(),
            meter: StdArc::clone(&meter),
            thread: std::thread::current()
                .name()
                .unwrap_or("a thread")
                .to_owned(),
            local: Local {
                queues: Queues::new(&meter),
                tasks: TaskList::new(),
                running: Cell::new(None),
                pace: Pace::new(&meter),
                probe: OnceCell::new(),
                slice_end: Cell::new(0),
                meter,
                backlog: RefCell::new(VecDeque::new()),
                shut_down: Cell::new(false),
                cells: Cells::default(),
                pins: Cell::new(1),
                next_id: Cell::new(1),
                unhandled: RefCell::new(None),
            },
        });
        let pointer = NonNull::new(Arc::into_raw(owner).cast_mut()).expect("an Arc is not null");
        Self {
            inner: OwnerRef(pointer),
            not_send: PhantomData,
        }
    }

    #[inline]
    pub(super) fn as_owner(&self) -> OwnerRef {
        self.inner
    }

    /// What the owner counts and measures.
    pub(crate) fn meter(&self) -> &StdArc<Meter> {
        &self.inner.shared().meter
    }

    /// A strong count, fit for any thread.
    pub(crate) fn to_shared(&self) -> SharedOwner {
        self.inner.retain_strong();
        // SAFETY: the strong count was added just now, for this.
        SharedOwner(unsafe { Arc::from_raw(self.inner.0.as_ptr()) })
    }

    /// Makes this owner the current one of this thread until the guard is dropped.
    pub(crate) fn enter(&self) -> EnterGuard {
        EnterGuard::new(self.inner)
    }

    /// Sets what hears of panics that nobody joins.
    pub(crate) fn set_unhandled(&self, hook: Box<Unhandled>) {
        let before = self.inner.local().unhandled.replace(Some(Rc::from(hook)));
        // Outside of the borrow: dropping it runs code of the user.
        drop(before);
    }
}

impl Clone for LocalOwner {
    fn clone(&self) -> Self {
        self.inner.pin();
        Self {
            inner: self.inner,
            not_send: PhantomData,
        }
    }
}

impl Drop for LocalOwner {
    fn drop(&mut self) {
        self.inner.unpin();
    }
}

/// An owner, as any thread may hold it: to send it messages.
#[derive(Clone)]
pub(crate) struct SharedOwner(Arc<Owner>);

impl SharedOwner {
    /// Sends a message, or gives it back if the owner has shut down.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        self.0.messages.push(message)?;
        self.0.ring();
        Ok(())
    }

    /// See [`Owner::ring`].
    pub(crate) fn ring(&self) {
        self.0.ring();
    }

    /// What the owner counts and measures.
    pub(crate) fn meter(&self) -> &StdArc<Meter> {
        &self.0.meter
    }

    /// The name of the owner's thread.
    pub(crate) fn thread_name(&self) -> &str {
        &self.0.thread
    }

    /// The task whose poll is on the stack, and where it was spawned.
    pub(crate) fn running(&self) -> Option<(TaskId, &'static Location<'static>)> {
        self.0.running.read()
    }

    /// Whether the owner has shut down.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.0.messages.is_closed()
    }
}

const _: () = {
    // A header is handed to other threads as a bare pointer, which needs no marker; the owner is in
    // an `Arc`, which does.
    const fn shareable<T: Send + Sync>() {}
    shareable::<Owner>();
    assert!(align_of::<Header>() > 1, "address 1 marks a closed inbox");
};
