//! A lock for many readers or one writer, that may be held across an await.
//!
//! The value stands behind a shared pointer. Readers have clones of it; a writer has the pointer
//! itself, taken out of the lock once the last reader has dropped its own, and so is alone with the
//! value. Nobody overtakes: a reader that comes while a writer waits, waits behind it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::kind::Kind;
use super::turn::{Queued, Standing, leave, poll_turn};
use super::waiters::{Place, WaitQueue, Wakes};
use crate::task::Wait;

/// A value that many read at once, or one changes, held across awaits.
///
/// First come, first served: a reader that comes after a waiting writer waits until that is
/// through. So a task that reads twice at the same time waits for itself if a writer came between.
///
/// A holder that panics lets go, as by returning.
///
/// # Examples
///
/// ```
/// use annulet_runtime::sync::RwLock;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let settings = RwLock::new(vec!["a"]);
/// let (one, two) = (settings.read().await, settings.read().await);
/// assert_eq!(one.len() + two.len(), 2);
/// drop((one, two));
/// settings.write().await.push("b");
/// assert_eq!(settings.into_inner(), ["a", "b"]);
/// # });
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct RwLock<T, K: Kind> {
    state: K::Cell<State<T, K>>,
}

struct State<T, K: Kind> {
    /// None while a writer has it.
    value: Option<K::Rc<T>>,
    readers: usize,
    queue: WaitQueue<Turn<K::Rc<T>>>,
}

/// What a waiter wants, and then what it got.
enum Turn<V> {
    Reads,
    Writes,
    Has(V),
}

impl<T, K: Kind> Queued for State<T, K> {
    type Value = Turn<K::Rc<T>>;

    fn queue(&mut self) -> &mut WaitQueue<Self::Value> {
        &mut self.queue
    }
}

impl<T, K: Kind> State<T, K> {
    #[inline]
    fn try_read(&mut self) -> Option<K::Rc<T>> {
        if self.queue.is_empty() {
            self.lend()
        } else {
            None
        }
    }

    #[inline]
    fn try_write(&mut self) -> Option<K::Rc<T>> {
        if self.queue.is_empty() {
            self.lend_whole()
        } else {
            None
        }
    }

    #[inline]
    fn lend(&mut self) -> Option<K::Rc<T>> {
        let value = self.value.clone()?;
        self.readers += 1;
        Some(value)
    }

    #[inline]
    fn lend_whole(&mut self) -> Option<K::Rc<T>> {
        if self.readers > 0 {
            return None;
        }
        self.value.take()
    }

    /// Serves whoever can be, from the front.
    fn serve(&mut self, wakes: &mut Wakes) {
        loop {
            let lent = match self.queue.front_mut() {
                Some(Turn::Reads) => self.lend(),
                Some(Turn::Writes) => self.lend_whole(),
                Some(Turn::Has(_)) | None => return,
            };
            let Some(value) = lent else { return };
            wakes.extend(self.queue.grant_front(|_| Turn::Has(value)));
        }
    }
}

impl<T, K: Kind> RwLock<T, K> {
    /// A lock, free, around a value.
    pub fn new(value: T) -> Self {
        Self {
            state: K::cell(State {
                value: Some(K::rc(value)),
                readers: 0,
                queue: WaitQueue::new(),
            }),
        }
    }

    /// Locks for reading, or waits until it can.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A dropped future loses its place in the queue; if the lock was its already, it
    /// is let go. Who waited behind it moves up.
    pub fn read(&self) -> RwLockRead<T, K, &Self> {
        RwLockRead(Wanted::new(self, false))
    }

