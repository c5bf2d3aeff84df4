//! What join handles can do with the help of timers and tasks.

use std::time::Duration;

use crate::context;
use crate::task::{JoinError, JoinHandle, RemoteJoinHandle};
use crate::time::timeout;

impl<T> JoinHandle<T> {
    /// Asks the task to end and waits for that; aborts it if `grace` passes first.
    ///
    /// What came of it is in the output: what the task returned, having ended in its own way, or a
    /// [`JoinError`] that says cancelled if it was aborted.
    ///
    /// # Errors
    ///
    /// The [`JoinError`] of the task.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// The task has been asked to end as soon as this is polled; after a drop nobody aborts it. The
    /// output stays in the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulet_runtime::{spawn, yield_now};
    /// use std::time::Duration;
    ///
    /// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
    /// let mut task = spawn(std::future::pending::<()>());
    /// let ended = task.cancel_within(Duration::from_secs(5)).await;
    /// assert!(ended.expect_err("it has no scope").is_cancelled());
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn cancel_within(&mut self, grace: Duration) -> Result<T, JoinError> {
        self.cancel();
        if let Ok(ended) = timeout(grace, &mut *self).await {
            return ended;
        }
        self.abort();
        self.await
    }

    /// Calls `call` with the task's output once it has ended, at the shard's next turn.
    ///
    /// The handle given back is on the call and its output, so calls can follow each other.
    /// Dropping it lets the call happen; aborting it keeps it from happening, and the task goes on.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the handle changes nothing: the call is made.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulet_runtime::spawn;
    ///
    /// # annulet_runtime::Builder::new().build()?.block_on(async {
    /// let task = spawn(async { 6 }).on_done(|output| output.map(|six| six * 7));
    /// let answer = task.await.expect("the call does not panic");
    /// assert_eq!(answer.expect("nor does the task"), 42);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn on_done<R, F>(self, call: F) -> JoinHandle<R>
    where
        T: 'static,
        R: 'static,
        F: FnOnce(Result<T, JoinError>) -> R + 'static,
    {
        context::spawn(async move { call(self.await) })
    }
}

impl<T> RemoteJoinHandle<T> {
    /// Asks the task to end and waits for that; aborts it if `grace` passes first. See
    /// [`JoinHandle::cancel_within`].
    ///
    /// # Errors
    ///
    /// The [`JoinError`] of the task.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// The task has been asked to end as soon as this is polled; after a drop nobody aborts it. The
    /// output stays in the handle.
    pub async fn cancel_within(&mut self, grace: Duration) -> Result<T, JoinError> {
        self.cancel();
        if let Ok(ended) = timeout(grace, &mut *self).await {
            return ended;
        }
        self.abort();
        self.await
    }
}
