//! A directory under way: made, listed in pieces, and finished after all that is in it.
//!
//! Whatever is still to be done in a directory holds its [`Dir`], and so does each directory in it;
//! whoever lets go of it last finishes it. So attributes and times are set from the leaves up, when
//! nothing in the directory will change any more.
//!
//! Names are read a piece at a time. The rest of a list is work like any other, put below the names
//! already read, so a directory of any size fits into memory.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::attributes;
use super::item::Item;
use super::options::{Follow, Fsync};
use super::partial;
use super::place::Place;
use super::platform::{self, Folder};
use super::report::{Failure, What};
use super::shared::{Shared, count};
use super::stat::{Identity, Kind, Stat};
use super::work::Work;

/// A name in a directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) kind: Kind,
}

/// What all directories of one source have in common.
#[derive(Debug)]
pub(super) struct Source {
    /// The file system that it is on.
    pub(super) device: u64,
    /// Whether the source itself is followed if it is a link.
    pub(super) follow: bool,
    /// The directory that it is copied to, once it is there.
    pub(super) root: OnceLock<Identity>,
}

/// A directory under way.
pub(super) struct Dir {
    pub(super) shared: Arc<Shared>,
    pub(super) source: Arc<Source>,
    pub(super) from: Arc<Place>,
    /// `None` in a dry run, where it would be made.
    pub(super) to: Option<Arc<Place>>,
    /// The original; `None` for the directory in which the source itself is, which is not copied.
    stat: Option<Stat>,
    /// Whether it was made by this copy, so that nothing in it can be in the way.
    pub(super) fresh: bool,
    /// Whether what is made in it inherits access control lists.
    pub(super) inherits: bool,
    above: Option<Arc<Self>>,
    /// In a dry run, where the copy would be made.
    planned: PathBuf,
}

impl Dir {
    /// The directories that the ends of a copy are in.
    pub(super) fn top(
        shared: &Arc<Shared>,
        source: Source,
        from: Arc<Place>,
        to: Arc<Place>,
    ) -> io::Result<Arc<Self>> {
        let inherits = shared.options.preserve.mode && platform::has_default_acl(&*to.folder()?);
        Ok(Arc::new(Self {
            shared: Arc::clone(shared),
            source: Arc::new(source),
            from,
            to: Some(to),
            stat: None,
            fresh: false,
            inherits,
            above: None,
            planned: PathBuf::new(),
        }))
    }

    /// Whether a link in it stands for what it leads to.
    pub(super) fn follows(&self) -> bool {
        match self.stat {
            None => self.source.follow,
            Some(_) => self.shared.options.follow == Follow::Always,
        }
    }

    /// Enters a directory in this one, and makes its copy. Answers with what is to be done in it.
    pub(super) fn enter(
        self: &Arc<Self>,
        name: &OsStr,
        to_name: &OsStr,
    ) -> Result<Vec<Work>, Failure> {
        let cannot_open = |error| Failure::new("cannot list", self.from.path_of(name), error);
        let folder = self.from.folder().map_err(cannot_open)?;
        let folder = folder.open_dir(name, self.follows()).map_err(cannot_open)?;
        let stat = folder.stat().map_err(cannot_open)?;
        self.admit(name, &stat)?;
        let from = self
            .from
            .inside(name, Arc::new(folder), stat.identity, self.follows());
        let (to, fresh) = self.make(&stat, to_name)?;
        let item = self.item(name, to_name);
        let dir = Arc::new(Self {
            planned: if to.is_none() {
                item.to_path()
            } else {
                PathBuf::new()
            },
            inherits: self.inherited(to.as_ref(), fresh),
            shared: Arc::clone(&self.shared),
            source: Arc::clone(&self.source),
            from,
            to,
            stat: Some(stat),
            fresh,
            above: Some(Arc::clone(self)),
        });
        if fresh {
            self.shared.tell(&item, What::Directory, 0, None);
        } else {
            count(&self.shared.counts.directories, 1);
        }
        let elsewhere = self.shared.options.one_file_system && stat.device() != self.source.device;
        Ok(match elsewhere {
            true => Vec::new(),
            false => vec![Work::List(dir, None)],
        })
    }

    /// The path of a copy in it.
    pub(super) fn to_path_of(&self, name: &OsStr) -> PathBuf {
        match &self.to {
            Some(to) => to.path_of(name),
            None => self.planned.join(name),
        }
    }

    pub(super) fn item(self: &Arc<Self>, name: &OsStr, to_name: &OsStr) -> Item {
        Item {
            dir: Arc::clone(self),
            name: name.to_owned(),
            to_name: to_name.to_owned(),
        }
    }

    fn inherited(&self, to: Option<&Arc<Place>>, fresh: bool) -> bool {
        if fresh || !self.shared.options.preserve.mode {
            return self.inherits;
        }
        let folder = to.and_then(|to| to.folder().ok());
        folder.is_some_and(|folder| platform::has_default_acl(&folder))
    }

    /// Refuses a directory that the copy itself has made, or that leads round in a circle.
    fn admit(&self, name: &OsStr, stat: &Stat) -> Result<(), Failure> {
        let why = if stat.identity.is_some() && self.source.root.get() == Some(&stat.identity) {
            "it is the directory that is copied to, seen from inside"
        } else if self.from.is_in(stat.identity) && name != "." {
            "it leads back to a directory that it is in"
        } else {
            return Ok(());
        };
        let path = self.from.path_of(name);
        Err(Failure::refusal("cannot enter", path, why))
    }

