//! A lock for one at a time, that may be held across an await.
//!
//! The value itself goes from hand to hand: whoever holds the lock has it, in the guard, and gives
//! it to the next in the queue. So there is nothing to be undone if a holder panics, no flag that
//! could contradict the value, and no code that is not safe.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::kind::Kind;
use super::look::wake;
use super::turn::{Queued, Standing, leave, poll_turn};
use super::waiters::{Place, WaitQueue};
use crate::task::Wait;

/// A value for one task at a time, which may hold it across an await.
///
/// First come, first served. A holder that panics lets go of the lock, as by returning; what it
/// left in the value is there for the next.
///
/// Where nothing is awaited while the value is changed, tasks of one shard need no lock: a
/// `RefCell` does.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{sync::Mutex, yield_now};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let balance = Mutex::new(100);
/// let mut held = balance.lock().await;
/// let before = *held;
/// yield_now().await; // nobody changes it meanwhile
/// *held = before - 10;
/// drop(held);
/// assert_eq!(*balance.lock().await, 90);
/// # });
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Mutex<T, K: Kind> {
    state: K::Cell<State<T>>,
}

struct State<T> {
    /// None while somebody holds it.
    value: Option<Box<T>>,
    queue: WaitQueue<Option<Box<T>>>,
}

impl<T> Queued for State<T> {
    type Value = Option<Box<T>>;

    fn queue(&mut self) -> &mut WaitQueue<Option<Box<T>>> {
        &mut self.queue
    }
}

impl<T> State<T> {
    /// Gives the value to the next, who is to be woken.
    fn hand_on(&mut self, value: Box<T>) -> Option<Waker> {
        if self.queue.is_empty() {
            self.value = Some(value);
            return None;
        }
        self.queue.grant_front(|_| Some(value))
    }
}

impl<T, K: Kind> Mutex<T, K> {
    /// A lock, free, around a value.
    pub fn new(value: T) -> Self {
        Self {
            state: K::cell(State {
                value: Some(Box::new(value)),
                queue: WaitQueue::new(),
            }),
        }
    }

    /// Locks, or waits until it can.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A dropped future loses its place in the queue; if the lock was its already, it
    /// goes to the next.
    pub fn lock(&self) -> Lock<T, K, &Self> {
        Lock::new(self)
    }

    /// Locks if the lock is free. Never if anybody waits for it.
    pub fn try_lock(&self) -> Option<MutexGuard<T, K, &Self>> {
        MutexGuard::take_now(self)
    }

    /// As [`lock`](Self::lock), for a guard that keeps the lock alive by itself.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use annulet_runtime::{spawn, sync::Mutex};
    ///
    /// # annulet_runtime::Builder::new().build()?.block_on(async {
    /// let log = Rc::new(Mutex::new(Vec::new()));
    /// let mut held = Mutex::lock_owned(&log).await;
    /// spawn(async move { held.push("written by the task") }).await?;
    /// assert_eq!(log.lock().await.len(), 1);
    /// # Ok::<_, annulet_runtime::JoinError>(())
    /// # })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`lock`](Self::lock).
    pub fn lock_owned(this: &K::Rc<Self>) -> Lock<T, K, K::Rc<Self>> {
        Lock::new(this.clone())
    }

    /// As [`try_lock`](Self::try_lock), for a guard that keeps the lock alive by itself.
    pub fn try_lock_owned(this: &K::Rc<Self>) -> Option<MutexGuard<T, K, K::Rc<Self>>> {
        MutexGuard::take_now(this.clone())
    }

    /// Whether somebody holds the lock.
    pub fn is_locked(&self) -> bool {
        K::with(&self.state, |state| state.value.is_none())
    }

    /// The value, for whoever has the whole lock.
    ///
    /// # Panics
    ///
    /// If a guard was leaked, by `mem::forget` or in a cycle, and the value with it.
    #[track_caller]
    pub fn get_mut(&mut self) -> &mut T {
        let value = K::cell_mut(&mut self.state).value.as_deref_mut();
        value.expect("the guard of this lock was leaked")
    }

    /// The value, taken out of the lock.
    ///
    /// # Panics
    ///
    /// As [`get_mut`](Self::get_mut).
    #[track_caller]
    pub fn into_inner(self) -> T {
        let value = K::into_cell(self.state).value;
        *value.expect("the guard of this lock was leaked")
    }
}

