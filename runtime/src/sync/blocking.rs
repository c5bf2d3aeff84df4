//! The shared locks for plain threads: the same waits, with the thread parked meanwhile.
//!
//! Threads and tasks stand in one queue, and are served in the order in which they came.

use std::ops::Deref;

use super::barrier::{Barrier, BarrierWaitResult, BrokenBarrier};
use super::block::block_on;
use super::cancellation::CancellationToken;
use super::condition::Condition;
use super::event::Event;
use super::kind::Shared;
use super::mutex::{Mutex, MutexGuard};
use super::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use super::semaphore::{AcquireError, Permit, Semaphore};

impl<T> Mutex<T, Shared> {
    /// [`lock`](Self::lock) for a plain thread, which is parked meanwhile.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use annulet_runtime::sync::shared::Mutex;
    ///
    /// let total = Arc::new(Mutex::new(0));
    /// let thread = std::thread::spawn({
    ///     let total = Arc::clone(&total);
    ///     move || *total.blocking_lock() += 1
    /// });
    /// annulet_runtime::Builder::new().build()?.block_on(async {
    ///     *total.lock().await += 1;
    /// });
    /// # thread.join().expect("no panic");
    /// assert_eq!(*total.blocking_lock(), 2);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// On a shard.
    #[track_caller]
    pub fn blocking_lock(&self) -> MutexGuard<T, Shared, &Self> {
        block_on(self.lock())
    }
}

impl<T> RwLock<T, Shared> {
    /// [`read`](Self::read) for a plain thread, which is parked meanwhile.
    ///
    /// # Panics
    ///
    /// On a shard.
    #[track_caller]
    pub fn blocking_read(&self) -> RwLockReadGuard<T, Shared, &Self> {
        block_on(self.read())
    }

    /// [`write`](Self::write) for a plain thread, which is parked meanwhile.
    ///
    /// # Panics
    ///
    /// On a shard.
    #[track_caller]
    pub fn blocking_write(&self) -> RwLockWriteGuard<T, Shared, &Self> {
        block_on(self.write())
    }
}

impl Semaphore<Shared> {
    /// [`acquire`](Self::acquire) for a plain thread, which is parked meanwhile.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// On a shard.
    #[track_caller]
    pub fn blocking_acquire(&self) -> Result<Permit<Shared, &Self>, AcquireError> {
        block_on(self.acquire())
    }

    /// [`acquire_many`](Self::acquire_many) for a plain thread, which is parked meanwhile.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// On a shard.
    #[track_caller]
    pub fn blocking_acquire_many(
        &self,
        count: usize,
    ) -> Result<Permit<Shared, &Self>, AcquireError> {
        block_on(self.acquire_many(count))
    }
}

impl Event<Shared> {
    /// [`wait`](Self::wait) for a plain thread, which is parked meanwhile.
    ///
    /// # Panics
    ///
    /// On a shard.
    #[track_caller]
    pub fn blocking_wait(&self) {
        block_on(self.wait());
    }
}

impl Condition<Shared> {
    /// [`wait`](Self::wait) for a plain thread, which is parked meanwhile.
    ///
    /// # Panics
    ///
    /// On a shard.
    #[track_caller]
    pub fn blocking_wait<T, M>(&self, guard: MutexGuard<T, Shared, M>) -> MutexGuard<T, Shared, M>
    where
        M: Deref<Target = Mutex<T, Shared>>,
    {
        block_on(self.wait(guard))
    }

    /// [`wait_for`](Self::wait_for) for a plain thread, which is parked meanwhile.
    ///
    /// # Panics
    ///
    /// On a shard.
    #[track_caller]
    pub fn blocking_wait_for<T, M>(
        &self,
        guard: MutexGuard<T, Shared, M>,
        is_met: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<T, Shared, M>
    where
        M: Deref<Target = Mutex<T, Shared>>,
    {
        block_on(self.wait_for(guard, is_met))
    }
}

impl Barrier<Shared> {
    /// [`wait`](Self::wait) for a plain thread, which is parked meanwhile.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// On a shard.
    #[track_caller]
    pub fn blocking_wait(&self) -> Result<BarrierWaitResult, BrokenBarrier> {
        block_on(self.wait())
    }
}

impl CancellationToken<Shared> {
    /// [`cancelled`](Self::cancelled) for a plain thread, which is parked meanwhile.
    ///
    /// # Panics
    ///
    /// On a shard.
    #[track_caller]
    pub fn blocking_cancelled(&self) {
        block_on(self.cancelled());
    }
}
