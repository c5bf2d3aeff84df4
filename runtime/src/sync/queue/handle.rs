//! The queue itself.

use std::fmt;

use super::error::{GetError, PutError, TooManyDone, TryGetError, TryPutError};
use super::order::Order;
use super::state::State;
use super::waits::{Get, Join, Put};
use crate::sync::kind::{Kind, Shared};
use crate::sync::waiters::Wakes;

/// Items between those who put them and those who get them, of whom there may be any number.
///
/// It also counts the work: an item is *unfinished* from when it is put until
/// [`task_done`](Self::task_done) is called for it, and [`join`](Self::join) waits until none is.
pub struct Queue<O: Order, K: Kind> {
    pub(super) state: K::Cell<State<O>>,
}

impl<O: Order, K: Kind> Default for Queue<O, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: Order, K: Kind> Queue<O, K> {
    /// A queue without bound.
    pub fn new() -> Self {
        Self {
            state: K::cell(State::new(usize::MAX)),
        }
    }

    /// A queue for at most `capacity` items.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    #[track_caller]
    pub fn bounded(capacity: usize) -> Self {
        assert!(capacity > 0, "a queue needs room for an item");
        Self {
            state: K::cell(State::new(capacity)),
        }
    }

    /// Puts an item, waiting for room if there is none. Who began to wait first is let in first.
    ///
    /// # Errors
    ///
    /// [`PutError`] with the item, if the queue was shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the item is dropped, unless it had been let in
    /// by then: an item is in the queue as soon as there is room, before its putter runs again.
    #[inline]
    pub fn put(&self, item: O::Item) -> Put<'_, O, K> {
        Put::new(self, item)
    }

    /// Puts an item, if there is room.
    ///
    /// # Errors
    ///
    /// [`TryPutError`] with the item, if there is no room or the queue was shut down.
    #[inline]
    pub fn try_put(&self, item: O::Item) -> Result<(), TryPutError<O::Item>> {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| state.put(item, &mut wakes))?;
        wakes.wake();
        Ok(())
    }

    /// Gets an item, waiting for one. Who began to wait first is served first.
    ///
    /// # Errors
    ///
    /// [`GetError`], if the queue was shut down and is empty.
    ///
    /// # Cancel safety
    ///
    /// Safe: an item leaves the queue in the poll that returns it, and what a dropped future was
    /// promised goes to the next.
    #[inline]
    pub fn get(&self) -> Get<'_, O, K> {
        Get::new(self)
    }

    /// Gets an item, if there is one that is nobody else's.
    ///
    /// # Errors
    ///
    /// [`TryGetError`], if there is none, which tells whether one can come.
    #[inline]
    pub fn try_get(&self) -> Result<O::Item, TryGetError> {
        let mut wakes = Wakes::default();
        let got = K::with(&self.state, |state| state.get(&mut wakes));
        wakes.wake();
        got
    }

    /// An item that was got is done with. To be called once for each.
    ///
    /// # Errors
    ///
    /// [`TooManyDone`], if it was called more often than items were put.
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        let mut wakes = Wakes::default();
        let done = K::with(&self.state, |state| state.task_done(&mut wakes));
        wakes.wake();
        done
    }

    /// Waits until no item is unfinished: all that were put have been got and are done with.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only looks.
    pub fn join(&self) -> Join<'_, O, K> {
        Join::new(self)
    }

    /// Ends the queue: nothing can be put any more, and who waits to put is refused. What is there
    /// can still be got; then who gets learns of the end.
    pub fn shutdown(&self) {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| state.shut_down(&mut wakes));
        wakes.wake();
    }

    /// Ends the queue at once: as [`shutdown`](Self::shutdown), and what is there is dropped, and
    /// counts as done with. Who waits learns of the end.
    pub fn shutdown_now(&self) {
        let mut wakes = Wakes::default();
        let items = K::with(&self.state, |state| state.shut_down_now(&mut wakes));
        wakes.wake();
        drop(items);
    }

    /// Whether the queue was shut down. Items may still be there.
    pub fn is_shut_down(&self) -> bool {
        K::with(&self.state, |state| state.view()).shut_down
    }

    /// How many items there are, with those that are promised to somebody who has yet to run.
    pub fn len(&self) -> usize {
        K::with(&self.state, |state| state.view()).len
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. Never in a queue without bound.
    pub fn is_full(&self) -> bool {
        let view = K::with(&self.state, |state| state.view());
        view.capacity.is_some_and(|capacity| view.len >= capacity)
    }

    /// For how many items there is room; none if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        K::with(&self.state, |state| state.view()).capacity
    }

    /// How many items were put and are not done with.
    pub fn unfinished(&self) -> usize {
        K::with(&self.state, |state| state.view()).unfinished
    }
}

impl<O: Order> Queue<O, Shared> {
    /// [`put`](Self::put) for a plain thread, which it blocks until there is room.
    ///
    /// # Errors
    ///
    /// [`PutError`] with the item, if the queue was shut down.
    ///
    /// # Panics
    ///
    /// On a shard, which must not block.
    #[track_caller]
    pub fn blocking_put(&self, item: O::Item) -> Result<(), PutError<O::Item>> {
        crate::sync::block::block_on(self.put(item))
    }

    /// [`get`](Self::get) for a plain thread, which it blocks until there is an item.
    ///
    /// # Errors
    ///
    /// [`GetError`], if the queue was shut down and is empty.
    ///
    /// # Panics
    ///
    /// On a shard, which must not block.
    #[track_caller]
    pub fn blocking_get(&self) -> Result<O::Item, GetError> {
        crate::sync::block::block_on(self.get())
    }
}

impl<O: Order, K: Kind> fmt::Debug for Queue<O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Copied out first, as what is written to is a user's.
        let view = K::with(&self.state, |state| state.view());
        f.debug_struct("Queue")
            .field("len", &view.len)
            .field("capacity", &view.capacity)
            .field("unfinished", &view.unfinished)
            .field("getters", &view.getters)
            .field("putters", &view.putters)
            .field("shut_down", &view.shut_down)
            .finish_non_exhaustive()
    }
}
