//! The names in a directory, on Unix systems other than Linux: all at once.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::Dir;

use super::unix::{Folder, kind};
use crate::copy::dir::Entry;

impl Folder {
    pub(super) fn list(&self, entries: &mut Vec<Entry>) -> io::Result<()> {
        for entry in Dir::read_from(self)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                entries.push(Entry {
                    name: name.to_owned(),
                    kind: kind(entry.file_type()),
                });
            }
        }
        Ok(())
    }
}
