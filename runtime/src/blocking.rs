//! `spawn_blocking`: a call that would stop the shard, on the blocking pool; and pools beside that
//! one.
//!
//! A call is one allocation, which the pool's queue and the handle share: the closure until
//! somebody takes it, the result from then on, the waker of whoever waits. The closure is taken out
//! once, by the thread that runs it or by whoever cancels it; a result is left in any case,
//! "cancelled" if nothing else.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use crate::context::{Context, try_current};
use crate::panics::{contain, discard_panic, lock};
use crate::pool::{Job, Pool, PoolConfig};
use crate::task::{JoinError, Wait, waiting};

/// See the [module](self).
struct Call<F, T>(Mutex<State<F, T>>);

struct State<F, T> {
    call: Option<F>,
    result: Option<Result<T, JoinError>>,
    waker: Option<Waker>,
    /// The handle is gone, so a result is dropped at once.
    unheard: bool,
}

impl<F, T> Call<F, T> {
    fn lock(&self) -> MutexGuard<'_, State<F, T>> {
        lock(&self.0)
    }

    /// Leaves the result. Whoever calls this has taken the closure.
    fn finish(&self, result: Result<T, JoinError>) {
        let mut state = self.lock();
        let waker = state.waker.take();
        let unheard = if state.unheard {
            Some(result)
        } else {
            state.result.replace(result)
        };
        drop(state);
        discard_panic(|| {
            drop(unheard);
            if let Some(waker) = waker {
                waker.wake();
            }
        });
    }
}

impl<F, T> Job for Call<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(self: Arc<Self>) {
        let call = self.lock().call.take();
        if let Some(call) = call {
            let result = contain(call);
            self.finish(result.map_err(|payload| JoinError::panicked(None, payload)));
        }
    }

    fn cancel(self: Arc<Self>) -> bool {
        let call = self.lock().call.take();
        let is_mine = call.is_some();
        if is_mine {
            // Before the answer: who reads it knows that the closure is gone.
            discard_panic(|| drop(call));
            self.finish(Err(JoinError::cancelled(None)));
        }
        is_mine
    }
}

/// A call as its handle sees it, which does not know the closure's type.
trait Answer<T>: Job {
    /// The result, or else leaves the waker.
    fn poll(&self, waker: &Waker) -> Poll<Result<T, JoinError>>;

    /// The handle goes before it has the result.
    fn leave(&self);
}

impl<F, T> Answer<T> for Call<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn poll(&self, waker: &Waker) -> Poll<Result<T, JoinError>> {
        // Cloned outside of the lock, as it is code of a user.
        let waker = waker.clone();
        let mut state = self.lock();
        if let Some(result) = state.result.take() {
            return Poll::Ready(result);
        }
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        Poll::Pending
    }

    fn leave(&self) {
        let mut state = self.lock();
        state.unheard = true;
        let left = (state.result.take(), state.waker.take());
        drop(state);
        drop(left);
    }
}

/// The answer of a blocking call, as a future. Dropping it lets a call that runs go on and takes
/// back one that has not begun.
#[must_use = "dropping the handle takes back a call that has not begun"]
pub struct BlockingHandle<T> {
    /// None once it has given the result.
    call: Option<Arc<dyn Answer<T>>>,
    detached: bool,
}

impl<T> fmt::Debug for BlockingHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingHandle").finish_non_exhaustive()
    }
}

impl<T> BlockingHandle<T> {
    /// Takes the call back if it has not begun; awaiting then says cancelled.
    pub fn abort(&self) -> bool {
        self.call
            .as_ref()
            .is_some_and(|call| Arc::clone(call).cancel())
    }

    /// Lets the call run whether or not anybody waits for it.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let call = self
            .call
            .as_ref()
            .expect("a blocking call polled after its answer");
        let answer = call.poll(cx.waker());
        if answer.is_ready() {
            self.call = None;
        } else {
            waiting(Wait::Blocking);
        }
        answer
    }
}

impl<T> Drop for BlockingHandle<T> {
    fn drop(&mut self) {
        if let Some(call) = &self.call {
            call.leave();
            if !self.detached {
                Arc::clone(call).cancel();
            }
        }
    }
}

/// Runs a blocking call on the pool and gives its answer as a future.
///
/// A panic of the call is carried back as a [`JoinError`]; so is a refusal by a full pool, as
/// "cancelled".
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the handle takes the call back if it has not begun; one that runs ends unheard.
///
/// # Examples
///
/// ```
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let sum = annulet_runtime::spawn_blocking(|| (1..=10).sum::<u32>()).await;
/// assert_eq!(sum.expect("no panic"), 55);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(call: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    submit(call, |job| {
        Context::with(|context| context.pool.submit_job(job))
    })
}

/// Gives a call to a pool. If that refuses, the answer is "cancelled".
#[track_caller]
fn submit<F, T>(call: F, give: impl FnOnce(Arc<dyn Job>) -> io::Result<()>) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let call = Arc::new(Call(Mutex::new(State {
        call: Some(call),
        result: None,
        waker: None,
        unheard: false,
    })));
    let job: Arc<dyn Job> = Arc::clone(&call) as Arc<dyn Job>;
    if give(job).is_err() {
        Arc::clone(&call).cancel();
    }
    BlockingHandle {
        call: Some(call),
        detached: false,
    }
}

/// A pool of threads of one's own, beside the one of [`spawn_blocking`].
///
/// The runtime's pool is for calls that wait, and so it has more threads than there are CPUs. Calls
/// that compute want as many threads as there are CPUs to spare, and should not stand in the way of
/// files and lookups: they belong in a pool of their own. One pool serves all shards, and any
/// thread; clones are the same pool.
///
/// With the last clone the pool ends, and waits for nothing: what has not begun is dropped, and its
/// answer is "cancelled"; what runs, runs on.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{BlockingPool, PoolConfig};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let crunchers = BlockingPool::new(PoolConfig::with_threads(2));
/// let sums: Vec<_> = (1..=4_u64)
///     .map(|part| crunchers.spawn(move || (0..part * 1_000).sum::<u64>()))
///     .collect();
/// let mut all = 0;
/// for sum in sums {
///     all += sum.await.expect("it neither panics nor is refused");
/// }
/// assert_eq!(all, 14_995_000);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BlockingPool(Pool);

impl BlockingPool {
    /// A pool, which has no thread before its first call.
    ///
    /// Made inside a runtime, its threads may run on the CPUs that the runtime's pool has, and are
    /// not pinned as a shard is; made elsewhere, on those of the calling thread.
    #[must_use]
    pub fn new(config: PoolConfig) -> Self {
        Self(match try_current() {
            Ok(context) => context.pool.beside(config),
            Err(_outside) => Pool::new(config),
        })
    }

    /// Runs a call on a thread of this pool, and gives its answer as a future, for whatever task of
    /// whatever shard.
    ///
    /// A panic of the call is carried back as a [`JoinError`]; so is a refusal by a full pool, as
    /// "cancelled".
    ///
    /// # Cancel safety
    ///
    /// As [`spawn_blocking`].
    pub fn spawn<F, T>(&self, call: F) -> BlockingHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        submit(call, |job| self.0.submit_job(job))
    }

    /// How many threads it has at the moment.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.threads()
    }

    /// Ends the pool: refuses new calls, drops those that have not begun, and blocks until those
    /// that run are done, or for `patience` at most. Gives the number of threads that are still at
    /// work.
    pub fn shut_down(&self, patience: Duration) -> usize {
        self.0.shut_down(patience)
    }
}
