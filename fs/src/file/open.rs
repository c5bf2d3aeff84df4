//! How a file is opened.
//!
//! A regular file that is only read and whose path the kernel knows by heart is opened in place,
//! in a fraction of the time that a trip to the pool takes; every other open may wait for a disk,
//! and is made by the pool.

use std::io;
use std::path::Path;

use super::File;
use crate::offload::offload;
use crate::platform;

/// How a file is opened; as [`std::fs::OpenOptions`], by value.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use annulet_fs::OpenOptions;
///
/// let journal = OpenOptions::new()
///     .append(true)
///     .create(true)
///     .open("journal")
///     .await?;
/// journal.append(b"begun\n".to_vec()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct OpenOptions {
    std: std::fs::OpenOptions,
    append: bool,
    /// Nothing was asked for but to read.
    only_reads: bool,
    /// The system's own; none but on Unix.
    flags: i32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// Nothing is allowed yet.
    pub fn new() -> Self {
        Self {
            std: std::fs::OpenOptions::new(),
            append: false,
            only_reads: true,
            flags: 0,
        }
    }

    /// Allows reading.
    pub fn read(mut self, on: bool) -> Self {
        self.std.read(on);
        self
    }

    /// Allows writing.
    pub fn write(mut self, on: bool) -> Self {
        self.std.write(on);
        self.changing()
    }

    /// Allows writing at the end alone, wherever that is at the time: by
    /// [`append`](File::append).
    pub fn append(mut self, on: bool) -> Self {
        self.std.append(on);
        self.append = on;
        self.changing()
    }

    /// Cuts the file to nothing.
    pub fn truncate(mut self, on: bool) -> Self {
        self.std.truncate(on);
        self.changing()
    }

    /// Makes the file if it is missing.
    pub fn create(mut self, on: bool) -> Self {
        self.std.create(on);
        self.changing()
    }

    /// Makes the file, and fails if it is there.
    pub fn create_new(mut self, on: bool) -> Self {
        self.std.create_new(on);
        self.changing()
    }

    fn changing(mut self) -> Self {
        self.only_reads = false;
        self
    }

    /// Opens the file.
    ///
    /// Opening a FIFO waits for its other end, on a thread of the pool: for FIFOs take
    /// `annulet::net::pipe`, which waits without one.
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
    /// Cancel safe: a file that is opened for nobody is closed; one that was asked for may be made.
    ///
    /// # Kernel
    ///
    /// `openat2` with `RESOLVE_CACHED` (Linux 5.12) for files that are only read, where the kernel
    /// knows the path; else `open(2)` on the blocking pool.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        if self.only_reads
            && let Some(file) = platform::open_cached(path)
        {
            return Ok(File::from_std(file));
        }
        let (options, path) = (with_flags(&self.std, self.flags), path.to_owned());
        let file = offload(move || options.open(path)).await?;
        Ok(File::opened(file, self.append))
    }
}

#[cfg(unix)]
fn with_flags(std: &std::fs::OpenOptions, flags: i32) -> std::fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut std = std.clone();
    std.custom_flags(flags);
    std
}

/// Other systems have flags of other kinds, and none are asked for.
#[cfg(not(unix))]
fn with_flags(std: &std::fs::OpenOptions, _none: i32) -> std::fs::OpenOptions {
    std.clone()
}

/// What Unix systems have besides.
#[cfg(unix)]
impl OpenOptions {
    /// The permissions of a file that is made, less the process's mask; 0o666 at first.
    pub fn mode(mut self, mode: u32) -> Self {
        use std::os::unix::fs::OpenOptionsExt;
        self.std.mode(mode);
        self
    }

    /// Adds flags of the system's own, beside those of the methods here.
    pub fn custom_flags(mut self, flags: i32) -> Self {
        self.flags |= flags;
        self.changing()
    }

    fn flag(self, flag: rustix::fs::OFlags) -> Self {
        self.custom_flags(flag.bits().cast_signed())
    }

    /// Fails with `FilesystemLoop` if the last part of the path is a symbolic link.
    pub fn no_follow(self) -> Self {
        self.flag(rustix::fs::OFlags::NOFOLLOW)
    }

    /// Each write ends when it is durable, with the file's metadata.
    pub fn sync(self) -> Self {
        self.flag(rustix::fs::OFlags::SYNC)
    }

    /// Each write ends when it is durable, with the metadata that reading it needs.
    pub fn data_sync(self) -> Self {
        self.flag(rustix::fs::OFlags::DSYNC)
    }
}

#[cfg(not(target_os = "linux"))]
impl OpenOptions {
    /// Opens the file, and says that it does not go past the page cache.
    pub(crate) async fn open_direct(self, path: &Path) -> io::Result<(File, bool)> {
        Ok((self.open(path).await?, false))
    }
}

/// What Linux has besides.
#[cfg(target_os = "linux")]
impl OpenOptions {
    /// Opens the file past the page cache if its file system can do that, and says whether it can.
    pub(crate) async fn open_direct(self, path: &Path) -> io::Result<(File, bool)> {
        match self.clone().direct().open(path).await {
            Ok(file) => Ok((file, true)),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Ok((self.open(path).await?, false))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads and writes go past the page cache (`O_DIRECT`), and want memory, offsets and lengths
    /// aligned as [`direct_alignment`](crate::Metadata::direct_alignment) says.
    /// [`DirectFile`](crate::direct::DirectFile) sees to that by itself.
    pub fn direct(self) -> Self {
        self.flag(rustix::fs::OFlags::DIRECT)
    }

    /// Makes a file without a name in the directory that is given as the path (`O_TMPFILE`). It
    /// is gone when it is closed.
    pub fn unnamed(self) -> Self {
        self.flag(rustix::fs::OFlags::TMPFILE)
    }
}
