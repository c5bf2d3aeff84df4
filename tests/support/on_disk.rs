//! Runs a test of files on both drivers, as they are and without each feature in turn, each time in
//! a fresh directory of the disk that the project is on.

use std::path::Path;
use std::time::Duration;

use annulet::time::timeout;

use super::variants::variants;

pub(crate) fn on_every_variant(body: impl AsyncFn(&str, &Path)) {
    for variant in variants() {
        let dir = tempfile::tempdir_in(".").expect("a directory on a disk");
        let runtime = variant.builder().build().expect("a runtime");
        runtime.block_on(async {
            let ran = timeout(Duration::from_secs(60), body(&variant.name, dir.path())).await;
            ran.unwrap_or_else(|_| panic!("stuck on {}", variant.name));
        });
    }
}
