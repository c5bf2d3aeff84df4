//! What Unix systems other than Linux say besides.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::FileType;
use super::elsewhere::Stat;

impl Stat {
    pub(super) fn special(&self) -> FileType {
        let mode = rustix::fs::RawMode::try_from(self.mode());
        mode.map_or(FileType::Unknown, FileType::of_mode)
    }

    pub(super) fn dev(&self) -> u64 {
        self.0.dev()
    }

    pub(crate) fn ino(&self) -> u64 {
        self.0.ino()
    }

    pub(super) fn mode(&self) -> u32 {
        self.0.mode()
    }

    pub(super) fn nlink(&self) -> u64 {
        self.0.nlink()
    }

    pub(super) fn uid(&self) -> u32 {
        self.0.uid()
    }

    pub(super) fn gid(&self) -> u32 {
        self.0.gid()
    }

    pub(super) fn rdev(&self) -> u64 {
        self.0.rdev()
    }

    pub(super) fn block_size(&self) -> u64 {
        self.0.blksize()
    }

    pub(super) fn allocated(&self) -> u64 {
        self.0.blocks().saturating_mul(512)
    }

    pub(super) fn changed(&self) -> io::Result<SystemTime> {
        let since = u64::try_from(self.0.ctime()).ok().map(Duration::from_secs);
        let nanos = u64::try_from(self.0.ctime_nsec()).unwrap_or_default();
        since
            .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since))
            .and_then(|second| second.checked_add(Duration::from_nanos(nanos)))
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no time that can be told"))
    }
}
