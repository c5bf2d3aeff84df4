//! What a shard counts and measures of itself: always on, a few nanoseconds each.
//!
//! A shard has one [`Meter`], shared with whoever wants to read it. Only the shard's own thread
//! writes, with plain loads and stores; any thread reads at any time, also while the shard is
//! stuck, which is when it matters most. Each number stands for itself: two of them read one after
//! the other need not agree to the last event.

mod counter;
mod histogram;
mod meter;
mod prometheus;
mod reading;

pub use self::counter::{DriverStats, LoopStats, TaskStats};
pub use self::histogram::Distribution;
pub use self::reading::{ClassMetrics, Metrics};

pub(crate) use self::meter::{CLASSES, Meter};
pub(crate) use self::prometheus::exposition;
pub(crate) use crate::sys::ticks;
