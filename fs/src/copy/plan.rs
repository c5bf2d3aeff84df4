//! Counts what there is to copy, ahead of the copy or beside it.
//!
//! The walk is that of the copy without its other end, on one thread. Whatever it cannot look at it
//! leaves out: the copy will tell.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use super::options::Follow;
use super::place::Place;
use super::platform::{self, Folder};
use super::shared::{Shared, lock};
use super::stat::{Kind, Stat};

/// A walk under way.
pub(super) struct Plan {
    shared: Arc<Shared>,
    /// Directories to look into, and from where in the list of their names.
    waiting: Vec<(Arc<Place>, Option<u64>)>,
    /// Files of several names that were counted.
    counted: HashSet<(u64, u64)>,
    device: u64,
}

impl Plan {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            waiting: Vec::new(),
            counted: HashSet::new(),
            device: 0,
        }
    }

    /// Counts a source.
    pub(super) fn count(&mut self, source: &Path, is_wanted: &dyn Fn() -> bool) {
        let (path, name, slash) = platform::split(source);
        let follow = slash || self.shared.options.follow != Follow::Never;
        let Ok(folder) = Folder::open(&path) else {
            return;
        };
        let Ok(stat) = folder.stat_at(&name, follow) else {
            return;
        };
        let Ok(top) = Place::top(path, folder, &self.shared.shelf) else {
            return;
        };
        self.device = stat.device();
        self.take(&top, &name, &stat, follow);
        while let Some((place, piece)) = self.waiting.pop() {
            if !is_wanted() || self.shared.is_stopped() {
                self.waiting.clear();
                return;
            }
            self.list(&place, piece);
        }
    }

    fn list(&mut self, place: &Arc<Place>, piece: Option<u64>) {
        let mut entries = Vec::new();
        let Ok(folder) = place.folder() else { return };
        if let Ok(Some(rest)) = platform::list(&folder, piece, &mut entries) {
            self.waiting.push((Arc::clone(place), Some(rest)));
        }
        let follow = self.shared.options.follow == Follow::Always;
        for entry in entries {
            let is_leaf =
                matches!(entry.kind, Kind::Special) || entry.kind == Kind::Link && !follow;
            if !is_leaf && let Ok(stat) = folder.stat_at(&entry.name, follow) {
                self.take_wanted(place, &entry.name, &stat, follow);
            }
        }
    }

    fn take_wanted(&mut self, place: &Arc<Place>, name: &OsString, stat: &Stat, follow: bool) {
        let filter = self.shared.options.filter.as_ref();
        let is_directory = stat.kind == Kind::Directory;
        if filter.is_none_or(|filter| filter.wants(&place.relative(name), is_directory)) {
            self.take(place, name, stat, follow);
        }
    }

    fn take(&mut self, place: &Arc<Place>, name: &OsStr, stat: &Stat, follow: bool) {
        let options = &self.shared.options;
        match stat.kind {
            Kind::File => {
                let several = options.preserve.links && stat.names > 1;
                let again = several && stat.identity.is_some_and(|file| !self.counted.insert(file));
                if !again {
                    let mut totals = lock(&self.shared.totals);
                    totals.files += 1;
                    totals.bytes += stat.bytes;
                }
            }
            Kind::Directory => {
                let elsewhere = options.one_file_system && stat.device() != self.device;
                if elsewhere || place.is_in(stat.identity) && name != "." {
                    return;
                }
                let opened = place
                    .folder()
                    .and_then(|folder| folder.open_dir(name, follow));
                if let Ok(found) = opened {
                    let inside = place.inside(name, Arc::new(found), stat.identity, follow);
                    self.waiting.push((inside, None));
                }
            }
            Kind::Link | Kind::Special | Kind::Unknown => {}
        }
    }
}
