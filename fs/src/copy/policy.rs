//! What is in the way of a copy, and what becomes of it.
//!
//! Something in the way is looked at by its own name and never followed, but to see whether it is a
//! link to the very original. It is replaced by a rename, which also ends a link that somebody put
//! there after the look.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::item::Item;
use super::options::{BackupStyle, Existing, Replace};
use super::platform::{self, Folder};
use super::report::Failure;
use super::stat::{Kind, Stat};

/// What is under the name of a copy.
pub(super) enum Old {
    /// Nothing.
    Nothing,
    /// Something that is to stay.
    Stays,
    /// Something to replace.
    Goes(Stat),
}

/// Looks what is in the way of an item, and decides.
pub(super) fn look(item: &Item, to: &Folder, stat: &Stat) -> Result<Old, Failure> {
    let shared = item.shared();
    let options = &shared.options;
    let there = match to.stat_at(&item.to_name, false) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Old::Nothing),
        there => there.map_err(|error| item.cannot_make(error))?,
    };
    if there.kind == Kind::Directory {
        let why = "it is a directory, and what is copied is none; remove or rename one of them";
        return Err(Failure::refusal("cannot replace", item.to_path(), why));
    }
    if shared.was_made(there.identity) {
        let why = "this copy has just made it, of another original";
        return Err(Failure::refusal("cannot replace", item.to_path(), why));
    }
    let leads_here = || {
        there.kind == Kind::Link
            && options.replace != Replace::RemoveFirst
            && matches!(to.stat_at(&item.to_name, true), Ok(led) if led.is_same(stat))
    };
    if there.is_same(stat) || leads_here() {
        let why = "it and the original are the same file";
        return Err(Failure::refusal("cannot copy to", item.to_path(), why));
    }
    if item.dir.fresh {
        let why = "it appeared in a directory that this copy has just made";
        return Err(Failure::refusal("cannot replace", item.to_path(), why));
    }
    if there.kind == Kind::Special
        && (stat.kind == Kind::File || options.copy_contents)
        && options.replace != Replace::RemoveFirst
    {
        // A device is seldom meant to become a file: `/dev/null` least of all.
        let why = "it is a FIFO, socket or device; remove it first";
        return Err(Failure::refusal("cannot replace", item.to_path(), why));
    }
    if options.resume && is_whole(stat, &there, options.preserve.timestamps) {
        return Ok(Old::Stays);
    }
    match options.existing {
        Existing::Keep => return Ok(Old::Stays),
        Existing::Refuse => {
            let why = "it is there already";
            return Err(Failure::refusal("cannot make", item.to_path(), why));
        }
        Existing::Older if stat.modified_as_held_by(&there) <= there.modified => {
            return Ok(Old::Stays);
        }
        Existing::Older | Existing::Replace => {}
    }
    if options.ask && !shared.ask(&item.to_path()) {
        return Ok(Old::Stays);
    }
    Ok(Old::Goes(there))
}

/// Whether an earlier copy has finished a file.
fn is_whole(from: &Stat, to: &Stat, timestamps: bool) -> bool {
    let late_enough = match timestamps {
        true => to.modified == from.modified_as_held_by(to),
        false => to.modified >= from.modified,
    };
    from.kind == Kind::File && to.kind == Kind::File && from.bytes == to.bytes && late_enough
}

/// The name under which the old file is kept, if it is to be.
pub(super) fn backup_name(
    item: &Item,
    to: &Arc<Folder>,
    old: &Old,
) -> Result<Option<OsString>, Failure> {
    let (Some(backup), Old::Goes(_)) = (&item.shared().options.backup, old) else {
        return Ok(None);
    };
    let mut name = item.to_name.clone();
    let number = match backup.style {
        BackupStyle::Simple => 0,
        _ => last_backup(to, &item.to_name).map_err(|error| item.cannot_make(error))?,
    };
    if number == 0 && backup.style != BackupStyle::Numbered {
        name.push(&backup.suffix);
    } else {
        name.push(format!(".~{}~", number + 1));
    }
    Ok(Some(name))
}

/// The highest number of a numbered backup of `name`; zero if there is none.
fn last_backup(folder: &Folder, name: &OsStr) -> io::Result<u64> {
    let mut highest = 0;
    let mut piece = None;
    // A list of its own: another one may be read from the same descriptor.
    let folder = folder.open_dir(OsStr::new("."), true)?;
    loop {
        let mut entries = Vec::new();
        piece = platform::list(&folder, piece, &mut entries)?;
        let numbers = entries.iter().filter_map(|entry| {
            let rest = entry
                .name
                .as_encoded_bytes()
                .strip_prefix(name.as_encoded_bytes())?;
            let digits = rest.strip_prefix(b".~")?.strip_suffix(b"~")?;
            std::str::from_utf8(digits).ok()?.parse::<u64>().ok()
        });
        highest = numbers.fold(highest, u64::max);
        if piece.is_none() {
            return Ok(highest);
        }
    }
}

/// Gives something whole its name; what has the name is kept as `backup`, if there is such a name.
pub(super) fn replace(
    folder: &Folder,
    at: &OsStr,
    name: &OsStr,
    backup: Option<&OsStr>,
) -> io::Result<()> {
    if let Some(backup) = backup {
        folder.rename(name, backup)?;
    }
    folder.rename(at, name).inspect_err(|_| {
        if let Some(backup) = backup {
            // It was there a moment ago; if it cannot go back, the error names it.
            let _back = folder.rename(backup, name);
        }
    })
}
