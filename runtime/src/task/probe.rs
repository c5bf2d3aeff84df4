//! Debug mode's look at each poll: whether it has blocked its thread, and how often.
//!
//! The system counts how often a thread has given up its processor of its own accord, to wait for
//! something. If a poll does, it holds up the shard, however short it is. Two system calls a poll
//! pay for this, so it is done in debug mode only: polls are then run one by one, on a way of their
//! own, and the other ways know nothing of it.

use std::fmt;
use std::time::Duration;

use super::meta::TaskMeta;
use crate::panics::discard_panic;

/// A poll has put its thread to sleep.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Blocked {
    /// The task.
    pub task: TaskMeta,
    /// How often its thread went to sleep.
    pub times: u64,
    /// How long the poll lasted.
    pub lasted: Duration,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            task,
            times,
            lasted,
        } = self;
        let plural = if *times == 1 { "" } else { "s" };
        write!(
            f,
            "{task} blocked its shard: its thread slept {times} time{plural} in a poll of {lasted:.1?}"
        )
    }
}

/// See the [module](self).
pub(crate) struct Probe {
    switches: fn() -> u64,
    /// Fit to be dropped by any thread, as all that is left in an owner.
    hear: Box<dyn Fn(Blocked) + Send>,
}

impl Probe {
    /// `switches` counts how often the calling thread has gone to sleep.
    pub(crate) fn new(switches: fn() -> u64, hear: impl Fn(Blocked) + Send + 'static) -> Self {
        Self {
            switches,
            hear: Box::new(hear),
        }
    }

    pub(super) fn switches(&self) -> u64 {
        (self.switches)()
    }

    pub(super) fn hear(&self, blocked: Blocked) {
        discard_panic(|| (self.hear)(blocked));
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}