    /// Locks for writing, or waits until it can.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    pub fn write(&self) -> RwLockWrite<T, K, &Self> {
        RwLockWrite(Wanted::new(self, true))
    }

    /// Locks for reading if no writer has the lock and nobody waits for it.
    pub fn try_read(&self) -> Option<RwLockReadGuard<T, K, &Self>> {
        let value = K::with(&self.state, State::try_read)?;
        Some(RwLockReadGuard(Held::new(self, value)))
    }

    /// Locks for writing if nobody has the lock and nobody waits for it.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<T, K, &Self>> {
        let value = K::with(&self.state, State::try_write)?;
        Some(RwLockWriteGuard(Held::new(self, value)))
    }

    /// As [`read`](Self::read), for a guard that keeps the lock alive by itself.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    pub fn read_owned(this: &K::Rc<Self>) -> RwLockRead<T, K, K::Rc<Self>> {
        RwLockRead(Wanted::new(this.clone(), false))
    }

    /// As [`write`](Self::write), for a guard that keeps the lock alive by itself.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    pub fn write_owned(this: &K::Rc<Self>) -> RwLockWrite<T, K, K::Rc<Self>> {
        RwLockWrite(Wanted::new(this.clone(), true))
    }

    /// As [`try_read`](Self::try_read), for a guard that keeps the lock alive by itself.
    pub fn try_read_owned(this: &K::Rc<Self>) -> Option<RwLockReadGuard<T, K, K::Rc<Self>>> {
        let value = K::with(&this.state, State::try_read)?;
        Some(RwLockReadGuard(Held::new(this.clone(), value)))
    }

    /// As [`try_write`](Self::try_write), for a guard that keeps the lock alive by itself.
    pub fn try_write_owned(this: &K::Rc<Self>) -> Option<RwLockWriteGuard<T, K, K::Rc<Self>>> {
        let value = K::with(&this.state, State::try_write)?;
        Some(RwLockWriteGuard(Held::new(this.clone(), value)))
    }

    /// Serves whoever can be. What was given back just before went to nobody else: somebody waits.
    #[cold]
    fn serve(&self) {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| state.serve(&mut wakes));
        wakes.wake();
    }

    /// The value, for whoever has the whole lock.
    ///
    /// # Panics
    ///
    /// If a guard was leaked, by `mem::forget` or in a cycle.
    #[track_caller]
    pub fn get_mut(&mut self) -> &mut T {
        let value = K::cell_mut(&mut self.state).value.as_mut();
        let value = value.and_then(K::rc_mut);
        value.expect("a guard of this lock was leaked")
    }

    /// The value, taken out of the lock.
    ///
    /// # Panics
    ///
    /// As [`get_mut`](Self::get_mut).
    #[track_caller]
    pub fn into_inner(self) -> T {
        let value = K::into_cell(self.state).value;
        let value = value.and_then(K::rc_into_inner);
        value.expect("a guard of this lock was leaked")
    }
}

impl<T: Default, K: Kind> Default for RwLock<T, K> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T, K: Kind> From<T> for RwLock<T, K> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T, K: Kind> fmt::Debug for RwLock<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (readers, writing, waiting) = K::with(&self.state, |state| {
            (state.readers, state.value.is_none(), state.queue.len())
        });
        f.debug_struct("RwLock")
            .field("readers", &readers)
            .field("writing", &writing)
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

const HELD: &str = "a guard has the value until it is dropped";

/// What both guards are made of; both parts are there until it is dropped or taken apart.
struct Held<L, V> {
    lock: Option<L>,
    value: Option<V>,
}

impl<L, V> Held<L, V> {
    fn new(lock: L, value: V) -> Self {
        Self {
            lock: Some(lock),
            value: Some(value),
        }
    }
}

/// Holds a [`RwLock`] for reading. Dropped, it lets go.
///
/// `L` is how it holds on to the lock: `&RwLock`, or an `Rc` or `Arc` of it.
#[must_use = "the lock is let go as soon as its guard is dropped"]
pub struct RwLockReadGuard<T, K: Kind, L: Deref<Target = RwLock<T, K>>>(Held<L, K::Rc<T>>);

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> Deref for RwLockReadGuard<T, K, L> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.value.as_ref().expect(HELD)
    }
}

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> Drop for RwLockReadGuard<T, K, L> {
    #[inline]
    fn drop(&mut self) {
        if let (Some(lock), Some(value)) = (&self.0.lock, self.0.value.take()) {
            // Before the writer is let in: it must be alone with the value.
            drop(value);
            let is_wanted = K::with(&lock.state, |state| {
                state.readers -= 1;
                !state.queue.is_empty()
            });
            if is_wanted {
                lock.serve();
            }
        }
    }
}

impl<T: fmt::Debug, K: Kind, L: Deref<Target = RwLock<T, K>>> fmt::Debug
    for RwLockReadGuard<T, K, L>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Holds a [`RwLock`] for writing. Dropped, it lets go.
