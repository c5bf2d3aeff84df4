//! Links to the original instead of a copy of it: hard ones, and symbolic ones.
//!
//! What is in the way is treated as with copies. A name that leads to the original already is what
//! was asked for, and stays.

use std::path::Path;

use super::attributes;
use super::item::Item;
use super::options::Make;
use super::platform::Folder;
use super::report::{Failure, What};
use super::stat::Stat;
use super::work::Work;

impl Item {
    /// Makes a link to the original, of the kind that was asked for.
    pub(super) fn link_original(&self) -> Result<Vec<Work>, Failure> {
        let from = self.source_folder()?;
        let follow = self.dir.follows();
        let stat = from
            .stat_at(&self.name, follow)
            .map_err(|error| self.cannot_read(error))?;
        match self.shared().options.make {
            Make::SymbolicLinks => self.link_by_path(&from, &stat),
            _ if self.is_there(&stat) => {
                self.shared().tell(self, What::HardLink, 0, None);
                Ok(())
            }
            _ => self
                .place_name(&stat, What::HardLink, |to, here| {
                    to.link(&from, &self.name, follow, here)
                })
                .map(drop),
        }?;
        Ok(Vec::new())
    }

    fn is_there(&self, stat: &Stat) -> bool {
        let to = self.to_folder().ok().flatten();
        let there = to.and_then(|to| to.stat_at(&self.to_name, false).ok());
        there.is_some_and(|there| there.is_same(stat))
    }

    fn link_by_path(&self, from: &Folder, stat: &Stat) -> Result<(), Failure> {
        let target = self.source_path();
        if target.is_relative() && !self.goes_to_current_directory() {
            let why = "a relative link leads there only from the current directory; name the \
                       source by its whole path";
            return Err(Failure::refusal("cannot link", self.to_path(), why));
        }
        let preserve = self.shared().options.preserve;
        self.place_name(stat, What::Link, |to, here| {
            to.symlink(target.as_os_str(), here)?;
            let (from, to) = ((from, &*self.name), (to, here));
            attributes::finish_name(from, to, stat, preserve, false)
        })
        .map(drop)
    }

    fn goes_to_current_directory(&self) -> bool {
        let here = Folder::open(Path::new(".")).and_then(|folder| folder.stat());
        let to = self.to_folder().ok().flatten();
        let to = to.map(|to| to.stat());
        matches!((here, to), (Ok(here), Some(Ok(to))) if here.is_same(&to))
    }
}
