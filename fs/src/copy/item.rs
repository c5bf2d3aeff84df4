//! One name that is no directory: what it is, what is in its way, and how it is made anew.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use super::dir::Dir;
use super::links::Claim;
use super::options::Make;
use super::place::Place;
use super::platform::Folder;
use super::policy::{self, Old};
use super::report::{Event, Failure, What};
use super::shared::{Shared, count};
use super::stat::{Kind, Stat};
use super::work::Work;
use super::{attributes, draft, platform};

/// A name to copy, and the name of its copy.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) dir: Arc<Dir>,
    pub(super) name: OsString,
    pub(super) to_name: OsString,
}

impl Shared {
    /// Counts what was done with an item, and tells of it.
    pub(super) fn tell(&self, item: &Item, what: What, bytes: u64, backup: Option<&OsStr>) {
        if let Some(counter) = self.counter(what) {
            count(counter, 1);
        }
        if what == What::Skipped {
            count(&self.counts.skipped_bytes, bytes);
        }
        if self.wants_events() {
            let backup = backup.map(|name| item.to_path_of(name));
            self.done(&Event {
                what,
                from: &item.source_path(),
                to: &item.to_path(),
                bytes,
                backup: backup.as_deref(),
            });
        }
    }
}

impl Item {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.dir.shared
    }

    pub(super) fn source_path(&self) -> PathBuf {
        self.dir.from.path_of(&self.name)
    }

    pub(super) fn to_path(&self) -> PathBuf {
        self.to_path_of(&self.to_name)
    }

    /// The path of a name beside the copy.
    pub(super) fn to_path_of(&self, name: &OsStr) -> PathBuf {
        self.dir.to_path_of(name)
    }

    pub(super) fn cannot_read(&self, error: impl Into<io::Error>) -> Failure {
        Failure::new("cannot read", self.source_path(), error)
    }

    pub(super) fn cannot_make(&self, error: impl Into<io::Error>) -> Failure {
        Failure::new("cannot make", self.to_path(), error)
    }

    pub(super) fn source_folder(&self) -> Result<Arc<Folder>, Failure> {
        let open = |error| Failure::new("cannot open", self.source_path(), error);
        self.dir.from.folder().map_err(open)
    }

    /// The directory of the copy. `None` in a dry run, if it would have to be made.
    pub(super) fn to_folder(&self) -> Result<Option<Arc<Folder>>, Failure> {
        let open = |to: &Arc<Place>| to.folder().map_err(|error| self.cannot_make(error));
        self.dir.to.as_ref().map(open).transpose()
    }

    /// Copies it, unless it is large: then it is given back to be copied by itself.
    pub(super) fn copy(&self, kind: Kind, alone: bool) -> Vec<Work> {
        let copied = self.try_copy(kind, alone);
        copied.unwrap_or_else(|failure| {
            self.shared().fail(&failure);
            Vec::new()
        })
    }

    fn try_copy(&self, kind: Kind, alone: bool) -> Result<Vec<Work>, Failure> {
        let options = &self.shared().options;
        match kind {
            Kind::Directory => self.dir.enter(&self.name, &self.to_name),
            Kind::Unknown => {
                let folder = self.source_folder()?;
                let stat = folder.stat_at(&self.name, self.dir.follows());
                let kind = stat.map_err(|error| self.cannot_read(error))?.kind;
                debug_assert_ne!(kind, Kind::Unknown, "the system knows its own files");
                self.try_copy(kind, alone)
            }
            _ if options.make != Make::Copies => self.link_original(),
            Kind::File => self.copy_file(alone),
            Kind::Special if options.copy_contents => self.copy_file(alone),
            Kind::Link | Kind::Special => self.copy_name(),
        }
    }

    /// Copies what has no contents: a link, FIFO, socket or device.
    pub(super) fn copy_name(&self) -> Result<Vec<Work>, Failure> {
        let stat = self
            .source_folder()?
            .stat_at(&self.name, false)
            .map_err(|error| self.cannot_read(error))?;
        if matches!(stat.kind, Kind::File | Kind::Directory) {
            return Err(self.cannot_read(io::Error::other("it was replaced while it was copied")));
        }
        self.once(&stat, || {
            let made = self.make_name(&stat)?;
            Ok((made, Vec::new()))
        })
    }

    /// Makes a link or special file. Whether it was made: one that is there may be to stay.
    fn make_name(&self, stat: &Stat) -> Result<bool, Failure> {
        let what = match stat.kind {
            Kind::Link => What::Link,
            _ => What::Special,
        };
        let from = self.source_folder()?;
        let target = match stat.kind {
            Kind::Link => Some(
                from.read_link(&self.name)
                    .map_err(|error| self.cannot_read(error))?,
            ),
            _ => None,
        };
        let preserve = self.shared().options.preserve;
        let mode = match preserve.mode {
            true => 0o600,
            false => draft::plain_mode(self, stat),
        };
        self.place_name(stat, what, |to, name| {
            match &target {
                Some(target) => to.symlink(target, name)?,
                None => platform::make_special(to, name, stat, mode)?,
            }
            let finished = attributes::finish_name(
                (&from, &self.name),
                (to, name),
                stat,
                preserve,
                self.dir.inherits,
            );
            if finished.is_err() {
                // It is ours, and useless.
                let _stays = to.remove(name);
            }
            finished
        })
    }

    /// Makes something under the name of the copy, or under another beside it that then replaces
    /// what is there. Whether it did.
    pub(super) fn place_name(
        &self,
        stat: &Stat,
        what: What,
        make: impl Fn(&Folder, &OsStr) -> io::Result<()>,
    ) -> Result<bool, Failure> {
        let shared = self.shared();
        let Some(to) = self.to_folder()? else {
            shared.tell(self, what, 0, None);
            return Ok(true);
        };
        if !shared.options.dry_run {
            match make(&to, &self.to_name) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => {
                    made.map_err(|error| self.cannot_make(error))?;
                    shared.made(|| to.stat_at(&self.to_name, false));
                    shared.tell(self, what, 0, None);
                    return Ok(true);
                }
            }
        }
        let old = match policy::look(self, &to, stat)? {
            Old::Stays => {
                shared.tell(self, What::Skipped, 0, None);
                return Ok(false);
            }
            old => old,
        };
        let backup = policy::backup_name(self, &to, &old)?;
        if !shared.options.dry_run {
            let beside = shared.partial_name();
            make(&to, &beside).map_err(|error| self.cannot_make(error))?;
            let replaced = policy::replace(&to, &beside, &self.to_name, backup.as_deref());
            if let Err(error) = replaced {
                // Its name says what it is.
                let _stays = to.remove(&beside);
                return Err(Failure::new("cannot replace", self.to_path(), error));
            }
            shared.made(|| to.stat_at(&self.to_name, false));
        }
        shared.tell(self, what, 0, backup.as_deref());
        Ok(true)
    }

    /// Copies a file of several names once, and makes its other names links to the copy.
    ///
    /// `copy` says whether there is a copy now, and what else is to be done.
    pub(super) fn once(
        &self,
        stat: &Stat,
        copy: impl FnOnce() -> Result<(bool, Vec<Work>), Failure>,
    ) -> Result<Vec<Work>, Failure> {
        let shared = self.shared();
        let several = shared.options.preserve.links && stat.names > 1;
        let Some(file) = stat.identity.filter(|_| several) else {
            return copy().map(|(_, work)| work);
        };
        match shared.links.claim(file, stat.names, self) {
            Claim::First => match copy() {
                Ok((true, _)) => Ok(self.link_waiting(stat)),
                // Whoever ends the copy says so.
                Ok((false, work)) if !work.is_empty() => Ok(work),
                Ok((false, _)) => Ok(self.release_waiting(stat)),
                Err(failure) => {
                    shared.fail(&failure);
                    Ok(self.release_waiting(stat))
                }
            },
            Claim::Later => Ok(Vec::new()),
            Claim::Link(place, name) => match self.link_to(stat, &place, &name)? {
                true => Ok(Vec::new()),
                false => copy().map(|(_, work)| work),
            },
        }
    }

    /// What is to be done when a copy that was left for later has ended.
    pub(super) fn ended(&self, stat: &Stat, copied: Result<(), Failure>) -> Vec<Work> {
        let several = self.shared().options.preserve.links && stat.names > 1;
        match copied {
            Ok(()) if several => self.link_waiting(stat),
            Ok(()) => Vec::new(),
            Err(failure) => {
                self.shared().fail(&failure);
                match several {
                    true => self.release_waiting(stat),
                    false => Vec::new(),
                }
            }
        }
    }

    /// Gives back the names that were met while a copy was tried that came to nothing.
    pub(super) fn release_waiting(&self, stat: &Stat) -> Vec<Work> {
        let Some(file) = stat.identity else {
            return Vec::new();
        };
        let waiting = self.shared().links.failed(file);
        waiting.into_iter().map(Work::Alone).collect()
    }

    /// Links the names that were met while it was copied. Gives those back that cannot be linked.
    pub(super) fn link_waiting(&self, stat: &Stat) -> Vec<Work> {
        let (Some(file), Some(to)) = (stat.identity, &self.dir.to) else {
            return Vec::new();
        };
        let mut by_themselves = Vec::new();
        for item in self.shared().links.copied(file, stat.names, self) {
            match item.link_to(stat, to, &self.to_name) {
                Ok(true) => {}
                Ok(false) => by_themselves.push(Work::Alone(item)),
                Err(failure) => self.shared().fail(&failure),
            }
        }
        by_themselves
    }

    /// Makes the copy a further name of `name`. False if it cannot be one.
    fn link_to(&self, stat: &Stat, place: &Arc<Place>, name: &OsStr) -> Result<bool, Failure> {
        let folder = place.folder().map_err(|error| self.cannot_make(error))?;
        if let Some(to) = self.to_folder()?
            && let Ok(first) = folder.stat_at(name, false)
            && let Ok(there) = to.stat_at(&self.to_name, false)
            && first.is_same(&there)
        {
            // So an earlier copy has left it.
            self.shared().tell(self, What::HardLink, 0, None);
            return Ok(true);
        }
        let linked = self.place_name(stat, What::HardLink, |to, here| {
            to.link(&folder, name, false, here)
        });
        match linked {
            Ok(_linked_or_to_stay) => Ok(true),
            Err(failure) => match failure.error.kind() {
                ErrorKind::TooManyLinks
                | ErrorKind::CrossesDevices
                | ErrorKind::Unsupported
                | ErrorKind::PermissionDenied => Ok(false),
                _ => Err(failure),
            },
        }
    }
}
