//! `spawn_blocking`: a call that would stop the shard, on the blocking pool.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};

use crate::context::Context;
use crate::panics::contain;
use crate::pool::Ticket;
use crate::task::{JoinError, Wait, waiting};

struct Outcome<T> {
    result: Option<Result<T, JoinError>>,
    waker: Option<Waker>,
}

type Shared<T> = Arc<Mutex<Outcome<T>>>;

fn lock<T>(shared: &Shared<T>) -> MutexGuard<'_, Outcome<T>> {
    // No code of a user runs under this lock.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves a result, "cancelled" if nothing else, when the job ends in whatever way.
struct Report<T> {
    shared: Shared<T>,
    result: Option<Result<T, JoinError>>,
}

impl<T> Drop for Report<T> {
    fn drop(&mut self) {
        let result = self
            .result
            .take()
            .unwrap_or_else(|| Err(JoinError::cancelled(None)));
        let waker = {
            let mut outcome = lock(&self.shared);
            outcome.result = Some(result);
            outcome.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The answer of a blocking call, as a future. Dropping it lets a call that runs go on and takes
/// back one that has not begun.
#[must_use = "dropping the handle takes back a call that has not begun"]
pub struct BlockingHandle<T> {
    shared: Shared<T>,
    ticket: Option<Ticket>,
}

impl<T> fmt::Debug for BlockingHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingHandle").finish_non_exhaustive()
    }
}

impl<T> BlockingHandle<T> {
    /// Takes the call back if it has not begun; awaiting then says cancelled.
    pub fn abort(&self) -> bool {
        self.ticket.as_ref().is_some_and(Ticket::cancel)
    }

    /// Lets the call run whether or not anybody waits for it.
    pub fn detach(mut self) {
        self.ticket = None;
    }
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let old;
        {
            let mut outcome = lock(&self.shared);
            if let Some(result) = outcome.result.take() {
                return Poll::Ready(result);
            }
            old = outcome.waker.replace(cx.waker().clone());
        }
        drop(old);
        waiting(Wait::Blocking);
        Poll::Pending
    }
}

impl<T> Drop for BlockingHandle<T> {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            ticket.cancel();
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
    let shared: Shared<T> = Arc::new(Mutex::new(Outcome {
        result: None,
        waker: None,
    }));
    let mut report = Report {
        shared: Arc::clone(&shared),
        result: None,
    };
    let work = Box::new(move || {
        let result = contain(call);
        report.result = Some(result.map_err(|payload| JoinError::panicked(None, payload)));
        drop(report);
    });
    // A refused job is dropped here, and its report says cancelled.
    let ticket = Context::current().pool.submit(work).ok();
    BlockingHandle { shared, ticket }
}
