//! The jobs of a walk: entering a directory, and reading a batch of its entries.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::entry::WalkError;
use super::options::Rules;
use super::platform::Visited;
use crate::dir::platform::{Found, Listing};

/// A directory that was entered, and those above it.
pub(super) struct Node {
    visited: Visited,
    up: Option<Arc<Self>>,
    depth: usize,
}

impl Node {
    pub(super) fn visited(&self) -> &Visited {
        &self.visited
    }

    /// 0 where the walk began.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// This directory, the one above it, and so on.
    fn upward(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| node.up.as_deref())
    }
}

/// From the leaf up in a loop: the drop of a deep tree's leaf must not use the stack.
impl Drop for Node {
    fn drop(&mut self) {
        let mut up = self.up.take();
        while let Some(mut node) = up.and_then(Arc::into_inner) {
            up = node.up.take();
        }
    }
}

/// Something to do.
pub(super) enum Visit {
    /// Begin here.
    Root(PathBuf),
    /// Enter a directory by its name in another, by way of a link or not.
    Enter(Arc<Node>, OsString, bool),
    /// Read on.
    Continue(Arc<Node>, Listing),
}

/// What a job has to say.
pub(super) enum Report {
    /// Entries.
    Listed(Listed),
    /// A directory that is none of the walk's.
    Passed,
    /// A directory that cannot be entered.
    Failed(WalkError),
}

/// A batch of entries, each with whether it is a link.
pub(super) struct Listed {
    pub(super) node: Arc<Node>,
    pub(super) found: Vec<(Found, bool)>,
    /// Where to read on.
    pub(super) rest: Option<Listing>,
    /// Whether the directory was entered just now.
    pub(super) fresh: bool,
    /// Why there are no more.
    pub(super) error: Option<WalkError>,
}

impl Visit {
    /// Does it, on a thread of the pool.
    pub(super) fn make(self, rules: Rules) -> Report {
        match self {
            Self::Continue(node, listing) => read(node, listing, rules, false),
            Self::Root(path) => match Visited::root(path.clone(), rules.follow) {
                Ok((visited, listing)) => {
                    let node = Node {
                        visited,
                        up: None,
                        depth: 0,
                    };
                    read(Arc::new(node), listing, rules, true)
                }
                Err(error) => Report::Failed(WalkError::new(path, 0, error)),
            },
            Self::Enter(parent, name, is_link) => {
                let depth = parent.depth + 1;
                let entered = parent.visited.enter(&name, is_link, rules.follow);
                let (visited, listing) = match entered {
                    Ok(entered) => entered,
                    Err(error) => {
                        let path = parent.visited.folder().path().join(&name);
                        return Report::Failed(WalkError::new(path, depth, error));
                    }
                };
                if is_link && parent.upward().any(|node| node.visited.is_same(&visited)) {
                    let path = visited.folder().path().to_owned();
                    return Report::Failed(WalkError::of_loop(path, depth));
                }
                if rules.same_file_system && !visited.is_beside(&parent.visited) {
                    return Report::Passed;
                }
                let node = Node {
                    visited,
                    up: Some(parent),
                    depth,
                };
                read(Arc::new(node), listing, rules, true)
            }
        }
    }
}

/// Reads a batch of a directory.
fn read(node: Arc<Node>, mut listing: Listing, rules: Rules, fresh: bool) -> Report {
    let mut found = Vec::new();
    let more = listing.read(&mut found);
    let marked = found.into_iter().map(|found| mark(&node, found, rules));
    let found = marked.collect();
    let (rest, error) = match more {
        Ok(more) => (more.then_some(listing), None),
        Err(error) => {
            let path = node.visited.folder().path().to_owned();
            (None, Some(WalkError::new(path, node.depth, error)))
        }
    };
    Report::Listed(Listed {
        node,
        found,
        rest,
        fresh,
        error,
    })
}

/// Says whether an entry is a link, and looks where it leads if the walk follows it.
fn mark(node: &Node, mut found: Found, rules: Rules) -> (Found, bool) {
    let is_link = found.kind.is_symlink();
    if is_link && rules.follow {
        // One that leads nowhere stays a link.
        if let Ok(stat) = node.visited.look_through(&found.name) {
            found.kind = stat.file_type();
        }
    }
    (found, is_link)
}
