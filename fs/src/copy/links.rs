//! Files of several names: the first name met is copied, the others become names of that copy.
//!
//! Several threads may meet names of one file together. Whoever is first *claims* the file; the
//! names that others meet while it is copied are kept beside the claim, and whoever claimed it
//! links them when the copy has its name. Nobody waits. If the copy fails, the names kept are
//! given back and go on by themselves, each as if it were the first.
//!
//! Only files of several names are remembered, and no longer than names of them can be met.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::sync::{Arc, Mutex};

use super::item::Item;
use super::place::Place;
use super::shared::lock;

#[derive(Default)]
pub(super) struct Links(Mutex<HashMap<(u64, u64), Link>>);

enum Link {
    UnderWay(Vec<Item>),
    Copied {
        at: (Arc<Place>, OsString),
        /// Names that were not met yet.
        left: u64,
    },
}

/// What to do with a name of a file that has several.
pub(super) enum Claim {
    /// Copy it, and say how that ended.
    First,
    /// Nothing: whoever copies the file will link it.
    Later,
    /// Make it a name of this one.
    Link(Arc<Place>, OsString),
}

impl Links {
    /// Says what to do with `item`, one of the `names` of a file.
    pub(super) fn claim(&self, file: (u64, u64), names: u64, item: &Item) -> Claim {
        let mut links = lock(&self.0);
        match links.entry(file) {
            Entry::Vacant(free) => {
                free.insert(Link::UnderWay(Vec::new()));
                Claim::First
            }
            Entry::Occupied(mut known) => match known.get_mut() {
                Link::UnderWay(waiting) => {
                    waiting.push(item.clone());
                    Claim::Later
                }
                Link::Copied { at, left } => {
                    let (place, name) = (Arc::clone(&at.0), at.1.clone());
                    *left = left.saturating_sub(1).min(names);
                    if *left == 0 {
                        known.remove();
                    }
                    Claim::Link(place, name)
                }
            },
        }
    }

    /// The file is copied, to here. Gives the names to link to it.
    pub(super) fn copied(&self, file: (u64, u64), names: u64, item: &Item) -> Vec<Item> {
        let Some(to) = &item.dir.to else {
            return self.failed(file);
        };
        let mut links = lock(&self.0);
        let Some(Link::UnderWay(waiting)) = links.remove(&file) else {
            return Vec::new();
        };
        let left = names.saturating_sub(1 + waiting.len() as u64);
        if left > 0 {
            let at = (Arc::clone(to), item.to_name.clone());
            links.insert(file, Link::Copied { at, left });
        }
        waiting
    }

    /// The file was not copied. Gives the names that have to be copied by themselves.
    pub(super) fn failed(&self, file: (u64, u64)) -> Vec<Item> {
        match lock(&self.0).remove(&file) {
            Some(Link::UnderWay(waiting)) => waiting,
            _ => Vec::new(),
        }
    }

    /// Forgets everything. Names that still wait, in a copy that was stopped, hold directories, and
    /// those hold what we are a part of.
    pub(super) fn clear(&self) {
        let links = std::mem::take(&mut *lock(&self.0));
        // Not under the lock: directories are finished now.
        drop(links);
    }
}
