//! A semaphore: a number of permits, taken and given back in the order of asking.
//!
//! Permits are handed on and never thrown among the waiting: whoever gives one back gives it to the
//! first in the queue, if it is enough for it. So whoever asks later cannot overtake, and a waiter
//! that wants many is not starved by those who want few.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::kind::Kind;
use super::turn::{Queued, Standing, leave, poll_turn};
use super::waiters::{Place, WaitQueue, Wakes};
use crate::task::Wait;

/// A number of permits, handed out first come first served.
///
/// A semaphore limits how many do something at once. Permits are given back when they are dropped.
///
/// # Examples
///
/// ```
/// use annulet_runtime::sync::Semaphore;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let downloads = Semaphore::new(2);
/// let one = downloads.acquire().await?;
/// let two = downloads.acquire().await?;
/// assert!(downloads.try_acquire().is_err());
/// drop(one);
/// assert_eq!(downloads.available_permits(), 1);
/// # drop(two);
/// # Ok::<_, annulet_runtime::sync::AcquireError>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Semaphore<K: Kind> {
    state: K::Cell<State>,
}

struct State {
    /// To be had.
    permits: usize,
    /// To be had, or held by somebody.
    total: usize,
    bound: usize,
    closed: bool,
    queue: WaitQueue<Turn>,
}

/// What a waiter wants, and then what it got.
#[derive(Clone, Copy)]
enum Turn {
    Wants(usize),
    Has(usize),
    Closed,
}

impl Queued for State {
    type Value = Turn;

    fn queue(&mut self) -> &mut WaitQueue<Turn> {
        &mut self.queue
    }
}

impl State {
    #[inline]
    fn take(&mut self, count: usize) -> Result<(), TryAcquireError> {
        if self.closed {
            return Err(TryAcquireError::Closed);
        }
        if !self.queue.is_empty() || self.permits < count {
            return Err(TryAcquireError::NoPermits);
        }
        self.permits -= count;
        Ok(())
    }

    /// Serves whoever can be, from the front.
    fn serve(&mut self, wakes: &mut Wakes) {
        while let Some(&mut Turn::Wants(count)) = self.queue.front_mut() {
            if self.permits < count {
                return;
            }
            self.permits -= count;
            wakes.extend(self.queue.grant_front(|_| Turn::Has(count)));
        }
    }
}

impl<K: Kind> Semaphore<K> {
    /// A semaphore with so many permits, and room for as many more as can be counted.
    pub fn new(permits: usize) -> Self {
        Self::with_bound(permits, usize::MAX)
    }

    /// A semaphore with so many permits that never has more: to [add](Self::add_permits) one that
    /// was not [forgotten](Permit::forget) before is a mistake, and is reported.
    pub fn bounded(permits: usize) -> Self {
        Self::with_bound(permits, permits)
    }

    fn with_bound(permits: usize, bound: usize) -> Self {
        Self {
            state: K::cell(State {
                permits,
                total: permits,
                bound,
                closed: false,
                queue: WaitQueue::new(),
            }),
        }
    }

    /// Takes a permit, or waits for one.
    ///
    /// # Errors
    ///
    /// If the semaphore is [closed](Self::close), before or meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A dropped future loses its place in the queue; a permit that it had been given
    /// goes to the next.
    pub fn acquire(&self) -> Acquire<K, &Self> {
        self.acquire_many(1)
    }

