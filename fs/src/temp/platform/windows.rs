//! Windows: the directory for temporary files is the user's own, and a file can go when it is
//! closed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

use super::super::name::make_new;

/// `FILE_FLAG_DELETE_ON_CLOSE`.
const GONE_WHEN_CLOSED: u32 = 0x0400_0000;

pub(in super::super) fn create_file(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create_new(true).open(path)
}

pub(in super::super) fn create_dir(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)
}

/// Makes a file that nobody else opens, and that is gone when it is closed.
pub(in super::super) fn unnamed(dir: &Path) -> io::Result<File> {
    let create = |path: &Path| {
        let mut how = OpenOptions::new();
        how.read(true).write(true).create_new(true);
        how.share_mode(0).custom_flags(GONE_WHEN_CLOSED).open(path)
    };
    make_new(dir, create).map(|(_, file)| file)
}
