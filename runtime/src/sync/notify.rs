//! A notification: a wake for one task, which keeps if nobody waits, or for all that wait.
//!
//! A future counts as waiting from its making, not from its first poll, as far as notifications for
//! all go: each of those raises a number, and a future that was made under a lower one has been
//! notified. So a check of the condition between making and awaiting it misses nothing.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::kind::Kind;
use super::look::wake;
use super::turn::{Queued, Standing, leave, poll_turn};
use super::waiters::{Place, WaitQueue, Wakes};
use crate::task::Wait;

/// Wakes one task or all that wait. The building block of things that wait for a condition of their
/// own.
///
/// # Examples
///
/// A queue of one's own; the notification keeps until somebody waits for it.
///
/// ```
/// use std::{cell::RefCell, collections::VecDeque};
/// use annulet_runtime::sync::Notify;
///
/// struct Queue {
///     items: RefCell<VecDeque<u32>>,
///     pushed: Notify,
/// }
///
/// impl Queue {
///     fn push(&self, item: u32) {
///         self.items.borrow_mut().push_back(item);
///         self.pushed.notify_one();
///     }
///
///     async fn pop(&self) -> u32 {
///         loop {
///             if let Some(item) = self.items.borrow_mut().pop_front() {
///                 return item;
///             }
///             self.pushed.notified().await;
///         }
///     }
/// }
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let queue = Queue { items: RefCell::default(), pushed: Notify::new() };
/// queue.push(7);
/// assert_eq!(queue.pop().await, 7);
/// # });
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Notify<K: Kind> {
    state: K::Cell<State>,
}

struct State {
    /// Notified while nobody waited.
    kept: bool,
    /// How often all were notified.
    rounds: u64,
    queue: WaitQueue<Notice>,
}

/// What a waiter was woken by; who still waits has `All`, which means nothing then.
#[derive(Clone, Copy)]
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
    /// Notifies the first, who is to be woken, or keeps it.
    #[inline]
    fn notify_one(&mut self) -> Option<Waker> {
        let first = self.queue.grant_front(|_| Notice::One);
        self.kept |= first.is_none();
        first
    }
}

impl<K: Kind> Notify<K> {
    /// A notification that was not given.
    pub fn new() -> Self {
        Self {
            state: K::cell(State {
                kept: false,
                rounds: 0,
                queue: WaitQueue::new(),
            }),
        }
    }

    /// Notifies the first of those who wait. If nobody does, the next that waits is let through at
    /// once; several notifications that nobody waited for are kept as one.
    pub fn notify_one(&self) {
        wake(K::with(&self.state, State::notify_one));
    }

    /// Notifies all who wait, and whoever has called [`notified`](Self::notified), though it has
    /// not polled yet. Nothing is kept for those who come later.
    pub fn notify_waiters(&self) {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| {
            state.rounds += 1;
            while let Some(waker) = state.queue.grant_front(|_| Notice::All) {
                wakes.push(waker);
            }
        });
        wakes.wake();
    }

    /// Waits to be notified.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A dropped future loses its place in the queue; if it had been notified by
    /// [`notify_one`](Self::notify_one), the notification goes to the next, or is kept.
    pub fn notified(&self) -> Notified<'_, K> {
        Notified {
            notify: self,
            round: K::with(&self.state, |state| state.rounds),
            place: None,
            done: false,
        }
    }
}

impl<K: Kind> Default for Notify<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kind> fmt::Debug for Notify<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, waiting) = K::with(&self.state, |state| (state.kept, state.queue.len()));
        f.debug_struct("Notify")
            .field("kept", &kept)
            .field("waiting", &waiting)
            .finish()
    }
}

/// The future of [`Notify::notified`].
#[must_use = "futures do nothing until polled"]
pub struct Notified<'a, K: Kind> {
    notify: &'a Notify<K>,
    round: u64,
    place: Option<Place>,
    done: bool,
}

impl<K: Kind> Future for Notified<'_, K> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(!self.done, "polled after it was ready");
        let (notify, round) = (self.notify, self.round);
        let notified = poll_turn::<K, _, _>(
            &notify.state,
            &mut self.place,
            Wait::Notify,
            cx,
            |state| {
                if state.rounds != round || std::mem::take(&mut state.kept) {
                    return Ok(());
                }
                Err(Notice::All)
            },
            |_| (),
        );
        self.done = notified.is_ready();
        notified
    }
}

impl<K: Kind> Drop for Notified<'_, K> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            leave::<K, _>(&self.notify.state, place, |state, standing, wakes| {
                if let Standing::Granted(Notice::One) = standing {
                    wakes.extend(state.notify_one());
                }
            });
        }
    }
}

impl<K: Kind> fmt::Debug for Notified<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified").finish_non_exhaustive()
    }
}
