//! Graceful cancels: who within a task hears of one.
//!
//! An abort drops a task's future. A cancel asks: it is told to the **listeners** that the task is
//! inside of, which are its cancel scopes and task groups, and those end what runs in them and
//! hand a value to the code around, which then may await whatever it has to put in order.
//!
//! Listeners lie within each other as the futures do, so those of one task are a tree, as a rule a
//! mere chain. A cancel is told to the innermost only, the leaves; what becomes of the outer ones
//! is for the code between to say, by passing the value on or not.
//!
//! # What is where
//!
//! A listener is listed by the id of its task in a table of the thread, from its first poll to its
//! end; a task without one costs nothing. Three bits of the task's header, above the count of its
//! busy ticks ([`Busy`]), remember what must outlast the listeners:
//!
//! | bit | true when set |
//! |---|---|
//! | ASKED | a cancel was asked for, ever |
//! | LISTENS | the task has been inside a cancel scope, or was told of a cancel: it minds its own end, and a cancel never aborts it |
//! | PENDING | a cancel waits for the next listener |
//!
//! # A cancel is told once, and not lost
//!
//! A cancel that finds listeners becomes a [`Request`], which each leaf holds until it has answered
//! it (by ending what runs in it) or is gone. If all are gone and none has answered, because
//! what ran had come to its end by itself, the cancel is asked anew: of the next listener outward,
//! or it is PENDING. Cancels that come while one is not answered yet are one with it.
//!
//! A group that is ending asks its own body in the same way: the innermost listeners inside of it.
//! If these go without an answer and no other is there, the group is what hears of that.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::task::{Context, Waker};

use super::header::Task;
use super::meta::TaskId;
use super::owner;
use super::state::COMPLETE;
use crate::panics::discard_panic;
use crate::shim::Cell as OwnerCell;

/// A cancel was asked for, ever.
const ASKED: u64 = 1 << 61;
/// The task minds its own end.
const LISTENS: u64 = 1 << 62;
/// A cancel waits for the next listener.
const PENDING: u64 = 1 << 63;

/// How long a task was polled, in ticks, with the bits above it. 2^61 ticks are some twenty years,
/// so that adding to them leaves the bits alone, and a poll need not know of these.
#[derive(Debug)]
pub(super) struct Busy(OwnerCell<u64>);

impl Busy {
    pub(super) fn new() -> Self {
        Self(OwnerCell::new(0))
    }

    /// Adds the ticks of a poll.
    #[inline]
    pub(super) fn add(&self, ticks: u64) {
        self.0.set(self.0.get().wrapping_add(ticks));
    }

    /// The ticks, without the bits.
    pub(super) fn ticks(&self) -> u64 {
        self.0.get() & !(ASKED | LISTENS | PENDING)
    }

    fn any(&self, bits: u64) -> bool {
        self.0.get() & bits != 0
    }

    fn set(&self, bits: u64) {
        self.0.set(self.0.get() | bits);
    }

    fn take(&self, bits: u64) -> bool {
        let before = self.0.get();
        self.0.set(before & !bits);
        before & bits != 0
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Whoever has the task's handle.
    Handle,
    /// A place further out in the same task: a group that is ending.
    Place,
}

/// One cancel, as long as it is not answered.
struct Request {
    answered: Cell<bool>,
    /// The place that asks; none for a handle.
    place: Option<Rc<Listener>>,
}

impl Request {
    fn new(place: Option<Rc<Listener>>) -> Rc<Self> {
        Rc::new(Self {
            answered: Cell::new(false),
            place,
        })
    }
}

/// One place in a task where cancels are heard.
struct Listener {
    outer: Option<Rc<Self>>,
    /// How many listeners are right inside.
    inner: Cell<usize>,
    told: RefCell<Option<Rc<Request>>>,
    /// It has asked those inside, and all of them have gone without an answer.
    unheard: Cell<bool>,
    /// Of the last poll.
    waker: RefCell<Option<Waker>>,
}

impl Listener {
    fn wake(&self) {
        // A clone, so that no borrow is held while code of a user runs.
        let waker = self.waker.borrow().clone();
        if let Some(waker) = waker {
            discard_panic(|| waker.wake());
        }
    }

