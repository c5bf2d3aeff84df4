//! A file: opened, filled, given what it keeps, and named.
//!
//! Where a file is to be on the disk before it has its name, small ones wait for that together:
//! each is [`Written`] first, which has the disk begin, and a batch later
//! synced and named. So the disk is busy with many while a thread waits for one, and what they
//! share, a commit of the journal, is done once.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::data::{self, Filled, Rest, Tally, Transfer};
use super::draft::Draft;
use super::item::Item;
use super::options::Fsync;
use super::pipe::Pipe;
use super::policy::{self, Old};
use super::report::{Failure, What};
use super::stat::{Kind, Stat};
use super::work::Work;
use super::{LARGE_BYTES, attributes, platform};

impl Item {
    /// Copies a file. A large one is given back, unless it is `alone`.
    pub(super) fn copy_file(&self, alone: bool) -> Result<Vec<Work>, Failure> {
        let cannot_open = |error| Failure::new("cannot open", self.source_path(), error);
        let from = self
            .source_folder()?
            .open_file(&self.name, self.dir.follows())
            .map_err(cannot_open)?;
        let stat = platform::stat(&from).map_err(cannot_open)?;
        match stat.kind {
            Kind::File if stat.bytes > LARGE_BYTES && !alone => Ok(vec![Work::Alone(self.clone())]),
            Kind::File => self.once(&stat, || self.copy_open(from, &stat, alone)),
            Kind::Special if self.shared().options.copy_contents => {
                self.once(&stat, || self.copy_open(from, &stat, true))
            }
            Kind::Directory => self.dir.enter(&self.name, &self.to_name),
            _ => self.copy_name(),
        }
    }

    /// Whether there is a copy now, or what is left to do for it.
    fn copy_open(
        &self,
        from: File,
        stat: &Stat,
        alone: bool,
    ) -> Result<(bool, Vec<Work>), Failure> {
        let shared = self.shared();
        let Some(to) = self.to_folder()? else {
            shared.tell(self, What::File, stat.bytes, None);
            return Ok((true, Vec::new()));
        };
        if shared.options.dry_run {
            let old = policy::look(self, &to, stat)?;
            let stays = matches!(old, Old::Stays);
            let backup = policy::backup_name(self, &to, &old)?;
            let what = if stays { What::Skipped } else { What::File };
            shared.tell(self, what, stat.bytes, backup.as_deref());
            return Ok((!stays, Vec::new()));
        }
        let Some(draft) = Draft::new(self, to, stat)? else {
            shared.tell(self, What::Skipped, stat.bytes, None);
            return Ok((false, Vec::new()));
        };
        let mut file = Filling {
            item: self.clone(),
            from,
            draft,
            stat: *stat,
            tally: Arc::new(Tally::new(shared)),
        };
        match file.fill()? {
            Filled::Whole if shared.options.fsync == Fsync::Files && !alone => {
                let written = file.finish()?;
                written.start_sync();
                Ok((false, vec![Work::Publish(Box::new(written))]))
            }
            Filled::Whole => {
                let written = file.finish()?;
                written.sync()?;
                written.publish()?;
                Ok((true, Vec::new()))
            }
            Filled::Rest(rest) => Ok((false, vec![Work::Pipe(Box::new(Pipe { file, rest }))])),
        }
    }
}

/// A file and its copy while it is being filled.
pub(super) struct Filling {
    pub(super) item: Item,
    pub(super) from: File,
    pub(super) draft: Draft,
    pub(super) stat: Stat,
    pub(super) tally: Arc<Tally>,
}

