//! An open directory as a place to work in, from which nothing leads out.
//!
//! It is one descriptor, shared by those who have it and the jobs under way. Each operation is one
//! job of the pool, which finds the path ([`beneath`](super::beneath)) and does the call.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};

use super::beneath::{self, holder};
use super::list::{Batch, ReadDir};
use super::platform::{Folder, Listing};
use crate::file::{File, OpenOptions};
use crate::metadata::{Metadata, Stat};
use crate::offload::offload;

/// An open directory. Paths given to it are looked up inside it, and nothing leads out: not `..`,
/// not an absolute path, not a symbolic link, also if others change the tree meanwhile. Links that
/// stay inside are followed, as anywhere.
///
/// What leads out is refused with `PermissionDenied`. The directory stays the same if it is renamed.
/// Clones are the same directory, and may go to other shards.
///
/// # Examples
///
/// ```
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// use annulet_fs::{Dir, OpenOptions};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path();
/// let uploads = Dir::open(path).await?;
/// let write = OpenOptions::new().write(true).create_new(true);
/// let file = uploads.open_file("portrait.png", &write).await?;
/// file.close().await?;
/// uploads.sync().await?;
/// assert!(uploads.metadata("../../etc/passwd").await.is_err());
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Dir(Arc<OwnedFd>);

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dir").field(&self.0).finish()
    }
}

