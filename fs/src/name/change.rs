//! What changes names, and what is known of files by name.
//!
//! Each is one job of the pool. A future that is dropped before its job began has done nothing;
//! after that, the job ends unheard.

use std::fs::Permissions;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::platform::{self, Rename};
use crate::offload::offload;

/// Makes a directory.
///
/// # Errors
///
/// The system's: `AlreadyExists` if anything has the name.
///
/// # Cancel safety
///
/// Not cancel safe: it may be made after the future is dropped.
///
/// # Kernel
///
/// `mkdir(2)` on the blocking pool.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    offload(move || std::fs::create_dir(path)).await
}

/// Makes a directory and those above it that are missing.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Not cancel safe: it may be made after the future is dropped.
///
/// # Kernel
///
/// As [`create_dir`], in one job.
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    offload(move || std::fs::create_dir_all(path)).await
}

/// Removes an empty directory.
///
/// # Errors
///
/// The system's: `DirectoryNotEmpty`, `NotADirectory`.
///
/// # Cancel safety
///
/// Not cancel safe: it may be removed after the future is dropped.
///
/// # Kernel
///
/// `rmdir(2)` on the blocking pool.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    offload(move || std::fs::remove_dir(path)).await
}

/// Removes a name of a file; of a symbolic link, the link. The file itself goes with its last name,
/// once nobody has it open.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Not cancel safe: it may be removed after the future is dropped.
///
/// # Kernel
///
/// `unlink(2)` on the blocking pool.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    offload(move || std::fs::remove_file(path)).await
}

/// Renames a file or directory, over what stands there.
///
/// # Errors
///
/// The system's: `CrossesDevices` if it would have to be copied.
///
/// # Cancel safety
///
/// Not cancel safe: it may be renamed after the future is dropped.
///
/// # Kernel
///
/// `rename(2)` on the blocking pool.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    offload(move || std::fs::rename(from, to)).await
}

/// Renames a file or directory, and says what becomes of what stands there.
///
/// # Errors
///
/// As [`rename`]; `AlreadyExists` where [`Rename::NoReplace`] finds something, `NotFound` where
/// [`Rename::Exchange`] finds nothing; `Unsupported` where the system cannot do it in one step.
///
/// # Cancel safety
///
/// Not cancel safe: it may be renamed after the future is dropped.
///
/// # Kernel
///
/// `renameat2(2)` (Linux 3.15) on the blocking pool.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use annulet_fs::{Rename, rename_with};
///
/// // Both are whole at every moment, and nobody finds either missing.
/// rename_with("live", "staged", Rename::Exchange).await?;
/// # Ok(())
/// # }
/// ```
pub async fn rename_with(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    how: Rename,
) -> io::Result<()> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    offload(move || platform::rename_as(&from, &to, how)).await
}

/// Gives a file one more name. Of a symbolic link, the link gets it.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Not cancel safe: it may be made after the future is dropped.
///
/// # Kernel
///
/// `linkat(2)` on the blocking pool.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    offload(move || std::fs::hard_link(original, link)).await
}

/// Makes a symbolic link that points to `target`, which need not be there.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Not cancel safe: it may be made after the future is dropped.
///
/// # Kernel
///
/// `symlink(2)` on the blocking pool.
#[cfg(unix)]
pub async fn symlink(target: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (target, link) = (target.as_ref().to_owned(), link.as_ref().to_owned());
    offload(move || std::os::unix::fs::symlink(target, link)).await
}

/// Makes a symbolic link to a file, which need not be there.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Not cancel safe: it may be made after the future is dropped.
#[cfg(windows)]
pub async fn symlink_file(target: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (target, link) = (target.as_ref().to_owned(), link.as_ref().to_owned());
    offload(move || std::os::windows::fs::symlink_file(target, link)).await
}

/// Makes a symbolic link to a directory, which need not be there.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Not cancel safe: it may be made after the future is dropped.
#[cfg(windows)]
pub async fn symlink_dir(target: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (target, link) = (target.as_ref().to_owned(), link.as_ref().to_owned());
    offload(move || std::os::windows::fs::symlink_dir(target, link)).await
}

/// Sets who may do what with the file behind a path.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Not cancel safe: they may be set after the future is dropped.
///
/// # Kernel
///
/// `chmod(2)` on the blocking pool.
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    offload(move || std::fs::set_permissions(path, permissions)).await
}

/// Sets when the file behind a path was last read and when it was last changed; `None` leaves
/// that time as it is.
///
/// # Errors
///
/// The system's. `InvalidInput` for a time that the system cannot tell.
///
/// # Cancel safety
///
/// Not cancel safe: they may be set after the future is dropped.
///
/// # Kernel
///
/// `utimensat(2)` on the blocking pool.
pub async fn set_times(
    path: impl AsRef<Path>,
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    offload(move || platform::set_times(&path, accessed, modified)).await
}

/// Gives the file behind a path to a user, a group, or both; `None` leaves that as it is.
///
/// # Errors
///
/// The system's: `PermissionDenied` for all but the administrator, with few exceptions.
///
/// # Cancel safety
///
/// Not cancel safe: it may be given after the future is dropped.
///
/// # Kernel
///
/// `chown(2)` on the blocking pool.
#[cfg(unix)]
pub async fn chown(
    path: impl AsRef<Path>,
    user: Option<u32>,
    group: Option<u32>,
) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    offload(move || std::os::unix::fs::chown(path, user, group)).await
}

/// As [`chown`], but of a symbolic link the link itself.
///
/// # Errors
///
/// As [`chown`].
///
/// # Cancel safety
///
/// Not cancel safe: it may be given after the future is dropped.
///
/// # Kernel
///
/// `lchown(2)` on the blocking pool.
#[cfg(unix)]
pub async fn lchown(
    path: impl AsRef<Path>,
    user: Option<u32>,
    group: Option<u32>,
) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    offload(move || std::os::unix::fs::lchown(path, user, group)).await
}