impl<T: Default, K: Kind> Default for Mutex<T, K> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T, K: Kind> From<T> for Mutex<T, K> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T, K: Kind> fmt::Debug for Mutex<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (locked, waiting) = K::with(&self.state, |state| {
            (state.value.is_none(), state.queue.len())
        });
        f.debug_struct("Mutex")
            .field("locked", &locked)
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

/// Holds a [`Mutex`] locked, and is the way to its value. Dropped, it lets go.
///
/// `M` is how it holds on to the lock: `&Mutex`, or an `Rc` or `Arc` of it.
#[must_use = "the lock is let go as soon as its guard is dropped"]
pub struct MutexGuard<T, K: Kind, M: Deref<Target = Mutex<T, K>>> {
    /// Both there until it is dropped, or taken apart.
    mutex: Option<M>,
    value: Option<Box<T>>,
}

const HELD: &str = "a guard has the value until it is dropped";

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> MutexGuard<T, K, M> {
    fn take_now(mutex: M) -> Option<Self> {
        let value = K::with(&mutex.state, |state| state.value.take())?;
        Some(Self::new(mutex, value))
    }

    fn new(mutex: M, value: Box<T>) -> Self {
        Self {
            mutex: Some(mutex),
            value: Some(value),
        }
    }

    /// The lock that this guard holds.
    #[expect(clippy::missing_panics_doc, reason = "a guard has its lock")]
    pub fn mutex(this: &Self) -> &M {
        this.mutex.as_ref().expect(HELD)
    }

    /// Lets go. Gives the way to the lock, and whom to wake.
    pub(super) fn into_parts(mut self) -> (M, Option<Waker>) {
        let mutex = self.mutex.take().expect(HELD);
        let value = self.value.take().expect(HELD);
        let next = K::with(&mutex.state, |state| state.hand_on(value));
        (mutex, next)
    }

    fn let_go(&mut self) {
        if let (Some(mutex), Some(value)) = (&self.mutex, self.value.take()) {
            wake(K::with(&mutex.state, |state| state.hand_on(value)));
        }
    }
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> Deref for MutexGuard<T, K, M> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value.as_deref().expect(HELD)
    }
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> DerefMut for MutexGuard<T, K, M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_deref_mut().expect(HELD)
    }
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> Drop for MutexGuard<T, K, M> {
    #[inline]
    fn drop(&mut self) {
        self.let_go();
    }
}

impl<T: fmt::Debug, K: Kind, M: Deref<Target = Mutex<T, K>>> fmt::Debug for MutexGuard<T, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: fmt::Display, K: Kind, M: Deref<Target = Mutex<T, K>>> fmt::Display
    for MutexGuard<T, K, M>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// The future of [`Mutex::lock`] and [`Mutex::lock_owned`].
#[must_use = "futures do nothing until polled"]
pub struct Lock<T, K: Kind, M: Deref<Target = Mutex<T, K>>> {
    /// None once it is done.
    mutex: Option<M>,
    place: Option<Place>,
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> Lock<T, K, M> {
    pub(super) fn new(mutex: M) -> Self {
        Self {
            mutex: Some(mutex),
            place: None,
        }
    }
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> Unpin for Lock<T, K, M> {}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> Future for Lock<T, K, M> {
    type Output = MutexGuard<T, K, M>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mutex = this.mutex.as_ref().expect("polled after it was ready");
        let value = poll_turn::<K, _, _>(
            &mutex.state,
            &mut this.place,
            Wait::Mutex,
            cx,
            |state| state.value.take().map(Some).ok_or(None),
            |value| value,
        );
        let Poll::Ready(value) = value else {
            return Poll::Pending;
        };
        let mutex = this.mutex.take().expect("looked at above");
        let value = value.expect("whoever is served gets the value");
        Poll::Ready(MutexGuard::new(mutex, value))
    }
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> Drop for Lock<T, K, M> {
    #[inline]
    fn drop(&mut self) {
        if let (Some(mutex), Some(place)) = (&self.mutex, self.place.take()) {
            leave::<K, _>(&mutex.state, place, |state, standing, wakes| {
                if let Standing::Granted(Some(value)) = standing {
                    wakes.extend(state.hand_on(value));
                }
            });
        }
    }
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> fmt::Debug for Lock<T, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}
