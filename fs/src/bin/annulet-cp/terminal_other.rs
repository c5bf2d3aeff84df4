//! A terminal of which nothing is known: no line is drawn on it twice.

use std::time::Duration;

pub(crate) fn columns() -> Option<usize> {
    None
}

pub(crate) fn is_ours() -> bool {
    false
}

/// Nothing can be asked before reading: a question waits for its answer.
pub(crate) fn has_input(_patience: Duration) -> bool {
    true
}