    /// Makes the copy of a directory, or takes the directory that is there.
    fn make(&self, stat: &Stat, to_name: &OsStr) -> Result<(Option<Arc<Place>>, bool), Failure> {
        let Some(to) = &self.to else {
            return Ok((None, true));
        };
        let options = &self.shared.options;
        let cannot_make = |error| Failure::new("cannot make", to.path_of(to_name), error);
        let folder = to.folder().map_err(cannot_make)?;
        // The end that the caller named may be a link to a directory; none further down may.
        let follow = self.stat.is_none();
        if options.dry_run {
            return match folder.open_dir(to_name, follow) {
                Ok(found) => Ok((Some(self.take(to, stat, to_name, found)?), false)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok((None, true)),
                Err(error) => Err(cannot_make(error)),
            };
        }
        let mode = match options.preserve.mode {
            true => 0o700,
            false if options.plain_modes => 0o777,
            false => stat.permissions() & 0o1777 | 0o700,
        };
        let fresh = match folder.make_dir(to_name, mode) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(cannot_make(error)),
        };
        let found = folder.open_dir(to_name, follow).map_err(|error| {
            let there = folder.stat_at(to_name, follow);
            match there.is_ok_and(|there| there.kind != Kind::Directory) {
                true => {
                    let why = "something other than a directory is there; remove or rename it";
                    Failure::refusal("cannot make", to.path_of(to_name), why)
                }
                false => cannot_make(error),
            }
        })?;
        Ok((Some(self.take(to, stat, to_name, found)?), fresh))
    }

    fn take(
        &self,
        above: &Arc<Place>,
        stat: &Stat,
        to_name: &OsStr,
        found: Folder,
    ) -> Result<Arc<Place>, Failure> {
        let path = || above.path_of(to_name);
        let there = found
            .stat()
            .map_err(|error| Failure::new("cannot open", path(), error))?;
        if there.is_same(stat) {
            let why = "it is the directory to copy: nothing can be copied into itself";
            return Err(Failure::refusal("cannot copy to", path(), why));
        }
        if self.stat.is_none() {
            let _first = self.source.root.set(there.identity);
        }
        let place = above.inside(
            to_name,
            Arc::new(found),
            there.identity,
            self.stat.is_none(),
        );
        self.shared.copied_to(&place);
        Ok(place)
    }

    /// Reads a piece of the names in it. Answers with what is to be done, the first thing last.
    pub(super) fn list(self: &Arc<Self>, piece: Option<u64>) -> Vec<Work> {
        let unreadable = |error| {
            self.shared
                .fail(&Failure::new("cannot list", self.from.path(), error))
        };
        if piece.is_none() && !self.fresh {
            partial::sweep(self);
        }
        let mut entries = Vec::new();
        let mut work = Vec::new();
        match self
            .from
            .folder()
            .and_then(|folder| platform::list(&folder, piece, &mut entries))
        {
            Ok(None) => {}
            Ok(rest) => work.push(Work::List(Arc::clone(self), rest)),
            Err(error) => unreadable(error),
        }
        let mut files = Vec::new();
        for mut entry in entries {
            if let Err(failure) = self.resolve(&mut entry) {
                self.shared.fail(&failure);
            } else if !self.wants(&entry) {
            } else if entry.kind == Kind::Directory {
                work.push(Work::Enter(Arc::clone(self), entry.name));
            } else {
                files.push(entry);
            }
        }
        let mut files = files.into_iter().peekable();
        while files.peek().is_some() {
            let batch = files.by_ref().take(self.shared.limits.batch).collect();
            work.push(Work::Batch(Arc::clone(self), batch));
        }
        work
    }

    /// Finds out what a name is where the list does not say, or where it is a link to follow.
    fn resolve(&self, entry: &mut Entry) -> Result<(), Failure> {
        let follow = self.follows();
        if entry.kind == Kind::Unknown || follow && entry.kind == Kind::Link {
            let stat = self
                .from
                .folder()
                .and_then(|folder| folder.stat_at(&entry.name, follow));
            let unreadable =
                |error| Failure::new("cannot read", self.from.path_of(&entry.name), error);
            entry.kind = stat.map_err(unreadable)?.kind;
        }
        Ok(())
    }

    fn wants(&self, entry: &Entry) -> bool {
        self.shared.options.filter.as_ref().is_none_or(|filter| {
            let path = self.from.relative(&entry.name);
            filter.wants(&path, entry.kind == Kind::Directory)
        })
    }

    fn finish(&self) {
        let Some(to) = &self.to else { return };
        let options = &self.shared.options;
        if options.dry_run {
            return;
        }
        let finished = to.folder().and_then(|folder| {
            if let Some(stat) = &self.stat {
                self.keep(&folder, stat)?;
            }
            match options.fsync {
                Fsync::Files => folder.sync(),
                _ => Ok(()),
            }
        });
        if let Err(error) = finished {
            let what = "cannot set mode and times of";
            self.shared.fail(&Failure::new(what, to.path(), error));
        }
        // The way up is short now; from the top it would be long.
        to.open_above();
        self.from.open_above();
    }

    fn keep(&self, folder: &Folder, stat: &Stat) -> io::Result<()> {
        let preserve = self.shared.options.preserve;
        let mode = stat.permissions() & 0o777;
        let plain = self.shared.options.plain_modes;
        if !preserve.mode && !plain && self.fresh && mode & 0o700 != 0o700 {
            // It had more than the original, so that it could be filled.
            let made = folder.stat()?.permissions();
            platform::set_mode(folder, made & (mode | !0o700))?;
        }
        let from = match preserve.mode || preserve.xattrs {
            true => Some(self.from.folder()?),
            false => None,
        };
        attributes::finish(from.as_deref(), folder, stat, preserve, self.inherits)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        self.finish();
        // One after the other: a deep tree must not become a deep stack.
        let mut above = self.above.take();
        while let Some(mut dir) = above.and_then(Arc::into_inner) {
            above = dir.above.take();
        }
    }
}
