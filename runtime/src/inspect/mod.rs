//! The process seen from outside of its shards: a [`Snapshot`] of all of them, taken by any thread;
//! and what shows it, on a [signal](dump_on) or through a [socket](serve).
//!
//! Counters and histograms are read where they stand, so they are there even for a shard that is
//! stuck. Its tasks only the shard itself can list: it is asked by message, and when it does not
//! answer in time, what is known of it from outside takes the place of the list: which task's poll
//! is on its stack.

mod json;
mod snapshot;
mod text;

#[cfg(unix)]
mod on_signal;
#[cfg(unix)]
mod socket;

#[cfg(unix)]
pub use self::on_signal::dump_on;
pub use self::snapshot::{Running, ShardSnapshot, Snapshot, Tasks, snapshot};
#[cfg(unix)]
pub use self::socket::{Server, serve};
