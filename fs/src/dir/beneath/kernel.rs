//! The kernel walks and keeps inside (Linux 5.6).

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// How often a walk is tried again that something was renamed under, so that the kernel could not
/// be sure of a `..`.
const TRIES: u32 = 16;

pub(super) fn open(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    // Unlike `openat`, it refuses a mode for what it does not make.
    let makes = flags.contains(OFlags::CREATE) || flags.contains(OFlags::TMPFILE);
    let mode = if makes { mode } else { Mode::empty() };
    let mut tries = 0;
    loop {
        match openat2(dir, path, flags, mode, ResolveFlags::BENEATH) {
            Err(Errno::AGAIN) if tries < TRIES => tries += 1,
            Err(Errno::INTR) => {}
            opened => return opened,
        }
    }
}
