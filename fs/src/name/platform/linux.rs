//! Linux: `renameat2(2)`.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::Rename;

pub(crate) fn rename_as(from: &Path, to: &Path, how: Rename) -> io::Result<()> {
    let flags = match how {
        Rename::Replace => return std::fs::rename(from, to),
        Rename::NoReplace => RenameFlags::NOREPLACE,
        Rename::Exchange => RenameFlags::EXCHANGE,
    };
    match renameat_with(CWD, from, CWD, to, flags) {
        Err(Errno::NOSYS) => Err(unsupported()),
        // Also said of a directory that is to go into itself, whatever the flags.
        Err(Errno::INVAL) if goes_inside(from, to).is_ok_and(|inside| !inside) => {
            Err(unsupported())
        }
        renamed => Ok(renamed?),
    }
}

fn unsupported() -> io::Error {
    let why = "this kernel or file system cannot rename so in one step";
    io::Error::new(ErrorKind::Unsupported, why)
}

/// Whether `to` would be somewhere inside the directory `from`.
fn goes_inside(from: &Path, to: &Path) -> io::Result<bool> {
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok(parent.canonicalize()?.starts_with(from.canonicalize()?))
}

pub(in super::super) fn kind_of_file_system(path: &Path) -> io::Result<Option<u64>> {
    // The kernel's word for it has a sign on some machines; the numbers have none.
    let kind = rustix::fs::statfs(path)?.f_type;
    Ok(u64::try_from(kind).ok())
}