    /// Takes `count` permits at once, or waits for them. Who comes later waits behind, even for
    /// fewer.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_many(&self, count: usize) -> Acquire<K, &Self> {
        Acquire::new(self, count)
    }

    /// Takes a permit if one is to be had and nobody waits for it.
    ///
    /// # Errors
    ///
    /// If there is none to be had, or if the semaphore is closed.
    pub fn try_acquire(&self) -> Result<Permit<K, &Self>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `count` permits if so many are to be had and nobody waits.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_many(&self, count: usize) -> Result<Permit<K, &Self>, TryAcquireError> {
        Permit::take_now(self, count)
    }

    /// As [`acquire`](Self::acquire), for a permit that keeps the semaphore alive by itself.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use annulet_runtime::{spawn, sync::Semaphore};
    ///
    /// # annulet_runtime::Builder::new().build()?.block_on(async {
    /// let semaphore = Rc::new(Semaphore::new(1));
    /// let permit = Semaphore::acquire_owned(&semaphore).await?;
    /// let task = spawn(async move { drop(permit) });
    /// let next = semaphore.acquire().await?;
    /// # drop((task, next));
    /// # Ok::<_, annulet_runtime::sync::AcquireError>(())
    /// # })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_owned(this: &K::Rc<Self>) -> Acquire<K, K::Rc<Self>> {
        Self::acquire_many_owned(this, 1)
    }

    /// As [`acquire_many`](Self::acquire_many), for a permit that keeps the semaphore alive by
    /// itself.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_many_owned(this: &K::Rc<Self>, count: usize) -> Acquire<K, K::Rc<Self>> {
        Acquire::new(this.clone(), count)
    }

    /// As [`try_acquire`](Self::try_acquire), for a permit that keeps the semaphore alive by
    /// itself.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_owned(
        this: &K::Rc<Self>,
    ) -> Result<Permit<K, K::Rc<Self>>, TryAcquireError> {
        Permit::take_now(this.clone(), 1)
    }

    /// As [`try_acquire_many`](Self::try_acquire_many), for a permit that keeps the semaphore alive
    /// by itself.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_many_owned(
        this: &K::Rc<Self>,
        count: usize,
    ) -> Result<Permit<K, K::Rc<Self>>, TryAcquireError> {
        Permit::take_now(this.clone(), count)
    }

    /// Adds permits.
    ///
    /// # Panics
    ///
    /// If there would be more than the semaphore may have: see
    /// [`try_add_permits`](Self::try_add_permits).
    #[track_caller]
    pub fn add_permits(&self, count: usize) {
        if let Err(error) = self.try_add_permits(count) {
            panic!("{error}");
        }
    }

    /// Adds permits, if the semaphore may have so many. Those that are held count.
    ///
    /// # Errors
    ///
    /// If a [bounded](Self::bounded) semaphore would have more than its bound, or another one more
    /// than `usize::MAX`. Then none is added.
    pub fn try_add_permits(&self, count: usize) -> Result<(), TooManyPermits> {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| {
            if count > state.bound - state.total {
                return Err(TooManyPermits { bound: state.bound });
            }
            state.total += count;
            state.permits += count;
            state.serve(&mut wakes);
            Ok(())
        })?;
        wakes.wake();
        Ok(())
    }

    /// Takes up to `count` permits out of the world, of those that are to be had, and says how
    /// many.
    pub fn forget_permits(&self, count: usize) -> usize {
        K::with(&self.state, |state| {
            let forgotten = count.min(state.permits);
            state.permits -= forgotten;
            state.total -= forgotten;
            forgotten
        })
    }

    /// How many permits are to be had. Those that wait for many may have first claim to them.
    pub fn available_permits(&self) -> usize {
        K::with(&self.state, |state| state.permits)
    }

    /// Ends all waiting, now and in future: whoever waits gets an error. Permits that are held stay
    /// good.
    pub fn close(&self) {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| {
            state.closed = true;
            while let Some(waker) = state.queue.grant_front(|_| Turn::Closed) {
                wakes.push(waker);
            }
        });
        wakes.wake();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        K::with(&self.state, |state| state.closed)
    }

    #[inline]
    fn give_back(&self, count: usize) {
        let is_wanted = K::with(&self.state, |state| {
            state.permits += count;
            !state.queue.is_empty()
        });
        // Between the two nobody overtakes: where somebody waits, nothing is to be had.
        if is_wanted {
            self.serve();
        }
    }

    #[cold]
    fn serve(&self) {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| state.serve(&mut wakes));
        wakes.wake();
    }
}

impl<K: Kind> fmt::Debug for Semaphore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (permits, waiting, closed) = K::with(&self.state, |state| {
            (state.permits, state.queue.len(), state.closed)
        });
        f.debug_struct("Semaphore")
            .field("permits", &permits)
            .field("waiting", &waiting)
            .field("closed", &closed)
            .finish()
    }
}

/// Permits that are held, and given back when this is dropped.
///
/// `S` is how they hold on to their semaphore: `&Semaphore`, or an `Rc` or `Arc` of it.
#[must_use = "a permit is given back as soon as it is dropped"]
pub struct Permit<K: Kind, S: Deref<Target = Semaphore<K>>> {
    semaphore: S,
    count: usize,
}

impl<K: Kind, S: Deref<Target = Semaphore<K>>> Permit<K, S> {
    fn take_now(semaphore: S, count: usize) -> Result<Self, TryAcquireError> {
        K::with(&semaphore.state, |state| state.take(count))?;
        Ok(Self { semaphore, count })
    }

