//! Names and directories: calls on the blocking pool, and whole-file helpers.
//!
//! A lone metadata call through a ring costs several times the call itself, because the kernel
//! hands it to a worker of its own; the pool does the same for less.

use std::io;
use std::path::{Path, PathBuf};

use annulet_runtime::buf::BufError;

use crate::file::File;
use crate::metadata::{Metadata, Stat};
use crate::offload::offload;
use crate::platform;

/// The bytes of a file, to its end; also of files that claim to be empty, as under `/proc`.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = File::open(path).await?;
    let (_, bytes) = file.read_to_end_at(Vec::new(), 0).await?;
    Ok(bytes)
}

/// Writes a file anew with these bytes and gives the buffer back.
///
/// # Errors
///
/// The system's, with the buffer.
///
/// # Cancel safety
///
/// Not cancel safe: the file may be left with a part of the bytes.
pub async fn write<B: annulet_runtime::buf::IoBuf>(
    path: impl AsRef<Path>,
    bytes: B,
) -> Result<B, BufError<B>> {
    let file = match File::create(path).await {
        Ok(file) => file,
        Err(error) => return Err(BufError::new(error, bytes, 0)),
    };
    let ((), bytes) = file.write_all_at(bytes, 0).await?;
    match file.close().await {
        Ok(()) => Ok(bytes),
        Err(error) => {
            let done = bytes.bytes_init();
            Err(BufError::new(error, bytes, done))
        }
    }
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
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    offload(move || std::fs::create_dir_all(path)).await
}

/// The paths in a directory, in no promised order.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    let path = path.as_ref().to_owned();
    offload(move || {
        std::fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    })
    .await
}

/// Removes a file.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Not cancel safe: it may be removed after the future is dropped.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    offload(move || std::fs::remove_file(path)).await
}

/// Renames a file or directory, over what stands there.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Not cancel safe: it may be renamed after the future is dropped.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    offload(move || std::fs::rename(from, to)).await
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
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    if let Some(stat) = platform::stat_cached(path, true) {
        return Ok(Metadata(stat));
    }
    let path = path.to_owned();
    offload(move || Stat::of_path(&path, true))
        .await
        .map(Metadata)
}
