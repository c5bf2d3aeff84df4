//! Other systems: nothing is watched.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::task::{Context, Poll};

use super::{Event, Interest, WatchId};

/// There is none.
#[derive(Debug)]
pub(super) struct Source(Infallible);

impl Source {
    pub(super) fn new() -> io::Result<Self> {
        let why = "watching files is there on Linux alone";
        Err(io::Error::new(ErrorKind::Unsupported, why))
    }

    pub(super) async fn add(&self, _path: &Path, _interest: Interest) -> io::Result<WatchId> {
        match self.0 {}
    }

    pub(super) fn remove(&self, _watch: WatchId) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn poll_event(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        match self.0 {}
    }
}
