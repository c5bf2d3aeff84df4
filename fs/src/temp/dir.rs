//! A directory under a name that nobody guesses.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::doomed::Doomed;
use super::name::make_new;
use super::platform;
use crate::offload::offload;

/// A directory for a while. It is removed with all that is in it when this is dropped or
/// [closed](Self::close).
///
/// # Examples
///
/// ```
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let folder = annulet_fs::temp_dir().await?;
/// annulet_fs::write(folder.path().join("notes"), b"for now".to_vec()).await?;
/// folder.close().await?;
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TempDir(Doomed);

impl fmt::Debug for TempDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TempDir").field(&self.path()).finish()
    }
}

/// Makes a directory under a random name in the directory for temporary files
/// ([`std::env::temp_dir`]), for its owner alone.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Cancel safe: a directory that was made for nobody is removed.
///
/// # Kernel
///
/// `mkdir(2)` with mode 0700 on the blocking pool; the name is from `getrandom(2)`.
pub async fn temp_dir() -> io::Result<TempDir> {
    temp_dir_in(std::env::temp_dir()).await
}

/// As [`temp_dir`], in another directory.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Cancel safe: a directory that was made for nobody is removed.
///
/// # Kernel
///
/// As [`temp_dir`].
pub async fn temp_dir_in(dir: impl AsRef<Path>) -> io::Result<TempDir> {
    let dir = dir.as_ref().to_owned();
    let made = offload(move || {
        let (path, ()) = make_new(&dir, platform::create_dir)?;
        Ok(Doomed::dir(path))
    });
    made.await.map(TempDir)
}

impl TempDir {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Keeps the directory, and gives its path.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.0.keep()
    }

    /// Removes the directory with all that is in it, and says what came of that.
    ///
    /// # Errors
    ///
    /// As [`remove_dir_all`](crate::remove_dir_all).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is removed in any case.
    ///
    /// # Kernel
    ///
    /// As [`remove_dir_all`](crate::remove_dir_all), in one job.
    pub async fn close(self) -> io::Result<()> {
        offload(move || self.0.remove()).await
    }
}
