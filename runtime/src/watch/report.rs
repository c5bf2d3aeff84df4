//! What is said of a stall.

use std::fmt;
use std::io::{self, Write};
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::task::TaskId;

/// A task has kept its shard to itself for longer than it may.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// The name of the shard's thread.
    pub thread: String,
    /// The task.
    pub task: TaskId,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
    /// How long its poll had lasted when it was reported; time in which the system gave the thread no
    /// processor is left out, where it says so.
    pub lasted: Duration,
    /// How much of that the thread was running: little if it waits for something, all if it computes.
    pub on_cpu: Option<Duration>,
    /// Stalls of this shard that were not reported since the report before.
    pub left_out: u64,
}

impl Stall {
    /// Whether the task was waiting in a system call or for a lock, and not computing.
    #[must_use]
    pub fn blocks(&self) -> Option<bool> {
        self.on_cpu.map(|ran| ran < self.lasted / 2)
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is held up by task {}", self.thread, self.task)?;
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        write!(f, " spawned at {}", self.location)?;
        write!(f, ": one poll has lasted {} ms", self.lasted.as_millis())?;
        match self.blocks() {
            Some(true) => f.write_str("; it waits in a blocking call: use spawn_blocking")?,
            Some(false) => {
                f.write_str("; it computes: use spawn_blocking, or yield_if_needed between steps")?;
            }
            None => {}
        }
        if self.left_out > 0 {
            write!(f, " ({} more were not reported)", self.left_out)?;
        }
        Ok(())
    }
}

/// One line on standard error.
pub(super) fn print(stall: &Stall) {
    // If standard error is gone there is nobody left to tell.
    let _gone = writeln!(io::stderr(), "annulet: {stall}");
}