    fn is_within(&self, place: &Rc<Self>) -> bool {
        let mut outer = self.outer.as_ref();
        while let Some(listener) = outer {
            if Rc::ptr_eq(listener, place) {
                return true;
            }
            outer = listener.outer.as_ref();
        }
        false
    }
}

thread_local! {
    /// The listeners of each task that has some. Gone when the thread ends, maybe before its tasks.
    static LISTENERS: RefCell<HashMap<TaskId, Vec<Rc<Listener>>>> = RefCell::default();
    /// The innermost listener whose poll is on the stack. Never dropped, so that the thread's other
    /// values may ask as they are dropped with it.
    static CURRENT: ManuallyDrop<RefCell<Option<Rc<Listener>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// The task whose poll is on the stack.
fn running() -> Option<Task> {
    owner::current_owner()?.local().running.get()
}

/// Tells the innermost listeners of a task, or of a place within it. False if there are none.
fn tell(task: TaskId, place: Option<&Rc<Listener>>) -> bool {
    let leaves = LISTENERS.try_with(|table| -> Vec<_> {
        let table = table.borrow();
        let listeners = table.get(&task).into_iter().flatten();
        listeners
            .filter(|listener| listener.inner.get() == 0)
            .filter(|listener| place.is_none_or(|place| listener.is_within(place)))
            .cloned()
            .collect()
    });
    // Where the thread ends and has no table any more, nobody listens.
    let leaves = leaves.unwrap_or_default();
    let request = Request::new(place.cloned());
    for leaf in &leaves {
        let mut told = leaf.told.borrow_mut();
        if told.is_none() {
            *told = Some(Rc::clone(&request));
            drop(told);
            leaf.wake();
        }
    }
    !leaves.is_empty()
}

impl Task {
    /// Asks the task to end: tells its innermost listeners, or leaves word for the next, or, if it
    /// has never listened, aborts it.
    pub(super) fn request_cancel(self) {
        if self.state.any(COMPLETE) {
            return;
        }
        if !self.ask() {
            self.abort();
        }
    }

    /// Tells the innermost listeners, or leaves word for the next. False if it has never listened.
    fn ask(self) -> bool {
        self.busy.set(ASKED);
        if tell(self.id, None) {
            self.busy.set(LISTENS);
        } else if self.busy.any(LISTENS) {
            self.busy.set(PENDING);
        } else {
            return false;
        }
        true
    }
}

/// Asks the task whose poll is on the stack to end. True if it has never listened: it is then to
/// end at once.
pub(super) fn ask_running() -> bool {
    running().is_some_and(|task| !task.ask())
}

/// Whether anybody has asked the current task to cancel, ever; false outside a task.
///
/// It stays true once it is: a task that goes on regardless can still see that it was asked. The
/// cancel itself is told once, to the innermost [`CancelScope`](crate::CancelScope) or
/// [`TaskGroup`](crate::TaskGroup) that the task is inside of.
#[must_use]
pub fn cancel_requested() -> bool {
    running().is_some_and(|task| task.busy.any(ASKED))
}

/// A listener's place in its task, for as long as this lives.
pub(crate) struct Place {
    listener: Rc<Listener>,
    task: Option<TaskId>,
}

impl Place {
    /// Enters the place where the current poll is. `minds` says that the task minds its own end
    /// from here on, so that cancels never abort it.
    pub(crate) fn enter(minds: bool) -> Self {
        let outer = CURRENT.with(|current| current.borrow().clone());
        if let Some(outer) = &outer {
            outer.inner.set(outer.inner.get() + 1);
        }
        let mut place = Self {
            listener: Rc::new(Listener {
                outer,
                inner: Cell::new(0),
                told: RefCell::new(None),
                unheard: Cell::new(false),
                waker: RefCell::new(None),
            }),
            task: None,
        };
        place.list();
        if minds && let Some(task) = running() {
            task.busy.set(LISTENS);
        }
        place
    }

    /// Lists it under the current task, which is another one if the future has moved.
    fn list(&mut self) {
        let current = running();
        let id = current.map(|task| task.id);
        if id == self.task {
            return;
        }
        self.unlist();
        self.task = id;
        let Some(task) = current else { return };
        let listener = Rc::clone(&self.listener);
        let _gone = LISTENERS.try_with(|table| {
            let mut table = table.borrow_mut();
            table.entry(task.id).or_default().push(listener);
        });
        if task.busy.take(PENDING) {
            task.busy.set(LISTENS);
            *self.listener.told.borrow_mut() = Some(Request::new(None));
        }
    }

    fn unlist(&mut self) {
        let Some(task) = self.task.take() else { return };
        let _gone = LISTENERS.try_with(|table| {
            let mut table = table.borrow_mut();
            let Some(listeners) = table.get_mut(&task) else {
                return;
            };
            if let Some(at) = listeners
                .iter()
                .position(|other| Rc::ptr_eq(other, &self.listener))
            {
                listeners.swap_remove(at);
            }
            if listeners.is_empty() {
                table.remove(&task);
            }
        });
    }

    /// Polls what is inside of it.
    pub(crate) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        self.list();
        self.watch(cx.waker());
        let _within =
            Within(CURRENT.with(|current| current.replace(Some(Rc::clone(&self.listener)))));
        poll(cx)
    }

    /// Remembers whom to wake.
    fn watch(&self, waker: &Waker) {
        let mut slot = self.listener.waker.borrow_mut();
        if slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return;
        }
        drop(slot);
        let waker = waker.clone();
        slot = self.listener.waker.borrow_mut();
        let before = slot.replace(waker);
        drop(slot);
        drop(before);
    }

