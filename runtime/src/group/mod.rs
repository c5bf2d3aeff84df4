//! Tasks that belong together, and how they end.
//!
//! | | ends with | a failure |
//! |---|---|---|
//! | [`TaskSet`] | its drop, which aborts | is the output of a join |
//! | [`TaskGroup`] | its scope, which waits for all | ends the siblings, and is kept |
//! | [`wait`] | the caller's handles, which stay | may end the wait |
//! | [`shield`] | by itself | is the caller's, while there is one |
//!
//! Ending comes in two kinds. An *abort* drops the future where it stands. A *cancel* asks: the
//! innermost [`CancelScope`] or group that the task is inside of ends what runs there, and the
//! code around it hears [`Cancelled`] and goes on to put things in order.

mod aborts;
mod calls;
mod cancelled;
mod child;
mod error;
mod handle;
mod scope;
mod set;
mod shield;
mod task_group;
mod wait;

pub use self::calls::{TimerHandle, call_at, call_later, defer};
pub use self::cancelled::{CancelCause, Cancelled};
pub use self::child::Child;
pub use self::error::{Cause, ChildError, Failure, GroupError};
pub use self::scope::{CancelScope, ScopeRun};
pub use self::set::TaskSet;
pub use self::shield::{Shield, shield};
pub use self::task_group::TaskGroup;
pub use self::wait::{All, Condition, First, FirstFailure, FirstPanic, Until, Wait, wait};

#[cfg(all(test, not(loom)))]
mod tests;
