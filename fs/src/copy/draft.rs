//! A copy of a file that is not whole yet.
//!
//! | is                                   | under                     | given up             |
//! |--------------------------------------|---------------------------|----------------------|
//! | a small file whose name is free      | its name, unless it is to be on the disk first | removed |
//! | any other                            | a name of ours beside it  | removed              |
//! | the same with [`Options::resume`], if large | a name made of what the original is | left, to be continued |
//! | written over in place, if asked for  | its name                  | left, as `cp` does   |
//!
//! A name of ours is renamed to its own when the copy is whole, and only that replaces anything. The
//! file is locked until then, so that whoever cleans up after killed copies sees which are not
//! ([`partial`](super::partial)).
//!
//! [`Options::resume`]: super::Options::resume

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::sync::Arc;

use super::item::Item;
use super::options::{Fsync, Replace};
use super::platform::{self, Folder};
use super::policy::{self, Old};
use super::report::Failure;
use super::shared::Shared;
use super::stat::{Kind, Stat};
use super::{LARGE_BYTES, partial};

/// A file that is not whole yet; removed when dropped before it is published.
pub(super) struct Draft {
    pub(super) file: File,
    folder: Arc<Folder>,
    /// The name that it has, if not the one that it is to have.
    at: Option<OsString>,
    to: OsString,
    backup: Option<OsString>,
    /// What it replaces, and has mode and owner of unless it keeps those of the original.
    pub(super) old: Option<Stat>,
    /// Bytes that it has already.
    pub(super) has_bytes: u64,
    removed_if_given_up: bool,
    /// Whether a later copy can take it up.
    is_lasting: bool,
}

impl Draft {
    /// Makes one. `None` if what is there is to stay, which is told then.
    pub(super) fn new(item: &Item, to: Arc<Folder>, stat: &Stat) -> Result<Option<Self>, Failure> {
        let options = &item.shared().options;
        let is_small = stat.bytes <= LARGE_BYTES;
        let at_once = is_small && options.fsync != Fsync::Files;
        let mode = match options.preserve.mode {
            true => 0o600,
            false => plain_mode(item, stat),
        };
        if at_once {
            match to.create(&item.to_name, mode) {
                Ok(file) => return Ok(Some(Self::with(item, to, file, None))),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(item.cannot_make(error)),
            }
        }
        // Also in a directory of our own: two names may be one there, as capitals and small letters.
        let old = policy::look(item, &to, stat)?;
        let backup = policy::backup_name(item, &to, &old)?;
        let old = match old {
            Old::Stays => return Ok(None),
            Old::Goes(old) => Some(old),
            Old::Nothing => None,
        };
        if let (Some(old), None) = (old, &backup)
            && let Some(file) = Self::open_in_place(item, &to)?
        {
            let mut draft = Self::with(item, to, file, None);
            draft.removed_if_given_up = false;
            draft.old = Some(old);
            return Ok(Some(draft));
        }
        if options.resume
            && !is_small
            && let Some(draft) = Self::continued(item, &to, stat, (old, backup.clone()))?
        {
            return Ok(Some(draft));
        }
        let at = item.shared().partial_name();
        let file = to
            .create(&at, mode)
            .map_err(|error| item.cannot_make(error))?;
        // Where there are no locks, nobody takes the file for left behind either.
        let _locked = platform::lock(&file);
        let mut draft = Self::with(item, to, file, Some(at));
        // What is only moved out of the way leaves nothing to its successor.
        let succeeds = backup.is_none() && options.replace != Replace::RemoveFirst;
        draft.old = old.filter(|_| succeeds);
        draft.backup = backup;
        Ok(Some(draft))
    }

    fn with(item: &Item, folder: Arc<Folder>, file: File, at: Option<OsString>) -> Self {
        Self {
            file,
            folder,
            at,
            to: item.to_name.clone(),
            backup: None,
            old: None,
            has_bytes: 0,
            removed_if_given_up: true,
            is_lasting: false,
        }
    }

    /// Opens what is there to write over it, if that is asked for.
    fn open_in_place(item: &Item, to: &Folder) -> Result<Option<File>, Failure> {
        let replace = item.shared().options.replace;
        if !matches!(replace, Replace::InPlace | Replace::InPlaceForced) {
            return Ok(None);
        }
        let opened = to.open_to_replace(&item.to_name);
        match opened.and_then(|file| file.set_len(0).map(|()| file)) {
            Ok(file) => Ok(Some(file)),
            Err(_) if replace == Replace::InPlaceForced => Ok(None),
            Err(error) => Err(Failure::new("cannot write", item.to_path(), error)),
        }
    }

    /// Takes up the partial file of an earlier copy, or begins one that a later copy can take up.
    fn continued(
        item: &Item,
        to: &Arc<Folder>,
        stat: &Stat,
        (old, backup): (Option<Stat>, Option<OsString>),
    ) -> Result<Option<Self>, Failure> {
        let at = partial::lasting_name(stat, &item.to_name);
        let cleared = partial::remove_outdated(to, &at);
        cleared.map_err(|error| item.cannot_make(error))?;
        let opened = partial::open(to, &at).map_err(|error| item.cannot_make(error))?;
        let Some((file, has_bytes)) = opened else {
            return Ok(None);
        };
        let mut draft = Self::with(item, Arc::clone(to), file, Some(at));
        (draft.removed_if_given_up, draft.is_lasting) = (false, true);
        (draft.old, draft.backup, draft.has_bytes) = (old, backup, has_bytes);
        Ok(Some(draft))
    }

    /// The mode to set where the mode of the original is not kept: that of the file it replaces,
    /// or what the umask makes of the original's. `None` if it was made with it.
    pub(super) fn mode_to_set(&self, item: &Item, stat: &Stat) -> Option<u32> {
        match self.old {
            Some(_) if self.at.is_none() => None,
            Some(old) if old.kind == Kind::File => Some(old.permissions() & 0o777),
            _ if self.is_lasting => Some(plain_mode(item, stat) & !platform::umask()),
            _ => None,
        }
    }

    /// Gives it its name.
    pub(super) fn publish(mut self, item: &Item) -> Result<Option<OsString>, Failure> {
        if let Some(at) = &self.at {
            policy::replace(&self.folder, at, &self.to, self.backup.as_deref())
                .map_err(|error| Failure::new("cannot replace", item.to_path(), error))?;
        }
        self.removed_if_given_up = false;
        let shared: &Shared = item.shared();
        shared.made(|| platform::stat(&self.file));
        Ok(self.backup.take())
    }
}

/// The mode that a file is made with where the original's is not kept; the umask narrows it.
pub(super) fn plain_mode(item: &Item, stat: &Stat) -> u32 {
    match item.shared().options.plain_modes {
        true => 0o666,
        false => stat.permissions() & 0o777,
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.removed_if_given_up {
            // If it stays under a name of ours, that says what it is.
            let _stays = self.folder.remove(self.at.as_deref().unwrap_or(&self.to));
        }
    }
}
