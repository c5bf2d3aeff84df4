//! A condition: to let go of a lock, wait to be told that something changed, and lock again.
//!
//! A waiter joins the queue before it lets go of its lock, so nothing that happens under the lock
//! after that is missed. A wait has two parts, then: for the word, and for the lock. Given up in
//! either after the word had come to it alone, it passes the word on.
//!
//! A wait that is given up does not lock again: the guard went into it, and is gone. Whoever wants
//! to go on, locks. There is nothing to get wrong, since without a guard there is no way to the
//! value.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::kind::Kind;
use super::look::wake;
use super::mutex::{Lock, Mutex, MutexGuard};
use super::turn::{Queued, Standing, leave, poll_turn};
use super::waiters::{Place, WaitQueue, Wakes};
use crate::task::Wait;

/// Lets those who hold a [`Mutex`] wait until what it guards has changed.
///
/// Change the value under the lock, then notify, with or without it. A wait may end although
/// nothing changed: look again, as [`wait_for`](Self::wait_for) does.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use annulet_runtime::{spawn, sync::{Condition, Mutex}};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let stock = Rc::new((Mutex::new(0), Condition::new()));
/// let buyer = spawn({
///     let stock = Rc::clone(&stock);
///     async move {
///         let (amount, changed) = &*stock;
///         let mut amount = changed.wait_for(amount.lock().await, |amount| *amount >= 3).await;
///         *amount -= 3;
///     }
/// });
/// let (amount, changed) = &*stock;
/// for _ in 0..4 {
///     *amount.lock().await += 1;
///     changed.notify_one();
/// }
/// buyer.await?;
/// assert_eq!(*amount.lock().await, 1);
/// # Ok::<_, annulet_runtime::JoinError>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Condition<K: Kind> {
    state: K::Cell<State>,
}

struct State {
    queue: WaitQueue<Notice>,
}

/// What a waiter was woken by; who still waits has `All`, which means nothing then.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notice {
    One,
    All,
}

impl Queued for State {
    type Value = Notice;

    fn queue(&mut self) -> &mut WaitQueue<Notice> {
        &mut self.queue
    }
}

impl State {
    fn notify(&mut self, count: usize, notice: Notice, wakes: &mut Wakes) {
        for _ in 0..count {
            match self.queue.grant_front(|_| notice) {
                Some(waker) => wakes.push(waker),
                None => return,
            }
        }
    }
}

impl<K: Kind> Condition<K> {
    /// A condition that nobody waits for.
    pub fn new() -> Self {
        Self {
            state: K::cell(State {
                queue: WaitQueue::new(),
            }),
        }
    }

    /// Lets go of the lock, waits to be notified, and locks again. The lock is let go at the first
    /// poll.
    ///
    /// # Cancel safety
    ///
    /// The guard is lost with the future: the lock is free, or soon will be, and it takes a new
    /// [`lock`](Mutex::lock) to go on. A notification for this waiter alone goes to the next.
    pub fn wait<T, M>(&self, guard: MutexGuard<T, K, M>) -> ConditionWait<'_, T, K, M>
    where
        M: Deref<Target = Mutex<T, K>>,
    {
        ConditionWait {
            condition: self,
            stage: Stage::Holds(guard),
            notice: None,
        }
    }

    /// Waits until the value meets a condition. `is_met` is asked under the lock: at once, and
    /// after each notification.
    ///
    /// # Cancel safety
    ///
    /// As [`wait`](Self::wait).
    pub async fn wait_for<T, M>(
        &self,
        mut guard: MutexGuard<T, K, M>,
        mut is_met: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<T, K, M>
    where
        M: Deref<Target = Mutex<T, K>>,
    {
        while !is_met(&mut guard) {
            guard = self.wait(guard).await;
        }
        guard
    }

    /// Notifies the first of those who wait.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Notifies up to `count` of those who wait, in the order in which they came.
    pub fn notify(&self, count: usize) {
        self.tell(count, Notice::One);
    }

    /// Notifies all who wait.
    pub fn notify_all(&self) {
        self.tell(usize::MAX, Notice::All);
    }

    fn tell(&self, count: usize, notice: Notice) {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| state.notify(count, notice, &mut wakes));
        wakes.wake();
    }
}

impl<K: Kind> Default for Condition<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kind> fmt::Debug for Condition<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = K::with(&self.state, |state| state.queue.len());
        f.debug_struct("Condition")
            .field("waiting", &waiting)
            .finish()
    }
}

/// The future of [`Condition::wait`].
#[must_use = "futures do nothing until polled"]
pub struct ConditionWait<'a, T, K: Kind, M: Deref<Target = Mutex<T, K>>> {
    condition: &'a Condition<K>,
    stage: Stage<T, K, M>,
    /// Once it was notified.
    notice: Option<Notice>,
}

enum Stage<T, K: Kind, M: Deref<Target = Mutex<T, K>>> {
    Holds(MutexGuard<T, K, M>),
    Waits(M, Place),
    Locks(Lock<T, K, M>),
    Done,
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> Unpin for ConditionWait<'_, T, K, M> {}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> ConditionWait<'_, T, K, M> {
    /// Joins the queue, or looks whether its turn has come.
    fn poll_notice(&self, place: &mut Option<Place>, cx: &Context<'_>) -> Poll<Notice> {
        poll_turn::<K, _, _>(
            &self.condition.state,
            place,
            Wait::Condition,
            cx,
            |_| Err(Notice::All),
            |notice| notice,
        )
    }
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> Future for ConditionWait<'_, T, K, M> {
    type Output = MutexGuard<T, K, M>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match std::mem::replace(&mut this.stage, Stage::Done) {
                Stage::Holds(guard) => {
                    let mut place = None;
                    let _joined = this.poll_notice(&mut place, cx);
                    let place = place.expect("nobody is notified before it waits");
                    // The future has its place again before the lock is let go, which wakes others.
                    let (mutex, next) = guard.into_parts();
                    this.stage = Stage::Waits(mutex, place);
                    wake(next);
                    return Poll::Pending;
                }
                Stage::Waits(mutex, place) => {
                    let mut place = Some(place);
                    let notice = this.poll_notice(&mut place, cx);
                    if let Some(place) = place {
                        this.stage = Stage::Waits(mutex, place);
                        return Poll::Pending;
                    }
                    if let Poll::Ready(notice) = notice {
                        this.notice = Some(notice);
                    }
                    this.stage = Stage::Locks(Lock::new(mutex));
                }
                Stage::Locks(mut lock) => {
                    let polled = Pin::new(&mut lock).poll(cx);
                    if polled.is_pending() {
                        this.stage = Stage::Locks(lock);
                    }
                    return polled;
                }
                Stage::Done => panic!("polled after it was ready"),
            }
        }
    }
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> Drop for ConditionWait<'_, T, K, M> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Holds(_) | Stage::Done => {}
            Stage::Waits(_, place) => {
                leave::<K, _>(&self.condition.state, place, |state, standing, wakes| {
                    if let Standing::Granted(Notice::One) = standing {
                        state.notify(1, Notice::One, wakes);
                    }
                });
            }
            Stage::Locks(lock) => {
                drop(lock);
                if self.notice == Some(Notice::One) {
                    self.condition.notify_one();
                }
            }
        }
    }
}

impl<T, K: Kind, M: Deref<Target = Mutex<T, K>>> fmt::Debug for ConditionWait<'_, T, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionWait").finish_non_exhaustive()
    }
}
