//! Spawning and joining tasks on one thread: what a task costs from birth to death.

use crate::case::{Case, Spawn, Work};

/// The spawn case.
#[must_use]
pub fn cases() -> Vec<Case> {
    let batch = 1000;
    vec![Case {
        name: format!("spawn/join-{batch}"),
        work: Work::Spawn(Spawn { batch }),
    }]
}
