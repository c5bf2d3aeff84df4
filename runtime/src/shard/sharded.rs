//! One value per shard, each made, used and dropped by its own shard, and calls between them.
//!
//! A value lies in a table of its thread, under the number of its [`Sharded`]. A task of the shard,
//! the *keeper*, holds the place: it does nothing, and when its future is dropped the value goes.
//! So the end of the shard, which drops all futures, drops the value there as well, whoever still
//! has a `Sharded`; and when the last of these goes, a message to each shard has it drop its own.
//!
//! A `Sharded` itself is a number and the ways to the shards, fit for any thread whatever the
//! values are.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::peers::{call_all, handles, reduce_all};
use super::{Call, Handle, ShardError, ShardId};
use crate::context::spawn_named;
use crate::task::JoinHandle;

/// A value in its shard's table.
struct Place {
    value: Rc<dyn Any>,
    /// None while it is being put in.
    keeper: Option<JoinHandle<()>>,
}

thread_local! {
    /// Few, so that a look-up goes through one node of the tree.
    static TABLE: RefCell<BTreeMap<u64, Place>> = const { RefCell::new(BTreeMap::new()) };
}

/// Puts a value into the table of this shard.
fn put(number: u64, value: Rc<dyn Any>) {
    let place = Place {
        value,
        keeper: None,
    };
    TABLE.with_borrow_mut(|table| table.insert(number, place));
    let kept = Kept(number);
    let keeper = spawn_named("a sharded value", async move {
        let _kept = kept;
        pending().await
    });
    // A shard that is ending has refused the keeper, and with it the value.
    TABLE.with_borrow_mut(|table| {
        if let Some(place) = table.get_mut(&number) {
            place.keeper = Some(keeper);
        }
    });
}

/// Drops the value of this shard, if it has one.
fn remove(number: u64) {
    // Outside of the borrow: the value is the user's. At the thread's very end there is no table,
    // and no value, since the runtime has dropped its keepers.
    let place = TABLE.try_with(|table| table.borrow_mut().remove(&number));
    if let Ok(Some(place)) = place
        && let Some(keeper) = place.keeper
    {
        keeper.abort();
    }
}

/// Removes the value when the keeper's future is dropped.
struct Kept(u64);

impl Drop for Kept {
    fn drop(&mut self) {
        remove(self.0);
    }
}

/// What the clones of a [`Sharded`] share.
struct Inner {
    number: u64,
    handles: Arc<[Handle]>,
}

impl Inner {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            handles: handles(),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let number = self.number;
        for handle in &*self.handles {
            // A shard that has ended has dropped its value before.
            let _ended = handle.call(move || remove(number));
        }
    }
}

/// One value of type `T` on each shard, where `T` need not be `Send`.
///
/// Each value is made, used and dropped on its own shard. What crosses are closures that are called
/// with it ([`call`](Self::call)) and their outputs. Clones are the same values; these are dropped,
/// each on its shard, when the last clone is, or when their shard ends, or with the last [`Rc`] of
/// a call that has kept one.
///
/// # Examples
///
/// A counter per shard, which needs neither lock nor atomic:
///
/// ```
/// use std::cell::Cell;
///
/// use annulet_runtime::{Builder, ShardId, Sharded};
///
/// let shards = Builder::new().shards(2).start()?;
/// let total = shards.run(|| async {
///     let counters = Sharded::new(|_shard| async { Cell::new(0) }).await?;
///     counters.with(|own| own.set(own.get() + 1));
///     let there = counters.call(ShardId(1), |other| async move { other.replace(41) });
///     assert_eq!(there.await?, 0);
///     counters.map_reduce(|each| async move { each.get() }, 0, |a, b| a + b).await
/// })?;
/// assert_eq!(total?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sharded<T> {
    inner: Arc<Inner>,
    /// No `T` is in here: it neither makes this `!Send` nor is dropped with it.
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Sharded<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            value: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Sharded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharded")
            .field("number", &self.inner.number)
            .field("shards", &self.inner.handles.len())
            .finish_non_exhaustive()
    }
}

