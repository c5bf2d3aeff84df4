//! A set of tasks, joined in the order in which they end.
//!
//! The handles stand in a queue of their own that knows which of them was woken, so a task's end
//! costs the same however many others are waited for.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;

use super::aborts::in_turn;
use crate::context;
use crate::task::{JoinError, JoinHandle, TaskId};

/// A handle that tells its task's id with the output.
struct Member<T>(JoinHandle<T>);

impl<T> Future for Member<T> {
    type Output = (TaskId, Result<T, JoinError>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let output = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready((self.0.id(), output))
    }
}

/// Tasks of one shard that belong together, to be joined in the order in which they end.
///
/// Dropping the set aborts all its tasks there and then; see [`detach_all`](Self::detach_all). It
/// is a [`Stream`] of ids and outputs. A task that has ended stays in the set until it is joined.
///
/// For tasks of which none may outlive the code that spawned them, and whose failures belong
/// together, there is [`TaskGroup`](crate::TaskGroup).
///
/// # Examples
///
/// ```
/// use annulet_runtime::{TaskSet, time::sleep};
/// use std::time::Duration;
///
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// let mut set = TaskSet::new();
/// for seconds in [3, 1, 2] {
///     set.spawn(async move {
///         sleep(Duration::from_secs(seconds)).await;
///         seconds
///     });
/// }
/// let mut order = Vec::new();
/// while let Some((_, seconds)) = set.join_next().await {
///     order.push(seconds.expect("no panic"));
/// }
/// assert_eq!(order, [1, 2, 3]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TaskSet<T: 'static> {
    members: FuturesUnordered<Member<T>>,
    /// Outputs that were taken by a [`join_all`](Self::join_all) that was given up.
    joined: VecDeque<(TaskId, Result<T, JoinError>)>,
}

impl<T> Default for TaskSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> TaskSet<T> {
    /// A set without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self {
            members: FuturesUnordered::new(),
            joined: VecDeque::new(),
        }
    }

    /// How many tasks are in it, those that have ended and were not joined included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len() + self.joined.len()
    }

    /// Whether no task is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in a task that was spawned elsewhere on this shard.
    pub fn insert(&mut self, task: JoinHandle<T>) {
        self.members.push(Member(task));
    }

    /// Waits for the next task to end, takes it out and gives its id and output; none if the set is
    /// empty.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no output is lost.
    pub async fn join_next(&mut self) -> Option<(TaskId, Result<T, JoinError>)> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// Takes out a task that has ended, if there is one now.
    pub fn try_join_next(&mut self) -> Option<(TaskId, Result<T, JoinError>)> {
        match self.poll_join_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(joined) => joined,
            Poll::Pending => None,
        }
    }

    /// Polls for the next task to end. See [`join_next`](Self::join_next).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no output is lost.
    pub fn poll_join_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(TaskId, Result<T, JoinError>)>> {
        if let Some(joined) = self.joined.pop_front() {
            return Poll::Ready(Some(joined));
        }
        Pin::new(&mut self.members).poll_next(cx)
    }

    /// Waits for all tasks and gives their outputs in the order in which they were spawned.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what has ended by then stays in the set, to be joined later.
    pub async fn join_all(&mut self) -> Vec<Result<T, JoinError>> {
        while let Some(joined) = poll_fn(|cx| Pin::new(&mut self.members).poll_next(cx)).await {
            self.joined.push_back(joined);
        }
        let mut joined = mem::take(&mut self.joined);
        joined.make_contiguous().sort_by_key(|(id, _)| *id);
        joined.into_iter().map(|(_, output)| output).collect()
    }

    /// Aborts all tasks; they stay in the set, to be joined.
    pub fn abort_all(&self) {
        self.members.iter().for_each(|member| member.0.abort());
    }

    /// Asks all tasks to end, as [`JoinHandle::cancel`] does; they stay in the set, to be joined.
    pub fn cancel_all(&self) {
        self.members.iter().for_each(|member| member.0.cancel());
    }

    /// Lets all tasks go on by themselves, and empties the set.
    pub fn detach_all(&mut self) {
        // Dropping a handle is what detaches.
        drop(mem::take(&mut self.members));
        self.joined.clear();
    }

    /// Aborts all tasks and waits until each has ended. Outputs are dropped; a panic among them
    /// goes to the runtime's hook for those that nobody joins.
    ///
    /// # Cancel safety
    ///
    /// The tasks have been aborted all the same, and the set is empty.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        self.joined.clear();
        for member in mem::take(&mut self.members) {
            let mut task = member.0;
            poll_fn(|cx| task.poll_finished(cx)).await;
        }
    }
}

impl<T> TaskSet<T> {
    /// Spawns a task into the set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F: Future<Output = T> + 'static>(&mut self, future: F) -> TaskId {
        let task = context::spawn(future);
        let id = task.id();
        self.insert(task);
        id
    }

    /// Spawns a task with a name into the set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_named<F: Future<Output = T> + 'static>(
        &mut self,
        name: &str,
        future: F,
    ) -> TaskId {
        let task = context::spawn_named(name, future);
        let id = task.id();
        self.insert(task);
        id
    }
}

// Nothing in it is pinned.
impl<T> Unpin for TaskSet<T> {}

impl<T> Drop for TaskSet<T> {
    fn drop(&mut self) {
        let members = mem::take(&mut self.members);
        if !members.is_empty() {
            in_turn(move || members.iter().for_each(|member| member.0.abort()));
        }
    }
}

impl<T> Stream for TaskSet<T> {
    type Item = (TaskId, Result<T, JoinError>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_join_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<T> Extend<JoinHandle<T>> for TaskSet<T> {
    fn extend<I: IntoIterator<Item = JoinHandle<T>>>(&mut self, tasks: I) {
        tasks.into_iter().for_each(|task| self.insert(task));
    }
}

impl<T> FromIterator<JoinHandle<T>> for TaskSet<T> {
    fn from_iter<I: IntoIterator<Item = JoinHandle<T>>>(tasks: I) -> Self {
        let mut set = Self::new();
        set.extend(tasks);
        set
    }
}

impl<T> fmt::Debug for TaskSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
