//! A bounded channel between two tasks of one shard: what a message costs that nobody else sees.

use crate::case::{Case, Channel, Work};

/// The channel case.
#[must_use]
pub fn cases() -> Vec<Case> {
    let capacity = 128;
    vec![Case {
        name: format!("channel/local-{capacity}"),
        work: Work::Channel(Channel { capacity }),
    }]
}
