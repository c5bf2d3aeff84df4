//! The way into an executor from other threads: messages, and spawns by message.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::metrics::Meter;
use crate::task::{LocalOwner, Message, RemoteJoinHandle, RemoteTask, SharedOwner, TaskId, slot};

/// A handle on an executor, for any thread. It outlives the executor, and then refuses.
#[derive(Clone)]
pub(crate) struct Remote {
    owner: SharedOwner,
}

impl Remote {
    pub(super) fn new(owner: SharedOwner) -> Self {
        Self { owner }
    }

    /// Runs `message` on the executor's thread, at its next turn.
    ///
    /// # Errors
    ///
    /// The message, if the executor has shut down. One that was sent in time may still be dropped
    /// by the shutdown.
    pub(crate) fn send(
        &self,
        message: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Box<dyn FnOnce() + Send>> {
        match self.owner.send(Message::Call(message)) {
            Err(Message::Call(message)) => Err(message),
            Ok(()) | Err(Message::Visit(_)) => Ok(()),
        }
    }

    /// Wakes the executor's thread if it sleeps: something was published that it looks at before it
    /// does.
    pub(crate) fn ring(&self) {
        self.owner.ring();
    }

    /// What the executor counts and measures.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        self.owner.meter()
    }

    /// The name of the executor's thread.
    pub(crate) fn thread_name(&self) -> &str {
        self.owner.thread_name()
    }

    /// The task whose poll is on the stack, and where it was spawned.
    pub(crate) fn running(&self) -> Option<(TaskId, &'static Location<'static>)> {
        self.owner.running()
    }

    /// Whether the executor has shut down.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.owner.is_shut_down()
    }

    /// Makes a future on the executor's thread and spawns it there. If the executor has shut down,
    /// or does before the task is complete, the handle says cancelled.
    pub(crate) fn spawn<F, Fut>(
        &self,
        make: F,
        name: Option<&str>,
        location: &'static Location<'static>,
    ) -> RemoteJoinHandle<Fut::Output>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: Send + 'static,
    {
        let (filler, handle) = slot(self.owner.clone());
        let name = name.map(String::from);
        let visit = move |owner: &LocalOwner| {
            if !filler.is_aborted() {
                // `make` runs as the first part of the task, so that its panic is the task's.
                let future = async move { make().await };
                owner.spawn(
                    RemoteTask::new(future, filler),
                    name.as_deref(),
                    None,
                    location,
                );
            }
        };
        // Refused, the message is dropped, and the filler in it answers.
        drop(self.owner.send(Message::Visit(Box::new(visit))));
        handle
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("shut_down", &self.is_shut_down())
            .finish()
    }
}
