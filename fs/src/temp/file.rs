//! A file under a name that nobody guesses, to be put into place when it is whole.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

use super::doomed::Doomed;
use super::name::make_new;
use super::platform;
use crate::file::File;
use crate::name::{Rename, rename_as};
use crate::offload::offload;

/// A file under a name of its own, which is removed with it unless it is
/// [persisted](Self::persist).
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// // Readers of `settings` see the old or the new, and nothing between.
/// let new = annulet_fs::named_temp_file_in(".").await?;
/// new.file().write_all_at(b"colour = blue\n".to_vec(), 0).await?;
/// new.file().sync_all().await?;
/// new.persist("settings").await?.close().await?;
/// # Ok(())
/// # }
/// ```
pub struct NamedTempFile {
    file: File,
    name: Doomed,
}

impl fmt::Debug for NamedTempFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedTempFile")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// Makes a file under a random name in the directory for temporary files
/// ([`std::env::temp_dir`]), to be written and read by its owner alone.
///
/// # Errors
///
/// The system's.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: a file that was made for nobody is removed.
///
/// # Kernel
///
/// `open(2)` with `O_CREAT`, `O_EXCL` and mode 0600 on the blocking pool; the name is from
/// `getrandom(2)`.
pub async fn named_temp_file() -> io::Result<NamedTempFile> {
    named_temp_file_in(std::env::temp_dir()).await
}

/// As [`named_temp_file`], in another directory: that of the place it is meant for, as files are not
/// renamed from one file system to another.
///
/// # Errors
///
/// The system's.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: a file that was made for nobody is removed.
///
/// # Kernel
///
/// As [`named_temp_file`].
pub async fn named_temp_file_in(dir: impl AsRef<Path>) -> io::Result<NamedTempFile> {
    let dir = dir.as_ref().to_owned();
    let (name, file) = offload(move || {
        let (path, file) = make_new(&dir, platform::create_file)?;
        Ok((Doomed::file(path), file))
    })
    .await?;
    let file = File::from_std(file);
    Ok(NamedTempFile { file, name })
}

impl NamedTempFile {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.name.path()
    }

    /// Gives it this path, over what stands there, and keeps it. Whoever looks sees what was there
    /// or all of this. That it outlives a crash, [`sync_all`](File::sync_all) before this and a
    /// sync of the directory after it say.
    ///
    /// # Errors
    ///
    /// The system's, with the file: `CrossesDevices` if it was made on another file system.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it has the new name, or is removed.
    ///
    /// # Kernel
    ///
    /// `rename(2)` on the blocking pool.
    pub async fn persist(self, path: impl AsRef<Path>) -> Result<File, PersistError> {
        self.put(path.as_ref(), |from, to| {
            rename_as(from, to, Rename::Replace)
        })
        .await
    }

    /// As [`persist`](Self::persist), but fails with `AlreadyExists` if anything has the path.
    ///
    /// # Errors
    ///
    /// As [`persist`](Self::persist).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it has the new name, or is removed.
    ///
    /// # Kernel
    ///
    /// `renameat2(2)` with `RENAME_NOREPLACE` (Linux 3.15) on the blocking pool; where that is
    /// missing, `link(2)` and then `unlink(2)`.
    pub async fn persist_new(self, path: impl AsRef<Path>) -> Result<File, PersistError> {
        self.put(path.as_ref(), |from, to| {
            match rename_as(from, to, Rename::NoReplace) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    std::fs::hard_link(from, to)?;
                    // It is in its place; the other name is only one too many.
                    let _ = std::fs::remove_file(from);
                    Ok(())
                }
                renamed => renamed,
            }
        })
        .await
    }

    async fn put(
        self,
        path: &Path,
        rename: fn(&Path, &Path) -> io::Result<()>,
    ) -> Result<File, PersistError> {
        let Self { file, name } = self;
        let path = path.to_owned();
        let put = offload(move || {
            Ok(match rename(name.path(), &path) {
                Ok(()) => {
                    name.keep();
                    Ok(())
                }
                Err(error) => Err((error, name)),
            })
        });
        let (error, file) = match put.await {
            Ok(Ok(())) => return Ok(file),
            Ok(Err((error, name))) => (error, Some(Self { file, name })),
            // The pool took no more, and the name went with the job.
            Err(error) => (error, None),
        };
        Err(PersistError { error, file })
    }

    /// Closes the file and removes it, and says what that said.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is closed and removed in any case.
    ///
    /// # Kernel
    ///
    /// `close(2)` and `unlink(2)` on the blocking pool.
    pub async fn close(self) -> io::Result<()> {
        let Self { file, name } = self;
        let closed = file.close().await;
        offload(move || name.remove()).await?;
        closed
    }
}

/// A file that could not be put into place.
#[derive(Debug)]
#[non_exhaustive]
pub struct PersistError {
    /// Why.
    pub error: io::Error,
    /// The file, still under its own name; `None` if it is removed because the pool takes no more
    /// calls.
    pub file: Option<NamedTempFile>,
}

impl fmt::Display for PersistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a temporary file stays temporary: {}", self.error)
    }
}

impl Error for PersistError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// Without the file, which is removed.
impl From<PersistError> for io::Error {
    fn from(error: PersistError) -> Self {
        error.error
    }
}
