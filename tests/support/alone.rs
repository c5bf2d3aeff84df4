//! Tests that count what the process has, one at a time.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annulet::time::timeout;

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test on each driver, one test at a time, and ends it where it hangs.
pub(crate) fn alone_on_each_driver(patience: Duration, test: impl AsyncFn() -> io::Result<()>) {
    let _alone = alone();
    annulet::for_each_driver(|runtime| {
        let ended = runtime.block_on(async { timeout(patience, test()).await });
        ended.expect("it does not hang").expect("it succeeds");
    });
}
