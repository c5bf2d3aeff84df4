//! A name that is removed when this is dropped, unless it is kept.

use std::io;
use std::path::{Path, PathBuf};

use annulet_runtime::{spawn_blocking, try_current};

use crate::name::remove_tree;

/// How a name is removed.
type Remove = fn(&Path) -> io::Result<()>;

/// A name of a file, or of a directory with all that is in it. Dropping it removes it: by a job
/// where there is a runtime, else on this thread.
pub(super) struct Doomed(Option<Name>);

impl Doomed {
    pub(super) fn file(path: PathBuf) -> Self {
        Self::new(path, |path| std::fs::remove_file(path))
    }

    pub(super) fn dir(path: PathBuf) -> Self {
        Self::new(path, remove_tree)
    }

    fn new(path: PathBuf, remove: Remove) -> Self {
        let remove = Some(remove);
        Self(Some(Name { path, remove }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.as_ref().expect("only its end takes it").path
    }

    fn end(mut self) -> Name {
        self.0.take().expect("only its end takes it")
    }

    /// Lets it live, and gives its path.
    pub(super) fn keep(self) -> PathBuf {
        let mut name = self.end();
        name.remove = None;
        std::mem::take(&mut name.path)
    }

    /// Removes it on this thread, and says what came of it.
    pub(super) fn remove(self) -> io::Result<()> {
        self.end().remove()
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        if let Some(name) = self.0.take()
            && try_current().is_ok()
        {
            // A job that is refused is dropped, and the name with it.
            spawn_blocking(move || drop(name)).detach();
        }
    }
}

/// What is removed on the thread that drops it.
struct Name {
    path: PathBuf,
    /// `None` once it is removed, or kept.
    remove: Option<Remove>,
}

impl Name {
    fn remove(&mut self) -> io::Result<()> {
        self.remove
            .take()
            .map_or(Ok(()), |remove| remove(&self.path))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // Nobody is there to be told; and what others removed is removed.
        let _ = self.remove();
    }
}
