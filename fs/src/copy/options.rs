//! What a copy is to do: the words of `cp` as values.
//!
//! [`Options::new`] does what `cp -r` does, but replaces files by renaming; each field widens or
//! narrows that.

use std::ffi::OsString;
use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;

/// How to copy. All fields are public; new ones may come, so begin with [`Options::new`].
///
/// ```
/// use annulet_fs::copy::{Existing, Options, Preserve};
///
/// let mut options = Options::new();
/// options.preserve = Preserve::ALL;
/// options.existing = Existing::Older;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether directories are copied (`-r`); if not, they are refused.
    pub recursive: bool,
    /// What is made of files: copies, or links to them (`-l`, `-s`).
    pub make: Make,
    /// Whether a FIFO or device is read to its end, and not made anew (`--copy-contents`). What
    /// never ends is read until the copy is stopped.
    pub copy_contents: bool,
    /// Which symbolic links in the source stand for what they lead to.
    pub follow: Follow,
    /// What of the originals the copies keep beside their contents.
    pub preserve: Preserve,
    /// Whether files and directories whose mode is not kept get the mode of new ones, which only the
    /// umask narrows, and not their original's (`--no-preserve=mode`).
    pub plain_modes: bool,
    /// What happens to a file that is there already.
    pub existing: Existing,
    /// Whether the observer is [asked](super::Observer::ask) before a file is replaced (`-i`).
    pub ask: bool,
    /// How a file that is there is replaced.
    pub replace: Replace,
    /// Keeps what is replaced under another name (`-b`).
    pub backup: Option<Backup>,
    /// Leaves out directories on other file systems than their source's (`-x`).
    pub one_file_system: bool,
    /// Whether blocks are shared with the original where the file system can.
    pub reflink: Reflink,
    /// What becomes of holes.
    pub sparse: Sparse,
    /// Whether large files go past the page cache.
    pub direct: Direct,
    /// When the copies are on the disk.
    pub fsync: Fsync,
    /// Reads each copy back from the disk and compares it with the original.
    pub verify: bool,
    /// Goes on where an earlier copy with this option was ended: names that are whole are left,
    /// files that are not are continued. See [the module](super#continuing).
    pub resume: bool,
    /// Removes what killed copies have left behind in the directories that are entered.
    pub delete_partial: bool,
    /// Tells the observer what would be done, and changes nothing.
    pub dry_run: bool,
    /// Bytes copied in a second, over all files; `None` is no limit.
    pub limit_bytes_per_s: Option<NonZeroU64>,
    /// Jobs given to the blocking pool at once; `None` fits the machine.
    pub jobs: Option<NonZeroUsize>,
    /// Reads and writes under way at once for each large file that goes through the ring.
    pub depth: NonZeroUsize,
    /// What is left out.
    pub filter: Option<Filter>,
}

impl Options {
    /// As `cp -r`: directories are entered, links stay links, nothing but contents and the
    /// permission bits that the umask lets through is kept, and files that are there are replaced.
    #[must_use]
    pub fn new() -> Self {
        Self {
            recursive: true,
            make: Make::Copies,
            copy_contents: false,
            follow: Follow::Never,
            preserve: Preserve::NONE,
            plain_modes: false,
            existing: Existing::Replace,
            ask: false,
            replace: Replace::Rename,
            backup: None,
            one_file_system: false,
            reflink: Reflink::Auto,
            sparse: Sparse::Auto,
            direct: Direct::Auto,
            fsync: Fsync::Never,
            verify: false,
            resume: false,
            delete_partial: false,
            dry_run: false,
            limit_bytes_per_s: None,
            jobs: None,
            depth: const { NonZeroUsize::new(8).expect("it is not zero") },
            filter: None,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// What is made of everything that is no directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Make {
    /// Copies.
    #[default]
    Copies,
    /// Further names of the originals (`-l`). They have everything in common, so nothing is kept or
    /// set.
    HardLinks,
    /// Symbolic links to the originals, by the path that their source was given by (`-s`). One that
    /// is relative leads there only from the current directory, and is refused elsewhere.
    SymbolicLinks,
}

/// Which symbolic links in the source stand for what they lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// None: links are copied as links (`-P`).
    #[default]
    Never,
    /// Those that are sources themselves (`-H`).
    Sources,
    /// All (`-L`). A directory that a link leads back to is refused.
    Always,
}

/// What the copies keep of the originals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preserve {
    /// All permission bits, and access control lists where there are any.
    pub mode: bool,
    /// User and group. What the system does not let us give away stays ours; set-user-id and
    /// set-group-id bits are then dropped.
    pub ownership: bool,
    /// Times of last access and modification, to the nanosecond.
    pub timestamps: bool,
    /// Several names for one file stay several names for one file.
    pub links: bool,
    /// Extended attributes.
    pub xattrs: bool,
    /// Whether an extended attribute that the copy cannot have is a failure; else it is passed over.
    pub xattrs_required: bool,
}

