//! What a task is called: its id, its name, and where it was spawned.
//!
//! Ids are unique in the process. Each owner takes them from a global counter in blocks, so that a
//! spawn costs no atomic read-modify-write.

use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::class::Class;
use super::wait::Wait;

/// How many ids an owner takes at once.
pub(super) const ID_BLOCK: u64 = 4096;

/// The first id that no owner has taken. Always std's, as loom has no statics: an id orders
/// nothing.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The identity of a task, unique in the process and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(NonZeroU64);

impl TaskId {
    /// Takes a block of ids and returns its first.
    pub(super) fn take_block() -> u64 {
        // Relaxed: uniqueness is all that is asked of it.
        NEXT_ID.fetch_add(ID_BLOCK, Ordering::Relaxed)
    }

    /// The id with this number.
    #[inline]
    pub(super) fn from_number(number: u64) -> Self {
        Self(NonZeroU64::new(number).expect("ids start at one"))
    }

    /// The id as a number.
    pub fn as_u64(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a task is called: its id, its name, and where it was spawned.
#[derive(Debug, Clone)]
pub struct TaskMeta {
    pub(super) id: Option<TaskId>,
    pub(super) name: Option<Arc<str>>,
    pub(super) location: &'static Location<'static>,
}

impl TaskMeta {
    /// What stands for code that is no task's.
    #[track_caller]
    pub(super) fn none() -> Self {
        Self {
            id: None,
            name: None,
            location: Location::caller(),
        }
    }

    /// The task's id; none for code that runs on a shard outside any task, such as a message.
    pub fn id(&self) -> Option<TaskId> {
        self.id
    }

    /// The name it was given.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it was spawned.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }
}

impl fmt::Display for TaskMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(id) = self.id else {
            return f.write_str("a message");
        };
        write!(f, "task {id}")?;
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        write!(f, " spawned at {}", self.location)
    }
}

/// What a live task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// Its poll is on the stack.
    Running,
    /// Waiting in the run queue.
    Scheduled,
    /// Waiting to be woken.
    Idle,
}

/// An operation that a task waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Awaited {
    /// Its kind, by the kernel's name.
    pub name: &'static str,
    /// The descriptor that it is about.
    pub descriptor: Option<String>,
    /// How long ago it was submitted.
    pub age: Duration,
}

impl Awaited {
    pub(crate) fn new(name: &'static str, descriptor: Option<String>, age: Duration) -> Self {
        Self {
            name,
            descriptor,
            age,
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(descriptor) = &self.descriptor {
            write!(f, " on {descriptor}")?;
        }
        write!(f, " for {:.1?}", self.age)
    }
}

/// One live task, as a listing shows it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its id, name and spawn location.
    pub meta: TaskMeta,
    /// What it was doing when the list was made.
    pub state: TaskState,
    /// Its scheduling class.
    pub class: Class,
    /// How long ago it was spawned, to 20 ms or so.
    pub age: Duration,
    /// How often it has been polled; 2^32 - 1 stands for more.
    pub polls: u32,
    /// Time spent in its polls.
    pub busy: Duration,
    /// What it waits for beside operations, as far as it has said.
    pub waits: Option<Wait>,
    /// The operations that it waits for.
    pub operations: Vec<Awaited>,
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            TaskState::Running => "running",
            TaskState::Scheduled => "ready to run",
            TaskState::Idle => "waiting",
        };
        write!(f, "{}: {state}", self.meta)?;
        if self.state == TaskState::Idle {
            let operations = self.operations.iter().map(ToString::to_string);
            let waits = self.waits.iter().map(ToString::to_string);
            let all: Vec<String> = operations.chain(waits).collect();
            if !all.is_empty() {
                write!(f, " for {}", all.join(", "))?;
            }
        }
        write!(
            f,
            "; {:.1?} old, {} polls, busy {:.1?}",
            self.age, self.polls, self.busy
        )
    }
}
