//! Unix: modes that leave others nothing, and files that live on without a name.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::super::doomed::Doomed;
use super::super::name::make_new;

pub(in super::super) fn create_file(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create_new(true);
    how.mode(0o600).open(path)
}

pub(in super::super) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes a file and removes its name.
pub(in super::super) fn removed_at_once(dir: &Path) -> io::Result<File> {
    let (path, file) = make_new(dir, create_file)?;
    Doomed::file(path).remove()?;
    Ok(file)
}