    /// How many permits these are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Drops the permits without giving them back: the semaphore has fewer from now on.
    pub fn forget(mut self) {
        let count = std::mem::take(&mut self.count);
        K::with(&self.semaphore.state, |state| state.total -= count);
    }

    /// Adds the permits of another to these.
    ///
    /// # Panics
    ///
    /// If they are of another semaphore.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            std::ptr::eq::<Semaphore<K>>(&*self.semaphore, &*other.semaphore),
            "permits of two semaphores cannot be merged"
        );
        self.count += std::mem::take(&mut other.count);
    }

    /// Takes `count` of these permits away as ones of their own, if there are so many.
    #[must_use = "the permits that were taken away are given back as soon as they are dropped"]
    pub fn split(&mut self, count: usize) -> Option<Self>
    where
        S: Clone,
    {
        self.count = self.count.checked_sub(count)?;
        Some(Self {
            semaphore: self.semaphore.clone(),
            count,
        })
    }
}

impl<K: Kind, S: Deref<Target = Semaphore<K>>> Drop for Permit<K, S> {
    #[inline]
    fn drop(&mut self) {
        if self.count > 0 {
            self.semaphore.give_back(self.count);
        }
    }
}

impl<K: Kind, S: Deref<Target = Semaphore<K>>> fmt::Debug for Permit<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// The future of [`Semaphore::acquire`] and its relatives.
#[must_use = "futures do nothing until polled"]
pub struct Acquire<K: Kind, S: Deref<Target = Semaphore<K>>> {
    /// None once it is done.
    semaphore: Option<S>,
    count: usize,
    place: Option<Place>,
    wait: Wait,
}

impl<K: Kind, S: Deref<Target = Semaphore<K>>> Acquire<K, S> {
    fn new(semaphore: S, count: usize) -> Self {
        Self {
            semaphore: Some(semaphore),
            count,
            place: None,
            wait: Wait::Semaphore,
        }
    }

    /// The same for something that is made of a semaphore.
    pub(super) fn shown_as(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }
}

impl<K: Kind, S: Deref<Target = Semaphore<K>>> Unpin for Acquire<K, S> {}

impl<K: Kind, S: Deref<Target = Semaphore<K>>> Future for Acquire<K, S> {
    type Output = Result<Permit<K, S>, AcquireError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let semaphore = this.semaphore.as_ref().expect("polled after it was ready");
        let count = this.count;
        let turn = poll_turn::<K, _, _>(
            &semaphore.state,
            &mut this.place,
            this.wait,
            cx,
            |state| match state.take(count) {
                Ok(()) => Ok(Turn::Has(count)),
                Err(TryAcquireError::Closed) => Ok(Turn::Closed),
                Err(TryAcquireError::NoPermits) => Err(Turn::Wants(count)),
            },
            |turn| turn,
        );
        let Poll::Ready(turn) = turn else {
            return Poll::Pending;
        };
        let semaphore = this.semaphore.take().expect("looked at above");
        Poll::Ready(match turn {
            Turn::Has(count) => Ok(Permit { semaphore, count }),
            Turn::Wants(_) | Turn::Closed => Err(AcquireError),
        })
    }
}

impl<K: Kind, S: Deref<Target = Semaphore<K>>> Drop for Acquire<K, S> {
    #[inline]
    fn drop(&mut self) {
        if let (Some(semaphore), Some(place)) = (&self.semaphore, self.place.take()) {
            leave::<K, _>(&semaphore.state, place, |state, standing, wakes| {
                if let Standing::Granted(Turn::Has(count)) = standing {
                    state.permits += count;
                }
                // Also where only a waiter goes: those behind it may want fewer.
                state.serve(wakes);
            });
        }
    }
}

impl<K: Kind, S: Deref<Target = Semaphore<K>>> fmt::Debug for Acquire<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// The semaphore is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcquireError;

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore is closed")
    }
}

impl Error for AcquireError {}

/// Why no permit was to be had at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// There are not enough, or others wait for them.
    NoPermits,
    /// The semaphore is closed.
    Closed,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPermits => "no permit is to be had at once",
            Self::Closed => "the semaphore is closed",
        })
    }
}

impl Error for TryAcquireError {}

/// A semaphore would have had more permits than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooManyPermits {
    /// How many it may have.
    pub bound: usize,
}

impl fmt::Display for TooManyPermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the semaphore may have {} permits at most", self.bound)
    }
}

impl Error for TooManyPermits {}
