//! What is said of a stall.

use std::fmt;
use std::io::{self, Write};
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::sys::backtrace::Frame;
use crate::task::TaskId;

/// The function from which every poll of a task is called.
const POLL: &str = "annulet_runtime::task::raw::poll";

/// Libraries that say little of who is to blame.
const FOREIGN: [&str; 4] = ["core::", "alloc::", "std::", "__rust"];

/// Frames in the text.
const SHOWN: usize = 6;

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
    /// How long its poll had lasted when it was reported; time in which the system gave the thread
    /// no processor is left out, where it says so.
    pub lasted: Duration,
    /// How much of that the thread was running: little if it waits for something, all if it
    /// computes.
    pub on_cpu: Option<Duration>,
    /// Stalls of this shard that were not reported since the report before.
    pub left_out: u64,
    /// The functions that had been called and had not returned, the innermost first. Only where it
    /// was [asked for](crate::Builder::stall_backtrace), and could be found out.
    pub backtrace: Option<Arc<[Frame]>>,
}

impl Stall {
    /// Whether the task was waiting in a system call or for a lock, and not computing.
    #[must_use]
    pub fn blocks(&self) -> Option<bool> {
        self.on_cpu.map(|ran| ran < self.lasted / 2)
    }

    /// The part of the backtrace that says most: the call that has not returned, and the functions
    /// of the program that led to it. What lies below the poll, and in between what is the standard
    /// library's, is left out.
    pub fn frames(&self) -> impl Iterator<Item = &Frame> {
        let all = self.backtrace.iter().flat_map(|frames| frames.iter());
        let of_task = all.take_while(|frame| !frame.function.starts_with(POLL));
        of_task.enumerate().filter_map(|(index, frame)| {
            let name = frame.function.trim_start_matches(['<', '&']);
            let known = frame.place.is_some();
            let foreign = FOREIGN.iter().any(|library| name.starts_with(library));
            (index == 0 || (known && !foreign)).then_some(frame)
        })
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
        for frame in self.frames().take(SHOWN) {
            write!(f, "\n    in {frame}")?;
        }
        Ok(())
    }
}

/// One line on standard error.
pub(super) fn print(stall: &Stall) {
    // If standard error is gone there is nobody left to tell.
    let _gone = writeln!(io::stderr(), "annulet: {stall}");
}
