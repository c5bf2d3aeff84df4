//! Awaiting that descriptors are closed, on a runtime.

use std::time::Duration;

use annulet::time::sleep;

use super::fds::open_fds;

/// Waits until no more descriptors are open than before: what is given up is closed in its own time.
pub(crate) async fn fds_are_back_to(before: Option<usize>) {
    while open_fds() > before {
        sleep(Duration::from_millis(1)).await;
    }
}
