//! What is told of a copy: events, failures, warnings, and how far it is.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Hears of what a copy does, on the threads that do it. Calls may come at any time and together,
/// but for [`ask`](Self::ask).
pub trait Observer: Send + Sync {
    /// Whether [`event`](Self::event) is to be called at all. Asked once, when the copy begins;
    /// without events no paths are made.
    fn wants_events(&self) -> bool {
        true
    }

    /// Something was done, or would be in a dry run, or was left as it is.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Something could not be copied; the rest goes on.
    fn failed(&self, failure: &Failure) {
        let _ = failure;
    }

    /// Something was copied, but not as it should be; as one that changed meanwhile.
    fn warned(&self, warning: &Failure) {
        let _ = warning;
    }

    /// Whether `to` may be replaced; asked if [`Options::ask`](super::Options::ask) is set, one
    /// question at a time. May block: it is called on a thread of the blocking pool.
    fn ask(&self, to: &Path) -> bool {
        let _ = to;
        false
    }
}

/// Listens to nothing.
impl Observer for () {
    fn wants_events(&self) -> bool {
        false
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn wants_events(&self) -> bool {
        (**self).wants_events()
    }

    fn event(&self, event: &Event<'_>) {
        (**self).event(event);
    }

    fn failed(&self, failure: &Failure) {
        (**self).failed(failure);
    }

    fn warned(&self, warning: &Failure) {
        (**self).warned(warning);
    }

    fn ask(&self, to: &Path) -> bool {
        (**self).ask(to)
    }
}

/// What was done with one name.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// What was done.
    pub what: What,
    /// The original.
    pub from: &'a Path,
    /// The copy.
    pub to: &'a Path,
    /// Bytes of a file that was copied: its size.
    pub bytes: u64,
    /// Where what was replaced is kept.
    pub backup: Option<&'a Path>,
}

/// What can be done with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A file was copied.
    File,
    /// A directory was made. One that was there and is entered is no event.
    Directory,
    /// A symbolic link was made.
    Link,
    /// Another name was given to a file copied before.
    HardLink,
    /// A FIFO, socket or device was made.
    Special,
    /// Something is left as it is, because there is a file already that is to stay.
    Skipped,
    /// A partial file of a killed copy was removed; `from` and `to` are its path.
    Removed,
}

impl What {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "link",
            Self::HardLink => "hard-link",
            Self::Special => "special",
            Self::Skipped => "skipped",
            Self::Removed => "removed",
        }
    }
}

/// What could not be done, to what, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What was tried, as "cannot open".
    pub what: &'static str,
    /// The file or directory that it was tried on.
    pub path: PathBuf,
    /// Why it failed.
    pub error: io::Error,
}

impl Failure {
    pub(super) fn new(
        what: &'static str,
        path: impl Into<PathBuf>,
        error: impl Into<io::Error>,
    ) -> Self {
        Self {
            what,
            path: path.into(),
            error: error.into(),
        }
    }

    /// A failure that no system call has found.
    pub(super) fn refusal(what: &'static str, path: impl Into<PathBuf>, why: &'static str) -> Self {
        Self::new(what, path, io::Error::new(io::ErrorKind::InvalidInput, why))
    }

    /// What a person can do about it, where something is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match self.error.kind() {
            io::ErrorKind::PermissionDenied => {
                "give yourself the permission on it and its directory, or run as its owner"
            }
            io::ErrorKind::NotFound => "look at the spelling, or whether it was removed meanwhile",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free space where the copy goes, or copy elsewhere"
            }
            io::ErrorKind::ReadOnlyFilesystem => "copy elsewhere, or mount it for writing",
            io::ErrorKind::InvalidFilename => {
                "a name or path is too long or forbidden there: shorten it"
            }
            io::ErrorKind::FileTooLarge => "the file system there takes no file so large",
            _ => return None,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.what, Named(&self.path), self.error)?;
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// A path on one line: with control characters or other than text, as a quoted string.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a>(pub &'a Path);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_str() {
            Some(text) if !text.is_empty() && !text.contains(char::is_control) => f.write_str(text),
            _ => write!(f, "{:?}", self.0),
        }
    }
}

/// How far a copy is; after its end, what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Files copied whole.
    pub files: u64,
    /// Directories made or entered.
    pub directories: u64,
    /// Symbolic links made.
    pub links: u64,
    /// Further names given to files copied before.
    pub hard_links: u64,
    /// FIFOs, sockets and devices made.
    pub specials: u64,
    /// What was left as it is, because a file was there that is to stay.
    pub skipped: u64,
    /// Sizes of the files copied, and of what is copied of those under way; holes count.
    pub bytes: u64,
    /// Sizes of the files skipped.
    pub skipped_bytes: u64,
    /// What could not be copied.
    pub failures: u64,
    /// What was copied, but not as it should be.
    pub warnings: u64,
}

/// What there is to copy, as far as it was [counted](super::Copier::plan).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Regular files.
    pub files: u64,
    /// Their sizes; a file of several names counts once where hard links are kept.
    pub bytes: u64,
    /// Whether all is counted.
    pub is_complete: bool,
}
