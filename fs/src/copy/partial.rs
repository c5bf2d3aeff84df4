//! Files that are not whole yet, by their names: those to continue, and those left behind.
//!
//! Whoever copies holds a lock on the file, which ends with the process. So a file of such a name
//! without a lock belongs to nobody: another copy may take it up or remove it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;

use super::dir::Dir;
use super::platform::{self, Folder};
use super::report::{Event, Failure, What};
use super::shared::PARTIAL;
use super::stat::{Kind, Stat};

/// Ends the names of files that a later copy can continue.
const LASTING: &str = ".part";

/// The name of a partial copy that says which original, as it was then, and whose copy it is.
///
/// A hash that another version computes otherwise costs a new beginning, nothing more.
pub(super) fn lasting_name(stat: &Stat, to_name: &OsStr) -> OsString {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let hash = hasher.hash_one((stat.identity, stat.bytes, stat.modified, to_name));
    format!("{PARTIAL}{hash:016x}{LASTING}").into()
}

/// Opens a file to continue, or makes it; and how long it is. `None` if somebody else is at it.
pub(super) fn open(folder: &Folder, name: &OsStr) -> io::Result<Option<(File, u64)>> {
    let file = folder.open_or_create(name)?;
    let stat = platform::stat(&file)?;
    // Something else of this name is not of our making: it is left alone.
    let is_ours = stat.kind == Kind::File && stat.names == 1;
    Ok(match is_ours && platform::lock(&file)? {
        true => Some((file, stat.bytes)),
        false => None,
    })
}

/// Removes what killed copies have left in the directory that is copied to.
pub(super) fn sweep(dir: &Dir) {
    let options = &dir.shared.options;
    let Some(to) = &dir.to else { return };
    if !options.delete_partial || options.dry_run {
        return;
    }
    let swept = to.folder().and_then(|folder| {
        // A list of its own: the copy may be looking at the same descriptor.
        let folder = folder.open_dir(OsStr::new("."), true)?;
        let mut piece = None;
        loop {
            let mut entries = Vec::new();
            piece = platform::list(&folder, piece, &mut entries)?;
            for entry in entries {
                if is_left_behind(&folder, &entry.name, options.resume) {
                    folder.remove(&entry.name)?;
                    let path = to.path_of(&entry.name);
                    dir.shared.done(&Event {
                        what: What::Removed,
                        from: &path,
                        to: &path,
                        bytes: 0,
                        backup: None,
                    });
                }
            }
            if piece.is_none() {
                return Ok(());
            }
        }
    });
    if let Err(error) = swept {
        let failure = Failure::new("cannot remove partial files in", to.path(), error);
        dir.shared.fail(&failure);
    }
}

fn is_left_behind(folder: &Folder, name: &OsStr, resume: bool) -> bool {
    let bytes = name.as_encoded_bytes();
    if !bytes.starts_with(PARTIAL.as_bytes()) || resume && bytes.ends_with(LASTING.as_bytes()) {
        return false;
    }
    match folder.stat_at(name, false).map(|stat| stat.kind) {
        Ok(Kind::File) => {
            let file = folder.open_file(name, false);
            file.is_ok_and(|file| platform::lock(&file).unwrap_or(false))
        }
        // Links and special files have such a name for a moment only; nobody can lock them.
        _ => false,
    }
}
