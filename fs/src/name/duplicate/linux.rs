//! Linux: shared blocks, else inside the kernel, else through memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::io::Errno;

use super::refused;
use crate::name::platform::{LOOK, open_to_look};
use crate::platform;

/// How much the kernel is asked to copy in one call.
const CALL_BYTES: usize = 8 << 20;
/// The buffer where the kernel does not copy by itself.
const BUFFER_BYTES: usize = 128 << 10;

/// How the bytes get from one file to the other.
#[derive(PartialEq, Eq)]
enum Road {
    /// The kernel copies by itself.
    Inside,
    /// They are read and written, from where the files' cursors are.
    Memory,
    /// They are there.
    Over,
}

/// A copy under way.
pub(super) struct Copying {
    from: File,
    to: File,
    copied: u64,
    road: Road,
}

impl Copying {
    /// Opens both files, and shares the blocks if that can be.
    pub(super) fn begin(from: &Path, to: &Path) -> io::Result<Self> {
        let from = open_to_look(from)?;
        let source = from.metadata()?;
        if !source.is_file() {
            return Err(refused("only a regular file is copied"));
        }
        // Not cut before it is known to be another file, nor open to more people than the source.
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(false);
        let to = how.mode(0o600).custom_flags(LOOK).open(to)?;
        let there = to.metadata()?;
        if (source.dev(), source.ino()) == (there.dev(), there.ino()) {
            return Err(refused("a file is not copied onto itself"));
        }
        if there.file_type().is_fifo() {
            return Err(refused("nothing is copied into a FIFO"));
        }
        let mut copying = Self {
            from,
            to,
            copied: 0,
            road: Road::Memory,
        };
        if there.is_file() {
            copying.to.set_len(0)?;
            copying.to.set_permissions(source.permissions())?;
            copying.road = copying.share()?;
        }
        Ok(copying)
    }

    /// Lets both have the same blocks, if the file system can.
    fn share(&mut self) -> io::Result<Road> {
        if !platform::share(&self.from, &self.to)? {
            return Ok(Road::Inside);
        }
        self.copied = self.to.metadata()?.len();
        // A file that is made up as it is read has no blocks to share.
        Ok(if self.copied == 0 {
            Road::Memory
        } else {
            Road::Over
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.road == Road::Over
    }

    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    /// Copies so many bytes, or a few more.
    pub(super) fn step(mut self, bytes: u64) -> io::Result<Self> {
        let until = self.copied.saturating_add(bytes);
        let mut buffer = Vec::new();
        while self.copied < until && self.road != Road::Over {
            let copied = match self.road {
                Road::Inside => self.copy_inside()?,
                _ => self.copy_through(&mut buffer)?,
            };
            self.copied += u64::try_from(copied).expect("no call copies 2^64 bytes");
        }
        Ok(self)
    }

    /// One call of the kernel's own copy. Where it says "nothing", a read has the last word: it
    /// says so too of files that are made up as they are read, as under `/proc`.
    fn copy_inside(&mut self) -> io::Result<usize> {
        let at = self.copied;
        match platform::copy_range(&self.from, at, &self.to, at, CALL_BYTES) {
            Ok(0) => {}
            Ok(copied) => return Ok(copied),
            Err(error) if Errno::from_io_error(&error).is_some_and(platform::is_final) => {
                return Err(error);
            }
            Err(_cannot) => {}
        }
        self.from.seek(SeekFrom::Start(at))?;
        self.to.seek(SeekFrom::Start(at))?;
        self.road = Road::Memory;
        Ok(0)
    }

    /// One buffer's worth through memory.
    fn copy_through(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.resize(BUFFER_BYTES, 0);
        let read = match self.from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            read => read?,
        };
        self.to.write_all(&buffer[..read])?;
        if read == 0 {
            self.road = Road::Over;
        }
        Ok(read)
    }
}
