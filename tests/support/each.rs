//! Runs a test on both drivers, as they are and without each feature in turn.

use std::time::Duration;

use annulet::Builder;
use annulet::time::timeout;

use super::variants::variants;

/// How long a test may take on one driver that does not wait for us, on a machine that does much
/// else.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `test` on every variant of the drivers, and ends it where it hangs.
pub(crate) fn on_each_variant(test: impl AsyncFn()) {
    on_each_variant_set_up(|builder| builder, test);
}

/// The same, on runtimes that `set_up` has a say in.
#[expect(clippy::print_stdout, reason = "tells on which variant a test failed")]
pub(crate) fn on_each_variant_set_up(set_up: impl Fn(Builder) -> Builder, test: impl AsyncFn()) {
    for variant in variants() {
        println!("on {}", variant.name);
        let runtime = set_up(variant.builder()).build().expect("a runtime");
        let ended = runtime.block_on(async { timeout(PATIENCE, test()).await });
        assert!(ended.is_ok(), "{}: it hangs", variant.name);
    }
}
