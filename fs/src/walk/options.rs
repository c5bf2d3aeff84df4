//! How a walk goes.

use std::fmt;
use std::path::Path;

use super::{Walk, WalkEntry};

/// What the jobs of a walk need to know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    pub(super) follow: bool,
    pub(super) same_file_system: bool,
}

/// Whether a directory is entered.
type Enter = Box<dyn FnMut(&WalkEntry) -> bool>;

/// How a walk goes.
///
/// # Examples
///
/// ```
/// use annulet_fs::WalkOptions;
/// use annulet_runtime::stream::TryStreamExt;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let hidden = |entry: &annulet_fs::WalkEntry| entry.file_name().as_encoded_bytes()[0] == b'.';
/// let sources: Vec<_> = WalkOptions::new()
///     .max_depth(3)
///     .enter_if(move |directory| !hidden(directory))
///     .walk("src")
///     .try_collect()
///     .await?;
/// assert!(!sources.is_empty());
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub struct WalkOptions {
    pub(super) rules: Rules,
    pub(super) jobs: usize,
    max_depth: usize,
    enter: Option<Enter>,
}

impl fmt::Debug for WalkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalkOptions")
            .field("rules", &self.rules)
            .field("jobs", &self.jobs)
            .field("max_depth", &self.max_depth)
            .finish_non_exhaustive()
    }
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl WalkOptions {
    /// Everything, through no symbolic link, into other file systems too, 4 directories at once.
    pub fn new() -> Self {
        Self {
            rules: Rules::default(),
            jobs: 4,
            max_depth: usize::MAX,
            enter: None,
        }
    }

    /// Also enters directories that symbolic links lead to. One that leads to a directory above it
    /// is an error, of which [`is_loop`](super::WalkError::is_loop) is true.
    pub fn follow_links(mut self, on: bool) -> Self {
        self.rules.follow = on;
        self
    }

    /// Gives nothing deeper than this; at 1, what is in the directory itself.
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = depth;
        self
    }

    /// Asks of each directory that is found whether it is entered; it is given in any case.
    pub fn enter_if(mut self, enter: impl FnMut(&WalkEntry) -> bool + 'static) -> Self {
        self.enter = Some(Box::new(enter));
        self
    }

    /// How many directories are read at once; at 1, each is given with all below it before the next.
    ///
    /// # Panics
    ///
    /// At 0.
    pub fn jobs(mut self, jobs: usize) -> Self {
        assert!(jobs > 0, "a walk needs a job");
        self.jobs = jobs;
        self
    }

    /// Walks through a directory, which itself is not among the entries; a symbolic link to it is
    /// followed. Begins when it is polled.
    ///
    /// # Cancel safety
    ///
    /// As [`walk`](super::walk).
    pub fn walk(self, path: impl AsRef<Path>) -> Walk {
        Walk::new(self, path.as_ref())
    }

    /// Whether the walk goes into a directory.
    pub(super) fn enters(&mut self, directory: &WalkEntry) -> bool {
        directory.depth() < self.max_depth
            && self.enter.as_mut().is_none_or(|enter| enter(directory))
    }
}

/// What Linux has besides.
#[cfg(target_os = "linux")]
impl WalkOptions {
    /// Stays on the file system that it begins on: what others are mounted on is given, and not
    /// entered.
    pub fn same_file_system(mut self, on: bool) -> Self {
        self.rules.same_file_system = on;
        self
    }
}
