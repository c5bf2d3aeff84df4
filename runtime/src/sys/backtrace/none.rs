//! No backtraces.

use super::Frame;
use crate::sys::thread::ThreadId;

/// Where a thread stands.
pub(crate) enum Place {}

impl Place {
    /// No frames.
    pub(crate) fn frames(self) -> Vec<Frame> {
        match self {}
    }
}

/// None.
pub(crate) fn capture(_thread: ThreadId) -> Option<Place> {
    None
}
