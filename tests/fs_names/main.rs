//! What is done by names gives what the plain system calls give: the same answers, the same errors,
//! the same tree afterwards, on every driver.
//!
//! Each operation is done in one of two equal trees, and its plain counterpart in the other.
#![cfg(target_os = "linux")]

#[path = "../support/alone.rs"]
mod alone;
#[path = "../support/fds.rs"]
mod fds;
#[path = "../support/fds_closed.rs"]
mod fds_closed;
#[path = "../support/random.rs"]
mod random;

mod changes;
mod copies;
mod looks;
mod many;
mod removal;
mod tree;

use std::io::{self, ErrorKind};
use std::time::Duration;

use annulet::fs::Metadata;

use alone::alone_on_each_driver;
use fds_closed::fds_are_back_to;

/// Runs a test on each driver. Descriptors of the process are counted, so one runs at a time.
pub(crate) fn on_each_driver(test: impl AsyncFn() -> io::Result<()>) {
    alone_on_each_driver(Duration::from_secs(120), test);
}

/// What came of something, to be compared: with the error's number, if the system gave it one. What
/// is wrong with what was asked, a library may find out before.
pub(crate) fn outcome<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => match error.raw_os_error() {
            Some(number) if error.kind() != ErrorKind::InvalidInput => format!("errno {number}"),
            _ => format!("{:?}", error.kind()),
        },
    }
}

/// What both kinds of metadata say.
pub(crate) fn facts(metadata: &Metadata) -> impl std::fmt::Debug + PartialEq + use<> {
    let modified = metadata.modified().expect("it has one");
    (metadata.mode(), metadata.len(), modified, metadata.nlink())
}

pub(crate) fn std_facts(metadata: &std::fs::Metadata) -> impl std::fmt::Debug + PartialEq + use<> {
    use std::os::unix::fs::MetadataExt;
    let modified = metadata.modified().expect("it has one");
    let nlink = metadata.nlink();
    (metadata.mode(), metadata.len(), modified, nlink)
}
