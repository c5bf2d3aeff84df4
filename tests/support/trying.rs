//! Tests that give up with an error, run on both drivers, as they are and without each feature in
//! turn.

use std::io;

use super::each::on_each_variant;

/// Runs `test` on every variant of the drivers; an error fails it.
pub(crate) fn try_on_each_variant(test: impl AsyncFn() -> io::Result<()>) {
    on_each_variant(async || {
        let outcome = test().await;
        outcome.unwrap_or_else(|error| panic!("{error}"));
    });
}
