//! What is told of a watched file or directory.

use std::ffi::OsString;

/// A watch of a [`Watcher`](super::Watcher).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchId(pub(super) i32);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The watch it is told by; `None` of an [`Overflow`](EventKind::Overflow).
    pub watch: Option<WatchId>,
    /// What happened.
    pub kind: EventKind,
    /// The entry it happened to, in a watched directory; `None` if it was to what is watched.
    pub name: Option<OsString>,
    /// The same number in the two events of one rename, else 0.
    pub cookie: u32,
    /// Whether it happened to a directory.
    pub is_dir: bool,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// It was read, or run.
    Accessed,
    /// It was written to, or cut.
    Modified,
    /// Its mode, owner, times, attributes or number of names changed.
    Attributes,
    /// It was opened.
    Opened,
    /// It was closed by somebody who could have written to it.
    ClosedWritten,
    /// It was closed by somebody who could only read it.
    ClosedUnwritten,
    /// It was made in the watched directory, or linked there.
    Created,
    /// It was removed from the watched directory.
    Deleted,
    /// It was renamed, from a name in the watched directory.
    MovedFrom,
    /// It was renamed, to a name in the watched directory.
    MovedTo,
    /// What is watched was itself removed.
    SelfDeleted,
    /// What is watched was itself renamed. The watch goes on.
    SelfMoved,
    /// The file system that holds what is watched was unmounted.
    Unmounted,
    /// There is nothing more of this watch: it was removed, or what it watched is gone.
    WatchEnded,
    /// Events were lost, because they were read too slowly.
    Overflow,
    /// Something that this version does not know.
    Other,
}
