//! Windows: no identities and no modes but "read only"; links need to know what they lead to.

use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::os::windows::fs::{OpenOptionsExt, symlink_dir, symlink_file};
use std::path::Path;

use crate::copy::jobs::times;

/// Never made: stable `std` tells no file's identity here.
pub(in crate::copy) type Identity = ();

/// `FILE_FLAG_BACKUP_SEMANTICS`: a directory can be opened.
const BACKUP_SEMANTICS: u32 = 0x0200_0000;
/// `FILE_WRITE_ATTRIBUTES`.
const WRITE_ATTRIBUTES: u32 = 0x0100;

pub(in crate::copy) fn identity(_metadata: &Metadata) -> Option<Identity> {
    None
}

pub(in crate::copy) fn is_same(_one: &Metadata, _other: &Metadata) -> bool {
    false
}

pub(in crate::copy) fn has_holes(_metadata: &Metadata) -> bool {
    false
}

pub(in crate::copy) fn is_fifo(_kind: FileType) -> bool {
    false
}

pub(in crate::copy) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub(in crate::copy) fn create(path: &Path) -> io::Result<File> {
    File::create_new(path)
}

pub(in crate::copy) fn create_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

pub(in crate::copy) fn set_mode(_copy: &File, _original: &Metadata) -> io::Result<()> {
    // "Read only" would keep the file from getting its name.
    Ok(())
}

pub(in crate::copy) fn finish_dir(path: &Path, original: &Metadata) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options
        .access_mode(WRITE_ATTRIBUTES)
        .custom_flags(BACKUP_SEMANTICS);
    options.open(path)?.set_times(times(original)?)
}

pub(in crate::copy) fn symlink(target: &Path, at: &Path) -> io::Result<()> {
    let leads_to = at.parent().unwrap_or(Path::new("")).join(target);
    if leads_to.is_dir() {
        symlink_dir(target, at)
    } else {
        symlink_file(target, at)
    }
}

pub(in crate::copy) fn set_times(_path: &Path, _original: &Metadata) -> io::Result<()> {
    // The times of a link itself are nothing that Windows programs look at.
    Ok(())
}