/// To ask for what there is no method for, as a descriptor opened with `O_PATH`.
impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Dir {
    /// Opens a directory by its path, which may lead anywhere.
    ///
    /// # Errors
    ///
    /// The system's: `NotADirectory` if it is none.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// `open(2)` with `O_PATH` on the blocking pool.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        offload(move || {
            let dir = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
            Ok(Self(Arc::new(dir)))
        })
        .await
    }

    /// Does something with a path in here, on the pool.
    async fn with<T: Send + 'static>(
        &self,
        path: &Path,
        call: impl FnOnce(&OwnedFd, &Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (dir, path) = (Arc::clone(&self.0), path.to_owned());
        offload(move || call(&dir, &path)).await
    }

    /// Opens or makes a file in here.
    ///
    /// # Errors
    ///
    /// The system's; `PermissionDenied` if the path leads out.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a file that is opened for nobody is closed; one that was asked for may be made.
    ///
    /// # Kernel
    ///
    /// `openat2` with `RESOLVE_BENEATH` (Linux 5.6) on the blocking pool; else `openat` with
    /// `O_NOFOLLOW` for each part of the path.
    pub async fn open_file(
        &self,
        path: impl AsRef<Path>,
        options: &OpenOptions,
    ) -> io::Result<File> {
        let (flags, mode) = options.system()?;
        let opened = self.with(path.as_ref(), move |dir, path| {
            beneath::open(dir, path, flags, mode)
        });
        Ok(options.opened(opened.await?.into()))
    }

    /// Opens a directory in here. From it, nothing leads out of that.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// As [`open_file`](Self::open_file).
    pub async fn open_dir(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        self.with(path.as_ref(), |dir, path| {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let dir = beneath::open(dir, path, flags, Mode::empty())?;
            Ok(Self(Arc::new(dir)))
        })
        .await
    }

    /// Lists a directory in here; `.` is this one. The paths of the entries begin with `path`.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// As [`open_file`](Self::open_file), and `getdents64(2)`.
    pub async fn read_dir(&self, path: impl AsRef<Path>) -> io::Result<ReadDir> {
        let listed = self.with(path.as_ref(), |dir, path| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let dir = Arc::new(beneath::open(dir, path, flags, Mode::empty())?);
            let folder = Folder::new(path.to_owned(), Arc::clone(&dir), PathBuf::new());
            Ok((folder, Batch::read(Listing::new(dir))?))
        });
        let (folder, batch) = listed.await?;
        Ok(ReadDir::begin(folder, batch))
    }

    /// The metadata behind a path in here, through symbolic links; of this directory itself, by
    /// `.`.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// As [`open_file`](Self::open_file), with `O_PATH`, and `statx(2)`.
    pub async fn metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        self.with(path.as_ref(), |dir, path| look(dir, path, OFlags::empty()))
            .await
    }

    /// The metadata of what has a path in here: of a symbolic link, its own.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// As [`metadata`](Self::metadata).
    pub async fn symlink_metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        self.with(path.as_ref(), |dir, path| look(dir, path, OFlags::NOFOLLOW))
            .await
    }

    /// Where a symbolic link in here points, as it is written in the link: also to the outside.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file); `InvalidInput` if it is no link.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// As [`open_file`](Self::open_file) for the directory that holds it, and `readlinkat(2)`.
    pub async fn read_link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        self.with(path.as_ref(), |dir, path| {
            let (holder, name) = holder(dir, path)?;
            let target = rustix::fs::readlinkat(holder, name, Vec::new())?;
            let target = std::os::unix::ffi::OsStringExt::from_vec(target.into_bytes());
            Ok(std::ffi::OsString::into(target))
        })
        .await
    }

    /// Makes a directory in here.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file); `AlreadyExists` if anything has the name.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be made after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`open_file`](Self::open_file) for the directory that holds it, and `mkdirat(2)`.
    pub async fn create_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.with(path.as_ref(), |dir, path| {
            let (holder, name) = holder(dir, path)?;
            Ok(rustix::fs::mkdirat(
                holder,
                name,
                Mode::from_raw_mode(0o777),
            )?)
        })
        .await
    }

    /// Removes a file in here; of a symbolic link, the link.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be removed after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`open_file`](Self::open_file) for the directory that holds it, and `unlinkat(2)`.
    pub async fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.remove(path.as_ref(), AtFlags::empty()).await
    }

    /// Removes an empty directory in here.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file); `DirectoryNotEmpty`.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be removed after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`remove_file`](Self::remove_file).
    pub async fn remove_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.remove(path.as_ref(), AtFlags::REMOVEDIR).await
    }

    async fn remove(&self, path: &Path, flags: AtFlags) -> io::Result<()> {
        self.with(path, move |dir, path| {
            let (holder, name) = holder(dir, path)?;
            Ok(rustix::fs::unlinkat(holder, name, flags)?)
        })
        .await
    }

    /// Makes a symbolic link in here, which says `target`. That may be anything; what it leads to
    /// is only found from here if it is in here.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file); `AlreadyExists` if anything has the name.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be made after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`open_file`](Self::open_file) for the directory that holds it, and `symlinkat(2)`.
    pub async fn symlink(
        &self,
        target: impl AsRef<Path>,
        link: impl AsRef<Path>,
    ) -> io::Result<()> {
        let target = target.as_ref().to_owned();
        self.with(link.as_ref(), move |dir, link| {
            let (holder, name) = holder(dir, link)?;
            Ok(rustix::fs::symlinkat(target, holder, name)?)
        })
        .await
    }

    /// Renames a file or directory in here to a path in `to`, over what stands there.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file), about either path.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be renamed after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`open_file`](Self::open_file) for the directories that hold them, and `renameat(2)`.
    pub async fn rename(
        &self,
        from: impl AsRef<Path>,
        to: &Self,
        new: impl AsRef<Path>,
    ) -> io::Result<()> {
        let (to, new) = (Arc::clone(&to.0), new.as_ref().to_owned());
        self.with(from.as_ref(), move |dir, from| {
            let (from, old_name) = holder(dir, from)?;
            let (to, new_name) = holder(&to, &new)?;
            let flags = RenameFlags::empty();
            Ok(rustix::fs::renameat_with(
                from, old_name, to, new_name, flags,
            )?)
        })
        .await
    }

    /// Gives a file in here one more name, in `to`. Of a symbolic link, the link gets it.
    ///
    /// # Errors
    ///
    /// As [`open_file`](Self::open_file), about either path.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be made after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`open_file`](Self::open_file) for the directories that hold them, and `linkat(2)`.
    pub async fn hard_link(
        &self,
        original: impl AsRef<Path>,
        to: &Self,
        link: impl AsRef<Path>,
    ) -> io::Result<()> {
        let (to, link) = (Arc::clone(&to.0), link.as_ref().to_owned());
        self.with(original.as_ref(), move |dir, original| {
            let (from, name) = holder(dir, original)?;
            let (to, link) = holder(&to, &link)?;
            Ok(rustix::fs::linkat(from, name, to, link, AtFlags::empty())?)
        })
        .await
    }

    /// Makes the names in this directory durable: what was made, renamed or removed in it.
    ///
    /// # Errors
    ///
    /// The system's: the names may be lost then.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: they are durable or not.
    ///
    /// # Kernel
    ///
    /// `fsync(2)` on the blocking pool.
    pub async fn sync(&self) -> io::Result<()> {
        self.with(Path::new("."), |dir, path| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = rustix::fs::openat(dir, path, flags, Mode::empty())?;
            Ok(rustix::fs::fsync(dir)?)
        })
        .await
    }
}

/// What is known of a path inside a directory.
fn look(dir: &OwnedFd, path: &Path, follow: OFlags) -> io::Result<Metadata> {
    let found = beneath::open(dir, path, OFlags::PATH | follow, Mode::empty())?;
    Stat::of_file(found).map(Metadata)
}