    /// Wakes whoever polls it.
    pub(crate) fn waking(&self) -> Waking {
        Waking(Rc::clone(&self.listener))
    }

    /// Whether there is a cancel to be answered here, and whose.
    pub(crate) fn told(&self) -> Option<Asker> {
        let told = self.listener.told.borrow();
        told.as_ref().map(|request| match request.place {
            Some(_) => Asker::Place,
            None => Asker::Handle,
        })
    }

    /// Says that what was told is being done.
    pub(crate) fn answer(&self) {
        if let Some(request) = &*self.listener.told.borrow() {
            request.answered.set(true);
        }
    }

    /// Tells the innermost listeners inside of this one. False if there are none. If there are, and
    /// all go without an answer, this is woken and finds it [unheard](Self::take_unheard).
    pub(crate) fn tell_inner(&self) -> bool {
        let Some(task) = self.task else { return false };
        tell(task, Some(&self.listener))
    }

    /// Whether all that were told inside have gone, and none has answered.
    pub(crate) fn take_unheard(&self) -> bool {
        self.listener.unheard.take()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let task = self.task;
        self.unlist();
        if let Some(outer) = &self.listener.outer {
            outer.inner.set(outer.inner.get() - 1);
        }
        let waker = self.listener.waker.take();
        drop(waker);
        let Some(request) = self.listener.told.take() else {
            return;
        };
        let is_last = Rc::strong_count(&request) == 1;
        if !is_last || request.answered.get() {
            return;
        }
        // Nobody has answered it. If the task is not the running one, it is over.
        let Some(running) = running().filter(|running| Some(running.id) == task) else {
            return;
        };
        if tell(running.id, request.place.as_ref()) {
            return;
        }
        match &request.place {
            Some(place) => {
                place.unheard.set(true);
                place.wake();
            }
            None => running.busy.set(LISTENS | PENDING),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("task", &self.task)
            .field("told", &self.told())
            .finish_non_exhaustive()
    }
}

/// Wakes whoever polls a [`Place`].
#[derive(Clone)]
pub(crate) struct Waking(Rc<Listener>);

impl Waking {
    pub(crate) fn wake(&self) {
        self.0.wake();
    }

    /// Whether both are of one place.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// Makes the listener before the current one again.
struct Within(Option<Rc<Listener>>);

impl Drop for Within {
    fn drop(&mut self) {
        let ours = CURRENT.with(|current| current.replace(self.0.take()));
        drop(ours);
    }
}

/// How many tasks of this thread have listeners.
#[cfg(all(test, not(loom)))]
pub(crate) fn listeners() -> usize {
    LISTENERS.with_borrow(HashMap::len)
}
