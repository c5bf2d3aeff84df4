//! The ends of a copy, as its caller named them: the only paths that are ever given to the system.
//!
//! Both are reached through the directories that they are in; from there on there are only names. A
//! directory that contains the place of its own copy is refused before anything is made: all
//! directories above that place are looked at, by what they are, so no link hides them. What a bind
//! mount hides from that is found by the walk.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::dir::{Dir, Source};
use super::options::Follow;
use super::partial;
use super::place::Place;
use super::platform::{self, Folder};
use super::report::Failure;
use super::shared::Shared;
use super::stat::{Kind, Stat};
use super::work::Work;

/// A source, and where its copy goes.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
}

/// Looks at the ends. Answers with what is to be done.
pub(super) fn start(shared: &Arc<Shared>, pair: Pair) -> Vec<Work> {
    try_start(shared, &pair).unwrap_or_else(|failure| {
        shared.fail(&failure);
        Vec::new()
    })
}

fn try_start(shared: &Arc<Shared>, pair: &Pair) -> Result<Vec<Work>, Failure> {
    let cannot_open = |error| Failure::new("cannot open", &pair.from, error);
    let (from, name, from_slash) = platform::split(&pair.from);
    let (to, to_name, to_slash) = platform::split(&pair.to);
    let folder = Folder::open(&from).map_err(cannot_open)?;
    let follow = from_slash || shared.options.follow != Follow::Never;
    let stat = folder.stat_at(&name, follow).map_err(cannot_open)?;
    if from_slash && stat.kind != Kind::Directory {
        return Err(cannot_open(ErrorKind::NotADirectory.into()));
    }
    let from = Place::top(from, folder, &shared.shelf).map_err(cannot_open)?;
    let unreachable = |error| Failure::new("cannot reach", &pair.to, error);
    let folder = Folder::open(&to);
    if stat.kind == Kind::Directory {
        admit_directory(shared, pair, &stat, folder.as_ref().ok())?;
    } else if to_slash {
        let why = "it ends in a slash, and what is copied is no directory";
        return Err(Failure::refusal("cannot make", &pair.to, why));
    }
    let folder = folder.map_err(unreachable)?;
    let to = Place::top(to, folder, &shared.shelf).map_err(unreachable)?;
    shared.copied_to(&to);
    let source = Source {
        device: stat.device(),
        follow,
        root: OnceLock::new(),
    };
    let top = Dir::top(shared, source, from, to).map_err(unreachable)?;
    partial::sweep(&top);
    let item = top.item(&name, &to_name);
    Ok(item.copy(stat.kind, true))
}

fn admit_directory(
    shared: &Shared,
    pair: &Pair,
    stat: &Stat,
    to: Option<&Folder>,
) -> Result<(), Failure> {
    if !shared.options.recursive {
        let why = "it is a directory, and they are copied only if asked for (-r)";
        return Err(Failure::refusal("cannot copy", &pair.from, why));
    }
    let inside = match to {
        Some(folder) => is_inside(folder, stat),
        // It will be said that there is no such place; but first that it would be a wrong one.
        None => match pair.to.ancestors().find_map(|path| Folder::open(path).ok()) {
            Some(folder) => is_inside(&folder, stat),
            None => Ok(false),
        },
    };
    if inside.map_err(|error| Failure::new("cannot reach", &pair.to, error))? {
        let why = "it is inside the directory to copy, and that cannot go into itself";
        return Err(Failure::refusal("cannot copy to", &pair.to, why));
    }
    Ok(())
}

/// Whether a directory is `stat`, or in it at any depth.
fn is_inside(folder: &Folder, stat: &Stat) -> io::Result<bool> {
    let mut here = folder.stat()?;
    let mut above = folder.up();
    loop {
        if here.is_same(stat) {
            return Ok(true);
        }
        // Where one may not look further up, the walk will find what it may find.
        let Ok(folder) = above else { return Ok(false) };
        let up = folder.stat()?;
        if up.identity.is_none() || up.is_same(&here) {
            return Ok(false);
        }
        (here, above) = (up, folder.up());
    }
}

/// Whether two of the copies go to the same place, or may: then one would overwrite the other.
pub(super) fn may_meet(pairs: &[Pair]) -> bool {
    let same = |one: &Path, other: &Path| one.starts_with(other) || other.starts_with(one);
    let others = |index: usize| pairs[index + 1..].iter();
    pairs
        .iter()
        .enumerate()
        .any(|(index, one)| others(index).any(|other| same(&one.to, &other.to)))
}
