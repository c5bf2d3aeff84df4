//! Directories: their listings, walks through them, and what never leads out of them, on every
//! driver.
#![cfg(target_os = "linux")]

#[path = "../support/fds.rs"]
mod fds;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/seccomp.rs"]
mod seccomp;

mod beneath;
mod listing;
mod temporary;
mod walking;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annulet::time::{sleep, timeout};
use tempfile::TempDir;

/// Descriptors of the process are counted, so one test runs at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test on each driver, one test at a time, and ends it where it hangs.
pub(crate) fn on_each_driver(test: impl AsyncFn() -> io::Result<()>) {
    let _alone = alone();
    annulet::for_each_driver(|runtime| {
        let ended = runtime.block_on(async { timeout(Duration::from_secs(120), test()).await });
        ended.expect("it does not hang").expect("it succeeds");
    });
}

/// Waits until no more descriptors are open than before: what is given up is closed in its own time.
pub(crate) async fn fds_are_back_to(before: Option<usize>) {
    while fds::open_fds() > before {
        sleep(Duration::from_millis(1)).await;
    }
}

/// A directory in memory, if there is such a place: on some disks making files is slow.
pub(crate) fn scratch() -> TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.expect("a directory")
}