impl Preserve {
    /// Contents alone.
    pub const NONE: Self = Self {
        mode: false,
        ownership: false,
        timestamps: false,
        links: false,
        xattrs: false,
        xattrs_required: false,
    };
    /// What `cp -p` keeps: mode, ownership, timestamps.
    pub const USUAL: Self = Self {
        mode: true,
        ownership: true,
        timestamps: true,
        links: false,
        xattrs: false,
        xattrs_required: false,
    };
    /// What `cp -a` keeps: everything.
    pub const ALL: Self = Self {
        mode: true,
        ownership: true,
        timestamps: true,
        links: true,
        xattrs: true,
        xattrs_required: false,
    };
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    #[default]
    Replace,
    /// It stays, and that is no failure (`-n`, `--update=none`).
    Keep,
    /// It stays, and that is a failure (`--update=none-fail`).
    Refuse,
    /// It is replaced if the original was modified later (`-u`), else it stays.
    Older,
}

/// How a file that is there is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replace {
    /// By a whole copy that takes its name: there is the old file or the new one at every moment.
    /// Other names of the old file keep the old contents.
    #[default]
    Rename,
    /// Written over in place, as `cp` does: what else names the file changes with it, and a copy
    /// that fails leaves a part of it. A file that cannot be opened is a failure.
    InPlace,
    /// As [`InPlace`](Self::InPlace); a file that cannot be opened is replaced (`-f`).
    InPlaceForced,
    /// As [`Rename`](Self::Rename), also where it is a link to the very original
    /// (`--remove-destination`).
    RemoveFirst,
}

/// How what is replaced is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// How its name is made.
    pub style: BackupStyle,
    /// What the name of a simple backup ends with; `~` with most tools.
    pub suffix: OsString,
}

/// How the name of a backup is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackupStyle {
    /// The name and the suffix; an older backup is replaced.
    Simple,
    /// The name and `.~N~`, N being one more than the highest there.
    Numbered,
    /// Numbered if there are numbered backups of this name, else simple.
    #[default]
    Existing,
}

/// Whether blocks are shared with the original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reflink {
    /// Where the file system can.
    #[default]
    Auto,
    /// A file that cannot be cloned is a failure.
    Always,
    /// Every block is written anew.
    Never,
}

/// What becomes of holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sparse {
    /// Holes of the original are holes of the copy.
    #[default]
    Auto,
    /// So are runs of zeros, wherever a block of the file system can be spared.
    Always,
    /// The copy has no holes.
    Never,
}

/// Whether large files go past the page cache (O_DIRECT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direct {
    /// Those that dwarf the memory.
    #[default]
    Auto,
    /// All large files, where the file system can.
    Always,
    /// None.
    Never,
}

/// When the copies are on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// When the system likes.
    #[default]
    Never,
    /// Each file before it gets its name, and each directory when it is done; many are under way
    /// together.
    Files,
    /// Everything at the end, by one request for each file system: faster for many files.
    End,
}

/// Decides what is copied: told the path below its source, and whether it is a directory. What is
/// not wanted is left out; a directory with all that is in it.
///
/// The sources themselves are always copied. It is called on the threads that copy, once or more
/// for each name.
#[derive(Clone)]
pub struct Filter(Arc<Wanted>);

type Wanted = dyn Fn(&Path, bool) -> bool + Send + Sync;

impl Filter {
    /// Copies what `wanted` says true to.
    pub fn new(wanted: impl Fn(&Path, bool) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(wanted))
    }

    pub(super) fn wants(&self, path: &Path, is_directory: bool) -> bool {
        (self.0)(path, is_directory)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}
