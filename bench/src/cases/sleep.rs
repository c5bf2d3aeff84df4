//! Sleeps that are given up before they end, as the deadlines of a server are: what starting one
//! and taking it out costs.
//!
//! With many at once the extra figure [`CREATE_NS`](super::timers::CREATE_NS) is what starting
//! costs alone.

use crate::case::{Case, Sleep, Work};

/// The sleep cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    let count = 100_000;
    let case = |name: String, sleep| Case {
        name,
        work: Work::Sleep(sleep),
    };
    vec![
        case("sleep/insert-cancel".into(), Sleep::InsertCancel),
        case(format!("sleep/create-{count}"), Sleep::Create { count }),
    ]
}
