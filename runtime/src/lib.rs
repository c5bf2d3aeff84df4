//! The runtime of annulet: shards, driver, tasks, time and the blocking pool.
//!
//! A [`Runtime`] is one **shard**: one thread with its own event loop, run queue, timers and I/O
//! driver. [`Shards`] starts several, each pinned to a CPU. Nothing is shared between shards but
//! messages. On Linux the driver is io_uring; where that is missing or forbidden it is readiness
//! through `polling`, and files go to the blocking pool.
//!
//! Most programs use the facade crate `annulet`, which re-exports this one with `net` and `fs`.
//!
//! ```
//! let runtime = annulet_runtime::Builder::new().build()?;
//! let answer = runtime.block_on(async {
//!     let task = annulet_runtime::spawn(async { 6 * 7 });
//!     task.await
//! });
//! assert_eq!(answer?, 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(unsafe_code)]

pub mod buf;
pub mod combine;
pub mod group;
pub mod inspect;
pub mod locals;
pub mod op;
pub mod process;
pub mod signal;
pub mod stdio;
pub mod stream;
pub mod sync;
pub mod sys;
pub mod task;
pub mod time;

mod async_fd;
mod blocking;
mod builder;
mod context;
mod debug;
mod driver;
mod dump;
mod executor;
mod metrics;
mod panics;
mod pool;
mod pooled;
mod roster;
mod runtime;
mod shard;
mod shim;
mod wakers;
mod watch;

pub use async_fd::AsyncFd;
pub use blocking::{BlockingHandle, BlockingPool, spawn_blocking};
pub use builder::Builder;
pub use combine::{join_all, race, race_ok, try_join_all};
pub use context::{Context, NoRuntime, TaskBuilder, spawn, spawn_named, try_current};
pub use debug::{Finding, LeftOpen};
pub use driver::{Choice, Code, Config, Driver, DriverKind, DriverReport, Feature, Interest, Mask};
pub use dump::tasks;
pub use group::{
    CancelCause, CancelScope, Cancelled, Child, ChildError, GroupError, TaskGroup, TaskSet,
    TimerHandle, Until, call_at, call_later, defer, shield, wait,
};
pub use locals::{LocalKey, LocalScope, NotSet, inherit_locals};
pub use metrics::{ClassMetrics, Distribution, DriverStats, LoopStats, Metrics, TaskStats};
pub use pool::PoolConfig;
pub use runtime::Runtime;
pub use shard::{
    Call, Handle, Refused, ShardError, ShardId, Sharded, Shards, cpus, for_each_shard, map_reduce,
    shard_cpus, shards, spawn_on, this_shard,
};
pub use task::{JoinError, JoinHandle, yield_now};
pub use watch::{Frame, Stall};
