//! Unix: `utimensat(2)`, and opening without waiting for anybody.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, OFlags, Timespec, Timestamps, UTIME_OMIT, utimensat};

/// With these a FIFO does not wait for its other end, and no terminal becomes ours.
pub(in super::super) const LOOK: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();

/// Opens for reading what may be of any kind, so that its kind can be looked at.
pub(in super::super) fn open_to_look(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.read(true).custom_flags(LOOK).open(path)
}

pub(in super::super) fn set_times(
    path: &Path,
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
) -> io::Result<()> {
    let times = Timestamps {
        last_access: stamp(accessed)?,
        last_modification: stamp(modified)?,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::empty())?)
}

fn stamp(time: Option<SystemTime>) -> io::Result<Timespec> {
    let Some(time) = time else {
        return Ok(Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        });
    };
    since_epoch(time).ok_or_else(|| {
        let why = "a time that the system cannot tell";
        io::Error::new(ErrorKind::InvalidInput, why)
    })
}

/// Whole seconds, negative before 1970, and the nanoseconds after them.
fn since_epoch(time: SystemTime) -> Option<Timespec> {
    let (whole, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).ok()?, after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let up = before
                .checked_add(Duration::from_nanos(999_999_999))?
                .as_secs();
            let nanos = Duration::from_secs(up).checked_sub(before)?.subsec_nanos();
            (i64::try_from(up).ok()?.checked_neg()?, nanos)
        }
    };
    Some(Timespec {
        tv_sec: whole,
        tv_nsec: nanos.into(),
    })
}
