//! Other systems: a rename replaces what is there, or is not done.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::Rename;

pub(crate) fn rename_as(from: &Path, to: &Path, how: Rename) -> io::Result<()> {
    match how {
        Rename::Replace => std::fs::rename(from, to),
        Rename::NoReplace | Rename::Exchange => {
            let why = "to rename so in one step is there on Linux alone";
            Err(io::Error::new(ErrorKind::Unsupported, why))
        }
    }
}

/// They are told by name there, not by number.
#[cfg(unix)]
pub(in super::super) fn kind_of_file_system(_path: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}
