//! Many names at once.
//!
//! The calls themselves take a microsecond or so where the kernel has what they need, ten times
//! less than handing one over, to the pool as to a ring. So a job takes a chunk of names, and a few
//! jobs are under way: together they go to the disk for as many things as there are jobs.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use annulet_runtime::stream::{StreamExt, iter};

use super::platform::open_to_look;
use crate::metadata::{Metadata, Stat};
use crate::offload::offload;

/// Names that one job looks up.
const NAMES: usize = 64;
/// Files that one job reads.
const FILES: usize = 16;
/// Jobs under way at once.
const JOBS: usize = 8;

/// Does the same with each path, so many in a job, and gives the answers in the order of the paths.
async fn each<T: Send + 'static>(
    paths: impl IntoIterator<Item = impl AsRef<Path>>,
    chunk: usize,
    call: fn(&Path) -> io::Result<T>,
) -> io::Result<Vec<io::Result<T>>> {
    let paths = paths.into_iter().map(|path| path.as_ref().to_owned());
    let paths: Vec<PathBuf> = paths.collect();
    let chunks: Vec<Vec<PathBuf>> = paths.chunks(chunk).map(<[PathBuf]>::to_vec).collect();
    let mut jobs = iter(chunks)
        .map(|chunk| offload(move || Ok(chunk.iter().map(|path| call(path)).collect())))
        .buffered(JOBS);
    let mut answers = Vec::with_capacity(paths.len());
    while let Some(chunk) = jobs.next().await {
        let chunk: Vec<io::Result<T>> = chunk?;
        answers.extend(chunk);
    }
    Ok(answers)
}

/// The metadata behind each of these paths, through symbolic links, in their order.
///
/// # Errors
///
/// Each path has an answer of its own. All fail together only if the pool takes no more calls.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
///
/// # Kernel
///
/// `statx(2)` on the blocking pool, 64 in a job and 8 jobs at once.
///
/// # Examples
///
/// ```
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let found = annulet_fs::stat_many(["Cargo.toml", "missing"]).await?;
/// assert!(found[0].as_ref().is_ok_and(|metadata| metadata.is_file()));
/// assert!(found[1].is_err());
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn stat_many(
    paths: impl IntoIterator<Item = impl AsRef<Path>>,
) -> io::Result<Vec<io::Result<Metadata>>> {
    each(paths, NAMES, |path| Stat::of_path(path, true).map(Metadata)).await
}

/// The bytes of each of these files, in their order. They are all in memory at the end.
///
/// # Errors
///
/// Each path has an answer of its own: `InvalidInput` for what is no regular file, as that could
/// wait for ever. All fail together only if the pool takes no more calls.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
///
/// # Kernel
///
/// `open(2)`, `read(2)`, `close(2)` on the blocking pool, 16 files in a job and 8 jobs at once.
pub async fn read_many(
    paths: impl IntoIterator<Item = impl AsRef<Path>>,
) -> io::Result<Vec<io::Result<Vec<u8>>>> {
    each(paths, FILES, read_regular).await
}

fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_to_look(path)?;
    if !file.metadata()?.is_file() {
        let why = "only regular files are read in numbers";
        return Err(io::Error::new(ErrorKind::InvalidInput, why));
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut &file, &mut bytes)?;
    Ok(bytes)
}
