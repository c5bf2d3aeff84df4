//! Many tasks that wait: what a task weighs beside its future.

use crate::case::{Case, Memory, Work};

/// The name of the extra figure: bytes of a task, its future not counted.
pub const OVERHEAD_BYTES: &str = "overhead_bytes";

/// The memory case.
#[must_use]
pub fn cases() -> Vec<Case> {
    let tasks = 100_000;
    vec![Case {
        name: format!("memory/{tasks}-tasks"),
        work: Work::Memory(Memory { tasks }),
    }]
}
