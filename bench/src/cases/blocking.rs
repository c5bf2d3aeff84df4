//! Trivial calls on the blocking pool, many at once: what the way to a thread and back costs.

use crate::case::{Blocking, Case, Work};

/// The case of the blocking pool.
#[must_use]
pub fn cases() -> Vec<Case> {
    let in_flight = 64;
    vec![Case {
        name: format!("blocking/{in_flight}-in-flight"),
        work: Work::Blocking(Blocking { in_flight }),
    }]
}