impl<T: 'static> Sharded<T> {
    /// Has each shard make its value, all at the same time, and waits for all.
    ///
    /// On a runtime that is alone there is one value, of [`ShardId`] 0.
    ///
    /// # Errors
    ///
    /// That of the first shard, in their order, whose `make` panicked or which has ended. What the
    /// others have made is dropped.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it aborts what is being made and drops what was.
    #[track_caller]
    pub fn new<M, F>(make: M) -> impl Future<Output = Result<Self, ShardError>>
    where
        M: Fn(ShardId) -> F + Clone + Send + 'static,
        F: Future<Output = T> + 'static,
    {
        Self::try_new(move |shard| {
            let made = make(shard);
            async move { Ok(made.await) }
        })
    }

    /// As [`new`](Self::new), for values whose making can fail.
    ///
    /// # Errors
    ///
    /// The error of the first shard, in their order, that has one, be it that of `make` or that the
    /// shard gave no answer. What the others have made is dropped.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn try_new<M, F, E>(make: M) -> impl Future<Output = Result<Self, E>>
    where
        M: Fn(ShardId) -> F + Clone + Send + 'static,
        F: Future<Output = Result<T, E>> + 'static,
        E: From<ShardError> + Send + 'static,
    {
        Self::made_at(make, Location::caller())
    }

    async fn made_at<M, F, E>(make: M, location: &'static Location<'static>) -> Result<Self, E>
    where
        M: Fn(ShardId) -> F + Clone + Send + 'static,
        F: Future<Output = Result<T, E>> + 'static,
        E: From<ShardError> + Send + 'static,
    {
        // Before the calls, hence dropped after them: an aborted call puts nothing into the table,
        // so that the messages of this drop come after whatever was put there.
        let sharded = Self {
            inner: Arc::new(Inner::new()),
            value: PhantomData,
        };
        let number = sharded.inner.number;
        let fill = move |shard| {
            let make = make.clone();
            async move {
                put(number, Rc::new(make(shard).await?));
                Ok::<(), E>(())
            }
        };
        let calls = call_all(&sharded.inner.handles, &fill, location);
        let made = reduce_all(calls, Ok(()), Result::and).await;
        made??;
        Ok(sharded)
    }

    /// Calls `f` with the value of this shard.
    ///
    /// # Panics
    ///
    /// If this thread is none of the shards.
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.local())
    }

    /// The value of this shard. It lives at least as long as the `Rc`, which cannot leave the
    /// shard.
    ///
    /// # Panics
    ///
    /// If this thread is none of the shards.
    #[must_use]
    #[track_caller]
    pub fn local(&self) -> Rc<T> {
        match self.try_local() {
            Some(value) => value,
            None => panic!("this thread is no shard that a `Sharded` has a value on"),
        }
    }

    /// The value of this shard; none if this thread is none of the shards, or the shard is ending.
    #[must_use]
    pub fn try_local(&self) -> Option<Rc<T>> {
        let value = TABLE.try_with(|table| {
            let table = table.borrow();
            let place = table.get(&self.inner.number)?;
            Some(Rc::clone(&place.value))
        });
        let value = value.ok().flatten()?;
        // Numbers are given out once, so a value under this one is a `T`.
        value.downcast().ok()
    }

    /// Sends a closure to a shard, to be called with the value there; the future that it returns
    /// runs there as a task. What this gives is to be awaited for the output. Neither the future
    /// nor the value need be `Send`.
    ///
    /// It is sent at once, without waiting for room, so that shards which call each other cannot
    /// lock up. A caller that awaits its calls has one message under way at most, and that is what
    /// bounds a shard's queue.
    ///
    /// # Errors
    ///
    /// The future gives a [`ShardError`] if the shard has ended or the call panicked.
    ///
    /// # Panics
    ///
    /// If there is no such shard.
    ///
    /// # Cancel safety
    ///
    /// Dropping the [`Call`] aborts it; [`Call::detach`] lets it go on.
    ///
    /// # Examples
    ///
    /// A value cannot leave its shard unless it is `Send`:
    ///
    /// ```compile_fail
    /// # use std::rc::Rc;
    /// # use annulet_runtime::{ShardId, Sharded};
    /// fn steal(values: &Sharded<Rc<u8>>) {
    ///     drop(values.call(ShardId(1), |value| async move { Rc::clone(&value) }));
    /// }
    /// ```
    #[track_caller]
    pub fn call<C, F>(&self, shard: ShardId, call: C) -> Call<F::Output>
    where
        C: FnOnce(Rc<T>) -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let Some(handle) = self.inner.handles.get(shard.0) else {
            let count = self.inner.handles.len();
            panic!("{shard} does not exist: there are {count}");
        };
        // The clone keeps the values until the closure has been called.
        let sharded = self.clone();
        let make = move || {
            let value = sharded.local();
            drop(sharded);
            call(value)
        };
        Call::send(handle, shard, make, Location::caller())
    }

    /// Calls `map` with each shard's value, there, and folds the outputs into one, beginning with
    /// `init`, in the order of the shards.
    ///
    /// # Errors
    ///
    /// That of the first shard, in their order, whose call panicked or which has ended. All are
    /// waited for in any case.
    ///
    /// # Cancel safety
    ///
    /// Dropping it aborts the calls.
    #[track_caller]
    pub fn map_reduce<M, F, A, R>(
        &self,
        map: M,
        init: A,
        reduce: R,
    ) -> impl Future<Output = Result<A, ShardError>>
    where
        M: Fn(Rc<T>) -> F + Clone + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
        R: FnMut(A, F::Output) -> A,
    {
        let sharded = self.clone();
        let location = Location::caller();
        async move {
            let handles = Arc::clone(&sharded.inner.handles);
            let map = move |_shard| map(sharded.local());
            reduce_all(call_all(&handles, &map, location), init, reduce).await
        }
    }
}
