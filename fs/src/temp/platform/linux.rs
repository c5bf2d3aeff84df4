//! Linux: `getrandom(2)` and `O_TMPFILE`.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::unix::removed_at_once;

/// Fills with random bytes.
pub(in super::super) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match getrandom(&mut bytes[done..], GetRandomFlags::empty()) {
            Err(Errno::INTR) => {}
            filled => done += filled?,
        }
    }
    Ok(())
}

/// Makes a file without a name.
pub(in super::super) fn unnamed(dir: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // A file system without, or a kernel that takes the flag for something else.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => removed_at_once(dir),
        Err(error) => Err(error.into()),
    }
}
