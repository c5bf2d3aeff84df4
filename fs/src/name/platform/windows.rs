//! Windows: times are set on an open file or directory.

use std::fs::{File, FileTimes, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

/// `FILE_WRITE_ATTRIBUTES`: all that setting times needs.
const WRITE_ATTRIBUTES: u32 = 0x100;
/// `FILE_FLAG_BACKUP_SEMANTICS`: without it no directory is opened.
const ALSO_DIRECTORIES: u32 = 0x0200_0000;

/// Opens for reading what may be of any kind, so that its kind can be looked at.
pub(in super::super) fn open_to_look(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub(in super::super) fn set_times(
    path: &Path,
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
) -> io::Result<()> {
    let mut times = FileTimes::new();
    if let Some(accessed) = accessed {
        times = times.set_accessed(accessed);
    }
    if let Some(modified) = modified {
        times = times.set_modified(modified);
    }
    let file = OpenOptions::new()
        .access_mode(WRITE_ATTRIBUTES)
        .custom_flags(ALSO_DIRECTORIES)
        .open(path)?;
    file.set_times(times)
}
