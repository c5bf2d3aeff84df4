//! A message to another CPU and its answer, both sides asleep in between: what waking costs.

use crate::case::{Case, Work};

/// The ping-pong case.
#[must_use]
pub fn cases() -> Vec<Case> {
    vec![Case {
        name: "ping_pong/sleeping".into(),
        work: Work::PingPong,
    }]
}