impl Filling {
    pub(super) fn transfer(&self) -> Transfer<'_> {
        Transfer {
            shared: self.item.shared(),
            from: &self.from,
            to: &self.draft.file,
            stat: &self.stat,
            tally: &self.tally,
        }
    }

    fn fill(&mut self) -> Result<Filled, Failure> {
        data::fill(&self.item, &self.from, &self.draft, &self.stat, &self.tally)
            .map_err(|fault| fault.at(&self.item))
    }

    /// Does what is to be done once the bytes are there, but for the name.
    pub(super) fn finish(self) -> Result<Written, Failure> {
        let shared = Arc::clone(self.item.shared());
        if shared.options.verify {
            data::verify(&self.transfer()).map_err(|fault| fault.at(&self.item))?;
        }
        let bytes = self.tell_of_changes()?;
        if let Err(error) = self.keep() {
            let what = "cannot keep all attributes of";
            shared.fail(&Failure::new(what, self.item.to_path(), error));
        }
        Ok(Written {
            item: self.item,
            draft: self.draft,
            stat: self.stat,
            tally: self.tally,
            bytes,
        })
    }

    /// Warns of an original that is not what it was at the beginning. Answers with how long the
    /// copy is.
    fn tell_of_changes(&self) -> Result<u64, Failure> {
        let counted = self.tally.bytes();
        // What is no file has neither a size nor a time of its own.
        if self.stat.kind != Kind::File {
            return Ok(counted);
        }
        // A small file that was as long as it claimed was there for a moment only.
        if self.stat.bytes <= LARGE_BYTES && counted == self.stat.bytes {
            return Ok(counted);
        }
        let now = platform::stat(&self.from).map_err(|error| self.item.cannot_read(error))?;
        if self.stat.differs(&now) {
            let why = "it changed while it was copied; copy it again when it is at rest";
            let warning = Failure::new(
                "doubtful copy of",
                self.item.source_path(),
                io::Error::other(why),
            );
            self.item.shared().warn(&warning);
        }
        let copy = platform::stat(&self.draft.file);
        Ok(copy.map_err(|error| self.item.cannot_make(error))?.bytes)
    }

    fn keep(&self) -> io::Result<()> {
        let preserve = self.item.shared().options.preserve;
        let to = &self.draft.file;
        let inherits = self.item.dir.inherits;
        if let (Some(old), false) = (&self.draft.old, preserve.ownership) {
            // Who had the old file has the new one, where we may give it.
            platform::set_owner(to, old)?;
        }
        let mode = self.draft.mode_to_set(&self.item, &self.stat);
        if let (Some(mode), false) = (mode, preserve.mode) {
            platform::set_mode(to, mode)?;
        }
        attributes::finish(Some(&self.from), to, &self.stat, preserve, inherits)
    }
}

/// A copy that is whole, and has no name yet.
pub(super) struct Written {
    item: Item,
    draft: Draft,
    stat: Stat,
    tally: Arc<Tally>,
    bytes: u64,
}

impl Written {
    /// Has the disk begin with it.
    fn start_sync(&self) {
        // Whatever is wrong, the sync will tell.
        let _told_later = annulet_runtime::op::start_sync(&self.draft.file);
    }

    /// Has it on the disk, if that is asked for.
    fn sync(&self) -> Result<(), Failure> {
        match self.item.shared().options.fsync {
            Fsync::Files => {
                let cannot_sync = |error| Failure::new("cannot sync", self.item.to_path(), error);
                self.draft.file.sync_all().map_err(cannot_sync)
            }
            _ => Ok(()),
        }
    }

    /// Gives it its name.
    fn publish(self) -> Result<(), Failure> {
        let shared = self.item.shared();
        if shared.is_stopped() {
            return Err(data::Fault::Stopped.at(&self.item));
        }
        let backup = self.draft.publish(&self.item)?;
        self.tally.settle(self.bytes);
        shared.tell(&self.item, What::File, self.bytes, backup.as_deref());
        Ok(())
    }
}

/// Gives files their names, once they are on the disk. Answers with what is to be done then.
///
/// No name is given between two syncs: a directory that changed may have to be written for each.
pub(super) fn publish(files: Vec<Written>) -> Vec<Work> {
    let synced: Vec<_> = files.iter().map(Written::sync).collect();
    let named = files.into_iter().zip(synced).flat_map(|(file, synced)| {
        let (item, stat) = (file.item.clone(), file.stat);
        item.ended(&stat, synced.and_then(|()| file.publish()))
    });
    named.collect()
}

impl Pipe {
    /// Ends the copy of a file on a thread that may wait, once its bytes are there or not.
    pub(super) fn end(self, poured: Result<(), data::Fault>) -> Vec<Work> {
        let Self { file, rest } = self;
        let (item, stat) = (file.item.clone(), file.stat);
        let tail = |rest: Rest| {
            rest.ranges
                .into_iter()
                .try_for_each(|range| file.transfer().pour(range).map(drop))
        };
        let ended = poured
            .and_then(|()| tail(rest))
            .map_err(|fault| fault.at(&item))
            .and_then(|()| file.finish());
        match ended {
            Ok(written) => publish(vec![written]),
            Err(failure) => item.ended(&stat, Err(failure)),
        }
    }
}
