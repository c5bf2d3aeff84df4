//! Directories: their listings, walks through them, and what never leads out of them, on every
//! driver.
#![cfg(target_os = "linux")]

#[path = "../support/alone.rs"]
mod alone;
#[path = "../support/fds.rs"]
mod fds;
#[path = "../support/fds_closed.rs"]
mod fds_closed;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/seccomp.rs"]
mod seccomp;

mod beneath;
mod listing;
mod temporary;
mod walking;

use std::io;
use std::time::Duration;

use tempfile::TempDir;

use alone::{alone, alone_on_each_driver};
use fds_closed::fds_are_back_to;

/// Runs a test on each driver. Descriptors of the process are counted, so one runs at a time.
pub(crate) fn on_each_driver(test: impl AsyncFn() -> io::Result<()>) {
    alone_on_each_driver(Duration::from_secs(120), test);
}

/// A directory in memory, if there is such a place: on some disks making files is slow.
pub(crate) fn scratch() -> TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.expect("a directory")
}
