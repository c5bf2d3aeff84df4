//! Paths inside an open directory, from which nothing leads out.
//!
//! A path is relative, and no step of it may leave the directory: neither `..` nor a symbolic link,
//! wherever it stands; links that stay inside are followed. `kernel` has the kernel see to that
//! while it walks (`openat2` with `RESOLVE_BENEATH`), so that a link swapped in at the wrong moment
//! changes nothing. `steps` walks by itself, one component at a time and never through a link of
//! the kernel's own following, where there is no `openat2`; it gives the same answers.
//!
//! What works on a name and not on an open file (making, removing, renaming) finds the directory
//! that holds the name this way, and then does its call there with that single name, which the
//! kernel does not follow.

mod kernel;
mod steps;

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Links that are followed on the way at most, as in the kernel.
const LINKS_MAX: u32 = 40;

/// Opens what is at a path inside `dir`.
pub(super) fn open(dir: &OwnedFd, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    let opened = match kernel::open(dir.as_fd(), path, flags, mode) {
        // Forbidden, or not there; or something on the way moves all the time.
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {
            steps::open(dir.as_fd(), path, flags, mode)
        }
        opened => opened,
    };
    opened.map_err(told)
}

/// Says in words what the kernel says of a path that leads out.
fn told(error: Errno) -> io::Error {
    if error == Errno::XDEV {
        let why = "the path leads out of the directory";
        return io::Error::new(ErrorKind::PermissionDenied, why);
    }
    error.into()
}

/// The directory that holds the last name of a path.
pub(super) enum Holder<'a> {
    /// The directory itself.
    This(BorrowedFd<'a>),
    /// One inside it.
    Inside(OwnedFd),
}

impl AsFd for Holder<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::This(dir) => *dir,
            Self::Inside(dir) => dir.as_fd(),
        }
    }
}

/// Finds the directory that holds the last name of a path inside `dir`, and that name, with the
/// slashes after it.
pub(super) fn holder<'a>(dir: &'a OwnedFd, path: &Path) -> io::Result<(Holder<'a>, OsString)> {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|&byte| byte != b'/');
    let end = end.map_or(0, |last| last + 1);
    let start = bytes[..end].iter().rposition(|&byte| byte == b'/');
    let start = start.map_or(0, |slash| slash + 1);
    let name = &bytes[start..];
    if bytes[start..end] == *b".." || end == 0 && !bytes.is_empty() {
        return Err(told(Errno::XDEV));
    }
    let holder = if start == 0 {
        Holder::This(dir.as_fd())
    } else {
        let above = Path::new(OsStr::from_bytes(&bytes[..start]));
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        Holder::Inside(open(dir, above, flags, Mode::empty())?)
    };
    Ok((holder, OsStr::from_bytes(name).to_owned()))
}
