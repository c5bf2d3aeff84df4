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
    asked: Asked,
    /// Nothing was asked for but to read.
    only_reads: bool,
    own: Own,
}

/// What every system has.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
}

impl Asked {
    fn std(self) -> std::fs::OpenOptions {
        let mut std = std::fs::OpenOptions::new();
        std.read(self.read).write(self.write).append(self.append);
        std.truncate(self.truncate)
            .create(self.create)
            .create_new(self.create_new);
        std
    }
}

/// What Unix has besides.
#[cfg(unix)]
#[derive(Clone, Copy, Debug)]
struct Own {
    flags: i32,
    mode: u32,
}

#[cfg(unix)]
impl Default for Own {
    fn default() -> Self {
        Self {
            flags: 0,
            mode: 0o666,
        }
    }
}

#[cfg(unix)]
impl Own {
    fn add_to(self, std: &mut std::fs::OpenOptions) {
        use std::os::unix::fs::OpenOptionsExt;
        std.mode(self.mode).custom_flags(self.flags);
    }
}

/// Other systems have nothing besides.
#[cfg(not(unix))]
#[derive(Clone, Copy, Debug, Default)]
struct Own;

#[cfg(not(unix))]
impl Own {
    fn add_to(self, _std: &mut std::fs::OpenOptions) {}
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
            asked: Asked::default(),
            only_reads: true,
            own: Own::default(),
        }
    }

    /// Allows reading.
    pub fn read(mut self, on: bool) -> Self {
        self.asked.read = on;
        self
    }

    /// Allows writing.
    pub fn write(mut self, on: bool) -> Self {
        self.asked.write = on;
        self.changing()
    }

    /// Allows writing at the end alone, wherever that is at the time: by
    /// [`append`](File::append).
    pub fn append(mut self, on: bool) -> Self {
        self.asked.append = on;
        self.changing()
    }

    /// Cuts the file to nothing.
    pub fn truncate(mut self, on: bool) -> Self {
        self.asked.truncate = on;
        self.changing()
    }

    /// Makes the file if it is missing.
    pub fn create(mut self, on: bool) -> Self {
        self.asked.create = on;
        self.changing()
    }

    /// Makes the file, and fails if it is there.
    pub fn create_new(mut self, on: bool) -> Self {
        self.asked.create_new = on;
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
        let (options, path) = (self.std(), path.to_owned());
        let file = offload(move || options.open(path)).await?;
        Ok(self.opened(file))
    }

    fn std(&self) -> std::fs::OpenOptions {
        let mut std = self.asked.std();
        self.own.add_to(&mut std);
        std
    }

    /// What was opened with these options.
    pub(crate) fn opened(&self, file: std::fs::File) -> File {
        File::opened(file, self.asked.append)
    }
}

/// What Unix systems have besides.
#[cfg(unix)]
impl OpenOptions {
    /// The permissions of a file that is made, less the process's mask; 0o666 at first.
    pub fn mode(mut self, mode: u32) -> Self {
        self.own.mode = mode;
        self
    }

    /// Adds flags of the system's own, beside those of the methods here.
    pub fn custom_flags(mut self, flags: i32) -> Self {
        self.own.flags |= flags;
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

    /// What they are in the kernel's words; as the standard library has it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what contradicts itself.
    pub(crate) fn system(&self) -> io::Result<(rustix::fs::OFlags, rustix::fs::Mode)> {
        use rustix::fs::{Mode, OFlags};
        let asked = self.asked;
        let mut flags = match (asked.read, asked.write || asked.append) {
            (true, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
            (false, false) => return Err(rustix::io::Errno::INVAL.into()),
        };
        let changes = asked.truncate || asked.create || asked.create_new;
        let cuts = asked.append && asked.truncate && !asked.create_new;
        if cuts || changes && !(asked.write || asked.append) {
            return Err(rustix::io::Errno::INVAL.into());
        }
        flags.set(OFlags::APPEND, asked.append);
        flags.set(OFlags::CREATE, asked.create || asked.create_new);
        flags.set(OFlags::EXCL, asked.create_new);
        flags.set(OFlags::TRUNC, asked.truncate && !asked.create_new);
        let custom = OFlags::from_bits_retain(self.own.flags.cast_unsigned()) - OFlags::RWMODE;
        Ok((flags | custom, Mode::from_bits_truncate(self.own.mode)))
    }
}
