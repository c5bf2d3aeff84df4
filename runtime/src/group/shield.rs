//! `shield`: what is awaited goes on when nobody awaits it any more.

use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::context;
use crate::locals::inherit_locals;
use crate::task::{JoinHandle, TaskMeta};

/// Runs `future` as a task of its own, so that it goes on when the awaiting side is cancelled or
/// dropped.
///
/// It starts with this call, and sees the task-locals that are set here. Its output, if nobody
/// awaits it any more, is dropped; its panic then goes to the runtime's hook for those. It lasts no
/// longer than the runtime: what has to be done before that ends must be awaited somewhere.
///
/// # Panics
///
/// Outside a runtime. Awaiting it panics with the panic of `future`.
///
/// # Cancel safety
///
/// That is what it is for: dropping it changes nothing for `future`.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{shield, time::{sleep, timeout}};
/// use std::{cell::Cell, rc::Rc, time::Duration};
///
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// let saved = Rc::new(Cell::new(false));
/// let save = {
///     let saved = Rc::clone(&saved);
///     async move {
///         sleep(Duration::from_secs(2)).await;
///         saved.set(true);
///     }
/// };
/// assert!(timeout(Duration::from_secs(1), shield(save)).await.is_err());
/// assert!(!saved.get());
/// sleep(Duration::from_secs(2)).await;
/// assert!(saved.get());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn shield<F: Future + 'static>(future: F) -> Shield<F::Output> {
    let location = Location::caller();
    Shield {
        task: context::spawn(inherit_locals(future)),
        location,
    }
}

/// The future of [`shield`].
#[derive(Debug)]
#[must_use = "its output is what it was made for; to run a task by itself there is `spawn`"]
pub struct Shield<T> {
    task: JoinHandle<T>,
    location: &'static Location<'static>,
}

impl<T> Shield<T> {
    /// The id, name and spawn location of the task that runs the future.
    #[must_use]
    pub fn meta(&self) -> TaskMeta {
        self.task.meta()
    }

    /// Whether the future is done: awaiting this would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl<T> Future for Shield<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.task).poll(cx)) {
            Ok(output) => Poll::Ready(output),
            Err(error) => match error.try_into_panic() {
                Ok(payload) => resume_unwind(payload),
                // Only its runtime's end can abort it.
                Err(_) => panic!(
                    "what was shielded at {} ended with its runtime",
                    self.location
                ),
            },
        }
    }
}
