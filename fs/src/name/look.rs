//! What a name stands for.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::metadata::{Metadata, Stat};
use crate::offload::offload;
use crate::platform;

async fn look(path: &Path, follow: bool) -> io::Result<Metadata> {
    if let Some(stat) = platform::stat_cached(path, follow) {
        return Ok(Metadata(stat));
    }
    let path = path.to_owned();
    offload(move || Stat::of_path(&path, follow))
        .await
        .map(Metadata)
}

/// The metadata behind a path, through symbolic links.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
///
/// # Kernel
///
/// `openat2` with `RESOLVE_CACHED` (Linux 5.12) and `statx` in place where the kernel knows the
/// path by heart; else `statx(2)` on the blocking pool.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    look(path.as_ref(), true).await
}

/// The metadata of what has this path: of a symbolic link, its own.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
///
/// # Kernel
///
/// As [`metadata`].
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    look(path.as_ref(), false).await
}

/// Whether there is anything behind a path, through symbolic links.
///
/// # Errors
///
/// The system's, where it cannot say: a directory on the way may not be searched.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
///
/// # Kernel
///
/// As [`metadata`].
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    match metadata(path).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where a symbolic link points, as it is written in the link.
///
/// # Errors
///
/// The system's: `InvalidInput` if it is no link.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
///
/// # Kernel
///
/// `readlink(2)` on the blocking pool.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    offload(move || std::fs::read_link(path)).await
}

/// The absolute path of what is there, without symbolic links, `.` and `..`.
///
/// # Errors
///
/// The system's: `NotFound` unless all of it is there.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
///
/// # Kernel
///
/// `realpath(3)` on the blocking pool.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    offload(move || std::fs::canonicalize(path)).await
}
