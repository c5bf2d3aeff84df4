//! Children whose runtime ended before them: nobody waits for them, and they are still to be
//! reaped.
//!
//! They are looked at whenever a child is started or joins them, so that a process which goes on
//! starting children never has more than a few of them dead. When the process ends, the system
//! reaps the rest.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Mutex;

use crate::panics::lock;
use crate::sys::pidfd;

static ORPHANS: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// Takes over a child.
pub(super) fn adopt(pidfd: OwnedFd) {
    lock(&ORPHANS).push(pidfd);
    reap();
}

/// Reaps those that have ended.
pub(super) fn reap() {
    let mut orphans = lock(&ORPHANS);
    // An error says that it has been reaped already.
    orphans.retain(|orphan| matches!(pidfd::try_wait(orphan.as_raw_fd()), Ok(None)));
}
