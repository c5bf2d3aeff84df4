//! Yielding in a loop: what one turn through the run queue costs.
//!
//! Alone, a task that yields tempts the loop to enter the kernel each time; among a hundred the
//! run queue itself is what is seen.

use crate::case::{Case, Work, Yield};

/// The yield cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [1, 100]
        .map(|tasks| Case {
            name: format!("yield/{tasks}-tasks"),
            work: Work::Yield(Yield { tasks }),
        })
        .into()
}
