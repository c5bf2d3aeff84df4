//! Many sleeps at once: what a timer costs, and how late it is.
//!
//! Nobody has both cheap and exact timers for free, so both are in one table: CPU per timer with
//! everything in it, and lateness. The cost of starting one alone is the extra figure
//! [`CREATE_NS`].

use super::Settings;
use crate::case::{Case, Timers, Work};

/// The name of the extra figure: nanoseconds to start one sleep.
pub const CREATE_NS: &str = "create_ns";

/// The timer cases.
#[must_use]
pub fn cases(settings: &Settings) -> Vec<Case> {
    let spread_ms = if settings.quick { 250 } else { 1000 };
    [1_000, 100_000]
        .map(|count| Case {
            name: format!("timers/{count}"),
            work: Work::Timers(Timers { count, spread_ms }),
        })
        .into()
}
