//! A file without a name, which is gone when it is closed.

use std::io;
use std::path::Path;

use super::platform;
use crate::file::File;
use crate::offload::offload;

/// A file without a name, to be written and read, in the directory for temporary files
/// ([`std::env::temp_dir`]). It is gone when it is closed, also by the death of the process.
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
/// Cancel safe: a file that was made for nobody is gone.
///
/// # Kernel
///
/// `open(2)` with `O_TMPFILE` (Linux 3.11) on the blocking pool; on file systems without, a file
/// under a random name that is removed at once.
///
/// # Examples
///
/// ```
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let scratch = annulet_fs::tempfile().await?;
/// scratch.write_all_at(b"not to be kept".to_vec(), 0).await?;
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn tempfile() -> io::Result<File> {
    tempfile_in(std::env::temp_dir()).await
}

/// As [`tempfile`], in another directory.
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
/// Cancel safe: a file that was made for nobody is gone.
///
/// # Kernel
///
/// As [`tempfile`].
pub async fn tempfile_in(dir: impl AsRef<Path>) -> io::Result<File> {
    let dir = dir.as_ref().to_owned();
    let file = offload(move || platform::unnamed(&dir)).await?;
    Ok(File::from_std(file))
}
