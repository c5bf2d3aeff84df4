//! The file system that holds a file.

use std::io;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::platform::kind_of_file_system;
use crate::offload::offload;

/// What is known of a file system, as of one moment.
///
/// Sizes are in bytes. File systems that make inodes as they need them say 0 inodes in all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSystem {
    /// The system's number for its type, as `0xEF53` for ext4; on Linux alone.
    pub kind: Option<u64>,
    /// The size in which it hands out space, in bytes.
    pub block_bytes: u64,
    /// All its space.
    pub total_bytes: u64,
    /// The space that is not used.
    pub free_bytes: u64,
    /// The space that is not used and not kept for the administrator.
    pub available_bytes: u64,
    /// All its inodes.
    pub inodes: u64,
    /// The inodes that are not used.
    pub inodes_free: u64,
    /// The inodes that are not used and not kept for the administrator.
    pub inodes_available: u64,
    /// How long a name may be, in bytes.
    pub name_bytes_max: u64,
    /// Whether nothing can be changed on it.
    pub read_only: bool,
}

/// What is known of the file system that holds a file.
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
/// `statfs(2)`, also by way of `statvfs(3)`, on the blocking pool.
///
/// # Examples
///
/// ```
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let file_system = annulet_fs::statfs(".").await?;
/// assert!(file_system.available_bytes <= file_system.total_bytes);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn statfs(path: impl AsRef<Path>) -> io::Result<FileSystem> {
    let path = path.as_ref().to_owned();
    offload(move || look(&path)).await
}

fn look(path: &Path) -> io::Result<FileSystem> {
    let stat = statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(FileSystem {
        kind: kind_of_file_system(path)?,
        block_bytes: stat.f_frsize,
        total_bytes: bytes(stat.f_blocks),
        free_bytes: bytes(stat.f_bfree),
        available_bytes: bytes(stat.f_bavail),
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
        inodes_available: stat.f_favail,
        name_bytes_max: stat.f_namemax,
        read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}
