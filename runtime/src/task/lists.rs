//! The two lists of an owner, both threaded through the headers: the run queue, and all live tasks.
//!
//! Nothing here allocates or counts references. A task is in the run queue exactly while SCHEDULED
//! is set and in the list of live tasks exactly while LISTED is; both bits forbid freeing it.

use super::header::{Link, Task};
use crate::shim::Cell;

/// Tasks that are ready to run, first come first.
#[derive(Debug)]
pub(super) struct RunQueue {
    head: Cell<Link>,
    tail: Cell<Link>,
}

impl RunQueue {
    pub(super) fn new() -> Self {
        Self {
            head: Cell::new(None),
            tail: Cell::new(None),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head.get().is_none()
    }

    /// Puts a task at the back; the caller has just set SCHEDULED.
    #[inline]
    pub(super) fn push(&self, task: Task) {
        task.queue_next.set(None);
        match self.tail.replace(Some(task)) {
            // The tail of an empty queue is stale, and may point to freed memory: ask the head.
            Some(tail) if !self.is_empty() => tail.queue_next.set(Some(task)),
            _ => self.head.set(Some(task)),
        }
    }

    /// The task at the front.
    #[inline]
    pub(super) fn front(&self) -> Option<Task> {
        self.head.get()
    }

    /// Takes the task at the front; the caller clears SCHEDULED.
    #[inline]
    pub(super) fn pop(&self) -> Option<Task> {
        let task = self.head.get()?;
        self.head.set(task.queue_next.get());
        Some(task)
    }
}

/// All live tasks of an owner, in no promised order.
#[derive(Debug)]
pub(super) struct TaskList {
    head: Cell<Link>,
    len: Cell<usize>,
}

impl TaskList {
    pub(super) fn new() -> Self {
        Self {
            head: Cell::new(None),
            len: Cell::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.get()
    }

    /// Puts a task in, which has both its links empty.
    #[inline]
    pub(super) fn insert(&self, task: Task) {
        let second = self.head.replace(Some(task));
        task.list_next.set(second);
        if let Some(second) = second {
            second.list_prev.set(Some(task));
        }
        self.len.set(self.len.get() + 1);
    }

    /// Takes a task out, which is in it.
    #[inline]
    pub(super) fn remove(&self, task: Task) {
        let prev = task.list_prev.take();
        let next = task.list_next.take();
        if let Some(next) = next {
            next.list_prev.set(prev);
        }
        match prev {
            Some(prev) => prev.list_next.set(next),
            None => self.head.set(next),
        }
        self.len.set(self.len.get() - 1);
    }

    /// The tasks, one by one. The list must not change meanwhile.
    pub(super) fn iter(&self) -> impl Iterator<Item = Task> {
        let mut next = self.head.get();
        std::iter::from_fn(move || {
            let task = next?;
            next = task.list_next.get();
            Some(task)
        })
    }
}
