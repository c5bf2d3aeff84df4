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
    let copy = hasher.hash_one(to_name);
    let original = hasher.hash_one((stat.identity, stat.bytes, stat.modified));
    format!("{PARTIAL}{copy:016x}.{original:016x}{LASTING}").into()
}

/// Removes partial files of the same copy that nobody will continue, because the original has
/// changed.
pub(super) fn remove_outdated(folder: &Folder, name: &OsStr) -> io::Result<()> {
    let copy = &name.as_encoded_bytes()[..PARTIAL.len() + 16];
    let is_outdated = |other: &OsStr| {
        let bytes = other.as_encoded_bytes();
        bytes.starts_with(copy) && bytes.ends_with(LASTING.as_bytes()) && other != name
    };
    for_each_name(folder, |folder, other| {
        match is_outdated(other) && is_left_behind(folder, other) {
            true => folder.remove(other),
            false => Ok(()),
        }
    })
}

fn for_each_name(
    folder: &Folder,
    mut act: impl FnMut(&Folder, &OsStr) -> io::Result<()>,
) -> io::Result<()> {
    // A list of its own: the copy may be reading one from the same descriptor.
    let folder = folder.open_dir(OsStr::new("."), true)?;
    let mut piece = None;
    loop {
        let mut entries = Vec::new();
        piece = platform::list(&folder, piece, &mut entries)?;
        for entry in entries {
            act(&folder, &entry.name)?;
        }
        if piece.is_none() {
            return Ok(());
        }
    }
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
    let is_kept =
        |name: &OsStr| options.resume && name.as_encoded_bytes().ends_with(LASTING.as_bytes());
    let sweep = |folder: &Folder, name: &OsStr| {
        if is_kept(name) || !is_left_behind(folder, name) {
            return Ok(());
        }
        folder.remove(name)?;
        let path = to.path_of(name);
        dir.shared.done(&Event {
            what: What::Removed,
            from: &path,
            to: &path,
            bytes: 0,
            backup: None,
        });
        Ok(())
    };
    let swept = to.folder().and_then(|folder| for_each_name(&folder, sweep));
    if let Err(error) = swept {
        let failure = Failure::new("cannot remove partial files in", to.path(), error);
        dir.shared.fail(&failure);
    }
}

fn is_left_behind(folder: &Folder, name: &OsStr) -> bool {
    if !name.as_encoded_bytes().starts_with(PARTIAL.as_bytes()) {
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