///
/// `L` is how it holds on to the lock: `&RwLock`, or an `Rc` or `Arc` of it.
#[must_use = "the lock is let go as soon as its guard is dropped"]
pub struct RwLockWriteGuard<T, K: Kind, L: Deref<Target = RwLock<T, K>>>(Held<L, K::Rc<T>>);

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> RwLockWriteGuard<T, K, L> {
    /// Goes on as a reader, without letting a writer in between. Readers that wait first in the
    /// queue come in.
    #[expect(clippy::missing_panics_doc, reason = "a guard has its lock")]
    pub fn downgrade(mut this: Self) -> RwLockReadGuard<T, K, L> {
        let lock = this.0.lock.take().expect(HELD);
        let value = this.0.value.take().expect(HELD);
        K::with(&lock.state, |state| {
            state.value = Some(value.clone());
            state.readers += 1;
        });
        lock.serve();
        RwLockReadGuard(Held::new(lock, value))
    }
}

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> Deref for RwLockWriteGuard<T, K, L> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.value.as_ref().expect(HELD)
    }
}

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> DerefMut for RwLockWriteGuard<T, K, L> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        let value = self.0.value.as_mut().expect(HELD);
        K::rc_mut(value).expect("a writer is alone with the value")
    }
}

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> Drop for RwLockWriteGuard<T, K, L> {
    #[inline]
    fn drop(&mut self) {
        if let (Some(lock), Some(value)) = (&self.0.lock, self.0.value.take()) {
            let is_wanted = K::with(&lock.state, |state| {
                state.value = Some(value);
                !state.queue.is_empty()
            });
            if is_wanted {
                lock.serve();
            }
        }
    }
}

impl<T: fmt::Debug, K: Kind, L: Deref<Target = RwLock<T, K>>> fmt::Debug
    for RwLockWriteGuard<T, K, L>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// What both futures are made of.
struct Wanted<T, K: Kind, L: Deref<Target = RwLock<T, K>>> {
    /// None once it is done.
    lock: Option<L>,
    place: Option<Place>,
    writes: bool,
}

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> Wanted<T, K, L> {
    fn new(lock: L, writes: bool) -> Self {
        Self {
            lock: Some(lock),
            place: None,
            writes,
        }
    }

    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Held<L, K::Rc<T>>> {
        let lock = self.lock.as_ref().expect("polled after it was ready");
        let writes = self.writes;
        let turn = poll_turn::<K, _, _>(
            &lock.state,
            &mut self.place,
            Wait::RwLock,
            cx,
            |state| {
                let (lent, turn) = if writes {
                    (state.try_write(), Turn::Writes)
                } else {
                    (state.try_read(), Turn::Reads)
                };
                lent.map(Turn::Has).ok_or(turn)
            },
            |turn| turn,
        );
        let Poll::Ready(turn) = turn else {
            return Poll::Pending;
        };
        let (Turn::Has(value), Some(lock)) = (turn, self.lock.take()) else {
            unreachable!("whoever is served gets the value, and has its lock");
        };
        Poll::Ready(Held::new(lock, value))
    }
}

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> Drop for Wanted<T, K, L> {
    #[inline]
    fn drop(&mut self) {
        let writes = self.writes;
        if let (Some(lock), Some(place)) = (&self.lock, self.place.take()) {
            leave::<K, _>(&lock.state, place, |state, standing, wakes| {
                match standing {
                    Standing::Granted(Turn::Has(value)) if writes => state.value = Some(value),
                    Standing::Granted(value) => {
                        drop(value);
                        state.readers -= 1;
                    }
                    // Those behind it may be readers, like those who have the lock.
                    Standing::Waiting => {}
                }
                state.serve(wakes);
            });
        }
    }
}

/// The future of [`RwLock::read`] and [`RwLock::read_owned`].
#[must_use = "futures do nothing until polled"]
pub struct RwLockRead<T, K: Kind, L: Deref<Target = RwLock<T, K>>>(Wanted<T, K, L>);

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> Unpin for RwLockRead<T, K, L> {}

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> Future for RwLockRead<T, K, L> {
    type Output = RwLockReadGuard<T, K, L>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx).map(RwLockReadGuard)
    }
}

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> fmt::Debug for RwLockRead<T, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockRead").finish_non_exhaustive()
    }
}

/// The future of [`RwLock::write`] and [`RwLock::write_owned`].
#[must_use = "futures do nothing until polled"]
pub struct RwLockWrite<T, K: Kind, L: Deref<Target = RwLock<T, K>>>(Wanted<T, K, L>);

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> Unpin for RwLockWrite<T, K, L> {}

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> Future for RwLockWrite<T, K, L> {
    type Output = RwLockWriteGuard<T, K, L>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx).map(RwLockWriteGuard)
    }
}

impl<T, K: Kind, L: Deref<Target = RwLock<T, K>>> fmt::Debug for RwLockWrite<T, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockWrite").finish_non_exhaustive()
    }
}
