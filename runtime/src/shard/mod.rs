//! Several shards: one pinned thread per CPU, messages between them, and an orderly end.
//!
//! | file | what |
//! |---|---|
//! | [`start`] | [`Shards`]: the threads, from their start to their end |
//! | [`handle`] | [`Handle`]: the way to one shard from any thread |
//! | [`peers`] | what a shard knows of the others: [`spawn_on`], [`for_each_shard`], [`map_reduce`] |
//! | [`sharded`] | [`Sharded`]: one value per shard, and calls to them |
//! | [`call`] | [`Call`]: work on another shard that ends with whoever waits for it |
//!
//! # Why shards that flood each other stand still never
//!
//! A message is put into its shard's queue without waiting, whoever sends it: there is no full
//! queue, hence no cycle of shards that wait for room in each other's. What bounds the queues is
//! that an answer is awaited: a task that awaits its calls has one under way, so a shard's queue is
//! no longer than there are tasks calling it. Whoever sends without awaiting ([`Handle::call`], a
//! detached [`Call`]) has no such bound and ought to use a bounded channel.
//!
//! A shard runs so many messages in a tick and no more, and then its tasks, its timers and its
//! driver have their turn, so a flood slows them down and does not stop them. Nor can local work
//! keep the messages waiting: a tick ends with its budget of time, and each begins with the
//! messages.

mod call;
mod handle;
mod peers;
mod sharded;
mod start;

use std::fmt;

pub use call::{Call, ShardError};
pub use handle::{Handle, Refused};
pub use peers::{for_each_shard, map_reduce, shard_cpus, shards, spawn_on, this_shard};
pub use sharded::Sharded;
pub use start::{Shards, cpus};

/// A shard's number, from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub usize);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}
