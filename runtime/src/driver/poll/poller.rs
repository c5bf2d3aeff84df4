//! What tells which sources are ready: `epoll` itself on Linux, the `polling` crate (kqueue, IOCP,
//! older epoll) elsewhere.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::sys::RawSource;

/// Events taken in one wait: as many as a turn of the loop can deal with. The system keeps the
/// rest, and goes round among them; what a task has not got round to would only be reported again.
pub(super) const EVENTS_MAX: usize = 64;

/// What a source is watched for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) source: RawSource,
    pub(super) readable: bool,
    pub(super) writable: bool,
}

/// A source is ready. One that has failed is ready for both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) source: RawSource,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// There may be something behind the bytes that a receive brings, though it brings fewer than it
    /// had room for: the end, an error, urgent data.
    pub(super) ragged: bool,
}

/// When a source is reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reports {
    /// Once when it is set, if it is ready; then each time that something comes.
    Edges,
    /// Once, as soon as it is ready; then it has to be set anew.
    Once,
}

/// Ends the wait of a poller, or its next one; works from any thread.
pub(crate) trait Doorbell: fmt::Debug + Send + Sync {
    fn ring(&self);
}

/// See the [module](self).
pub(super) trait Poller {
    fn doorbell(&self) -> Arc<dyn Doorbell>;

    fn reports(&self) -> Reports;

    /// Sets what a source is watched for; `known` says that it was set before and not deleted.
    ///
    /// # Safety
    ///
    /// The source is open, and is deleted before it is closed.
    unsafe fn set(&self, known: bool, wanted: Wanted) -> io::Result<()>;

    /// Watches a source no longer.
    ///
    /// # Safety
    ///
    /// The source is open.
    unsafe fn delete(&self, source: RawSource) -> io::Result<()>;

    /// Waits for events, the doorbell, or the end of `timeout`, and hands on what has come.
    fn wait(&mut self, timeout: Option<Duration>, event: &mut dyn FnMut(Event)) -> io::Result<()>;
}
