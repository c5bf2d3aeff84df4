//! What a watch is for.

use std::ops::{BitOr, BitOrAssign};

/// What is told by a watch, and how it goes about it; put together by `|`.
///
/// Whatever the interest, the end of the watch is told, and an unmount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Interest(u32);

impl Interest {
    /// [`Accessed`](super::EventKind::Accessed).
    pub const ACCESSED: Self = Self(1);
    /// [`Modified`](super::EventKind::Modified).
    pub const MODIFIED: Self = Self(1 << 1);
    /// [`Attributes`](super::EventKind::Attributes).
    pub const ATTRIBUTES: Self = Self(1 << 2);
    /// [`ClosedWritten`](super::EventKind::ClosedWritten).
    pub const CLOSED_WRITTEN: Self = Self(1 << 3);
    /// [`ClosedUnwritten`](super::EventKind::ClosedUnwritten).
    pub const CLOSED_UNWRITTEN: Self = Self(1 << 4);
    /// [`Opened`](super::EventKind::Opened).
    pub const OPENED: Self = Self(1 << 5);
    /// [`MovedFrom`](super::EventKind::MovedFrom) and [`MovedTo`](super::EventKind::MovedTo).
    pub const MOVED: Self = Self(0b11 << 6);
    /// [`Created`](super::EventKind::Created).
    pub const CREATED: Self = Self(1 << 8);
    /// [`Deleted`](super::EventKind::Deleted).
    pub const DELETED: Self = Self(1 << 9);
    /// [`SelfDeleted`](super::EventKind::SelfDeleted).
    pub const SELF_DELETED: Self = Self(1 << 10);
    /// [`SelfMoved`](super::EventKind::SelfMoved).
    pub const SELF_MOVED: Self = Self(1 << 11);
    /// Every kind of event.
    pub const ALL: Self = Self(0xFFF);

    /// Refuse to watch what is no directory.
    pub const ONLY_DIRECTORIES: Self = Self(1 << 24);
    /// Watch a symbolic link itself.
    pub const NO_FOLLOW: Self = Self(1 << 25);
    /// Tell nothing of entries that have been removed from the directory and are still open.
    pub const NOT_UNLINKED: Self = Self(1 << 26);
    /// End the watch with its first event.
    pub const ONCE: Self = Self(1 << 31);

    /// The bits, which are those of the system.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is watched there")
    )]
    pub(super) fn bits(self) -> u32 {
        self.0
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}
