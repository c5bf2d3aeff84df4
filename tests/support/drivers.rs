//! The drivers that a test with runtimes of its own runs on.

use annulet::{Builder, Choice, DriverKind};

/// Calls `body` with each driver that works here and that `ANNULET_DRIVER` leaves, as a builder.
pub(crate) fn for_each_builder(mut body: impl FnMut(DriverKind, Builder)) {
    let mut kinds = Vec::new();
    annulet::for_each_driver(|runtime| kinds.push(runtime.driver().kind));
    for kind in kinds {
        let choice = match kind {
            DriverKind::Uring => Choice::Uring,
            _ => Choice::Poll,
        };
        body(kind, Builder::new().driver(choice));
    }
}
