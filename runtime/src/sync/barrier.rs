//! A barrier: a number of tasks wait for each other, and go on together.
//!
//! Whether a task has passed is decided when the last one comes, for all of them at once. So the
//! barrier is ready for the next round there and then, and what is done to it later concerns nobody
//! who has passed, even if it has not run yet.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::kind::Kind;
use super::turn::{Queued, leave, poll_turn};
use super::waiters::{Place, WaitQueue, Wakes};
use crate::task::Wait;

/// A place where a number of tasks wait for each other.
///
/// It can be used again and again: those who come after a round has gone on make up the next.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use annulet_runtime::{spawn, sync::Barrier};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let barrier = Rc::new(Barrier::new(3));
/// let tasks = [0; 3].map(|_| {
///     let barrier = Rc::clone(&barrier);
///     spawn(async move { barrier.wait().await })
/// });
/// let mut leaders = 0;
/// for task in tasks {
///     leaders += usize::from(task.await??.is_leader());
/// }
/// assert_eq!(leaders, 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Barrier<K: Kind> {
    state: K::Cell<State>,
}

struct State {
    parties: usize,
    broken: bool,
    queue: WaitQueue<Turn>,
}

#[derive(Clone, Copy)]
enum Turn {
    Waits,
    Passed(usize),
    Broken,
}

impl Queued for State {
    type Value = Turn;

    fn queue(&mut self) -> &mut WaitQueue<Turn> {
        &mut self.queue
    }
}

impl State {
    /// Somebody comes.
    fn arrive(&mut self, wakes: &mut Wakes) -> Turn {
        if self.broken {
            return Turn::Broken;
        }
        if self.queue.len() + 1 < self.parties {
            return Turn::Waits;
        }
        let mut index = 0;
        while let Some(waker) = self.queue.grant_front(|_| Turn::Passed(index)) {
            wakes.push(waker);
            index += 1;
        }
        Turn::Passed(index)
    }

    fn turn_away(&mut self, wakes: &mut Wakes) {
        while let Some(waker) = self.queue.grant_front(|_| Turn::Broken) {
            wakes.push(waker);
        }
    }
}

impl<K: Kind> Barrier<K> {
    /// A barrier for so many tasks.
    ///
    /// # Panics
    ///
    /// If `parties` is zero.
    #[track_caller]
    pub fn new(parties: usize) -> Self {
        assert!(parties > 0, "a barrier is for one task at least");
        Self {
            state: K::cell(State {
                parties,
                broken: false,
                queue: WaitQueue::new(),
            }),
        }
    }

    /// Waits until all have come.
    ///
    /// # Errors
    ///
    /// If the barrier is [aborted](Self::abort), before or meanwhile, or [reset](Self::reset)
    /// meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A dropped future is as if its task had not come, and the others wait for one
    /// more; once all had come, it has passed, and nobody notices.
    pub fn wait(&self) -> BarrierWait<'_, K> {
        BarrierWait {
            barrier: self,
            place: None,
            done: false,
        }
    }

    /// Turns away all who wait, and makes the barrier as new, even if it is broken.
    pub fn reset(&self) {
        self.turn_away(false);
    }

    /// Breaks the barrier: turns away all who wait, and whoever comes until it is
    /// [reset](Self::reset).
    pub fn abort(&self) {
        self.turn_away(true);
    }

    fn turn_away(&self, broken: bool) {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| {
            state.broken = broken;
            state.turn_away(&mut wakes);
        });
        wakes.wake();
    }

    /// Whether it was aborted.
    pub fn is_broken(&self) -> bool {
        K::with(&self.state, |state| state.broken)
    }

    /// For how many tasks it is.
    pub fn parties(&self) -> usize {
        K::with(&self.state, |state| state.parties)
    }

    /// How many wait at the moment.
    pub fn waiting(&self) -> usize {
        K::with(&self.state, |state| state.queue.len())
    }
}

impl<K: Kind> fmt::Debug for Barrier<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parties, waiting, broken) = K::with(&self.state, |state| {
            (state.parties, state.queue.len(), state.broken)
        });
        f.debug_struct("Barrier")
            .field("parties", &parties)
            .field("waiting", &waiting)
            .field("broken", &broken)
            .finish()
    }
}

/// The future of [`Barrier::wait`].
#[must_use = "futures do nothing until polled"]
pub struct BarrierWait<'a, K: Kind> {
    barrier: &'a Barrier<K>,
    place: Option<Place>,
    done: bool,
}

impl<K: Kind> Future for BarrierWait<'_, K> {
    type Output = Result<BarrierWaitResult, BrokenBarrier>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.done, "polled after it was ready");
        let barrier = self.barrier;
        let mut wakes = Wakes::default();
        let turn = poll_turn::<K, _, _>(
            &barrier.state,
            &mut self.place,
            Wait::Barrier,
            cx,
            |state| match state.arrive(&mut wakes) {
                Turn::Waits => Err(Turn::Waits),
                turn => Ok((turn, state.parties)),
            },
            |turn| (turn, usize::MAX),
        );
        wakes.wake();
        let Poll::Ready((turn, parties)) = turn else {
            return Poll::Pending;
        };
        self.done = true;
        Poll::Ready(match turn {
            // Who finds that all have come is the last, and so the leader.
            Turn::Passed(index) => Ok(BarrierWaitResult {
                index,
                leader: index + 1 == parties,
            }),
            Turn::Waits | Turn::Broken => Err(BrokenBarrier),
        })
    }
}

impl<K: Kind> Drop for BarrierWait<'_, K> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            leave::<K, _>(&self.barrier.state, place, |_, _, _| ());
        }
    }
}

impl<K: Kind> fmt::Debug for BarrierWait<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWait").finish_non_exhaustive()
    }
}

/// How a task has passed a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    index: usize,
    leader: bool,
}

impl BarrierWaitResult {
    /// In which place it came, of those who passed together, from 0: another one for each.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether it came last. One of each round is the leader.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leader
    }
}

/// The barrier was aborted, or reset while this task waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokenBarrier;

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the barrier was aborted or reset")
    }
}

impl Error for BrokenBarrier {}
