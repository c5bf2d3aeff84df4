//! What a name leads to: kind, identity and attributes, alike on every system.

/// Device and inode: the same file has the same. `None` where the system tells none.
pub(super) type Identity = Option<(u64, u64)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    /// A FIFO, socket or device: never opened.
    Special,
    /// A list of names did not say.
    Unknown,
}

/// Seconds since 1970, and nanoseconds.
pub(super) type Time = (i64, i64);

/// Bits that lend the owner's or group's rights to whoever runs the file.
pub(super) const SET_ID: u32 = 0o6000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub(super) kind: Kind,
    pub(super) identity: Identity,
    /// Names that the file has.
    pub(super) names: u64,
    /// As the system counts kinds and permissions together.
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    /// The device that a special file stands for.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "special files are made on Linux alone")
    )]
    pub(super) stands_for: u64,
    pub(super) bytes: u64,
    pub(super) bytes_on_disk: u64,
    pub(super) accessed: Time,
    pub(super) modified: Time,
    /// When the system itself noted a change.
    pub(super) changed: Time,
}

impl Stat {
    /// Permissions and set-id bits.
    pub(super) fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    pub(super) fn device(&self) -> u64 {
        self.identity.map_or(0, |(device, _)| device)
    }

    /// Whether fewer blocks are on the disk than its size would take.
    pub(super) fn has_holes(&self) -> bool {
        self.bytes_on_disk < self.bytes
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.identity.is_some() && self.identity == other.identity
    }

    /// When it was modified, as far as `copy` can hold that: some file systems know seconds alone.
    /// What they know is told by the times that are there.
    pub(super) fn modified_as_held_by(&self, copy: &Self) -> Time {
        let times = [copy.accessed, copy.modified, copy.changed];
        let mut unit = 1_000_000_000;
        while times.iter().any(|(_, nanos)| nanos % unit != 0) {
            unit /= 10;
        }
        let (seconds, nanos) = self.modified;
        (seconds, nanos - nanos % unit)
    }

    /// Whether a look at the same file tells of a change between.
    pub(super) fn differs(&self, later: &Self) -> bool {
        (self.bytes, self.modified) != (later.bytes, later.modified)
    }
}
