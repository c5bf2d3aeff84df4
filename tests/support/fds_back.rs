//! Waits for descriptors to be closed: the watch of all shards may hold one a moment longer.

use std::thread;
use std::time::{Duration, Instant};

use super::fds::open_fds;

/// How long a close may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the process has no more descriptors open than before.
#[track_caller]
pub(crate) fn fds_are_back_to(before: Option<usize>, name: &str) {
    let deadline = Instant::now() + PATIENCE;
    while open_fds() > before {
        let now = open_fds();
        assert!(
            Instant::now() < deadline,
            "{name}: descriptors: {before:?} before, {now:?} after"
        );
        thread::yield_now();
    }
}
