//! Files past the page cache: `O_DIRECT`, with everything it asks for done for the user.
//!
//! The device reads and writes memory itself, so memory, offsets and lengths must suit it. What it
//! wants is asked of the file (`statx`). Any range is read by reading the blocks around it; any
//! range is written by writing whole blocks, where those at the ends are read first, and what the
//! last one adds behind the end of the file is cut off again.
//!
//! - [`DirectFile`]: reads and writes at any offset.
//! - [`DirectReader`]: front to back, with reads under way ahead of the reader.
//! - [`DirectWriter`]: front to back, with writes under way behind the writer, told in order.
//!
//! Buffers are of the shard's own memory for this, which its ring knows by numbers
//! ([`Driver::registered_buffer`](annulet_runtime::Driver::registered_buffer)), and go back there.
//!
//! Blocks at the ends of writes are read, changed and written, and the file cut to its length: one
//! such write at a time, by the file's lock, and no other beside it, since the cut would take what
//! that adds behind. Writes of whole blocks share the lock. Whoever writes through another handle is
//! not seen; nor is a [`DirectWriter`], which alone says how long its file is.

mod reader;
mod writer;

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::ops::{Deref, Range};
use std::path::Path;

use annulet_runtime::buf::Registered;
use annulet_runtime::op::{Op, ReadAt, WriteAt};
use annulet_runtime::sync::RwLock;

use crate::file::{File, OpenOptions};

pub use reader::DirectReader;
use writer::BlockWrite;
pub use writer::DirectWriter;

/// Bytes of one request, at most.
const REQUEST_BYTES: usize = 1 << 20;
/// Requests of a reader or writer under way at once.
const DEPTH: usize = 4;
/// Bytes of each.
const CHUNK_BYTES: usize = 256 * 1024;
/// What blocks are taken to be where the kernel does not say: a page suits every device in use.
const ASSUMED_BYTES: u32 = 4096;

/// A file that is read and written past the page cache.
///
/// For data that is large and read once, or that the program caches itself: it costs a fraction of
/// the CPU time and leaves the cache to others. Where the file system cannot do it, the same calls
/// go through the cache, and [`is_direct`](Self::is_direct) says so.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use annulet_fs::direct::DirectFile;
///
/// let table = DirectFile::open("table").await?;
/// let row = table.read_at(1_234_567, 100).await?;
/// assert_eq!(row.len(), 100);
/// # Ok(())
/// # }
/// ```
pub struct DirectFile {
    file: File,
    block_bytes: usize,
    direct: bool,
    /// Held by writers: alone while blocks at the ends are read, changed, written and cut off, else
    /// together.
    edges: RwLock<()>,
}

impl fmt::Debug for DirectFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectFile")
            .field("file", &self.file)
            .field("block_bytes", &self.block_bytes)
            .field("direct", &self.direct)
            .finish_non_exhaustive()
    }
}

/// Bytes read from a [`DirectFile`]. Its memory is kept for the next read when it is dropped; it is
/// of its shard, and whoever is elsewhere takes a copy.
pub struct DirectBuf {
    memory: Registered,
    range: Range<usize>,
}

impl DirectBuf {
    fn new(memory: Registered, range: Range<usize>) -> Self {
        let end = range.end.min(memory.len());
        Self {
            range: range.start.min(end)..end,
            memory,
        }
    }
}

impl Deref for DirectBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.range.clone()]
    }
}

impl fmt::Debug for DirectBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectBuf")
            .field("len", &self.len())
            .finish()
    }
}

impl DirectFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Kernel
    ///
    /// `O_DIRECT`, with `statx(STATX_DIOALIGN)` (Linux 6.1; before, blocks of 4 KiB are assumed). On
    /// systems other than Linux, and on file systems without it, the page cache is used.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::with(OpenOptions::new().read(true), path).await
    }

    /// Makes a file, or cuts the one there to nothing, for reading and writing.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the file may be made after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`open`](Self::open).
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let options = OpenOptions::new().read(true).write(true).create(true);
        Self::with(options.truncate(true), path).await
    }

    /// Opens a file as `options` say. To write, it must be possible to read, too.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a file that was to be made may be made after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`open`](Self::open).
    pub async fn with(options: OpenOptions, path: impl AsRef<Path>) -> io::Result<Self> {
        let (file, direct) = options.open_direct(path.as_ref()).await?;
        let wanted = file.metadata().await?.direct_block_bytes();
        let block_bytes = match wanted {
            Some(bytes) if direct => bytes,
            _ => ASSUMED_BYTES,
        };
        Ok(Self {
            file,
            block_bytes: usize::try_from(block_bytes).map_err(io::Error::other)?,
            direct,
            edges: RwLock::new(()),
        })
    }

    /// Whether it goes past the page cache.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// The bytes in which the device reads and writes. Ranges that begin and end at multiples of
    /// it are written without reading first.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// The file, for all that is not reading and writing. Its own reads and writes want buffers as
    /// [`Registered`] or [`Aligned`](annulet_runtime::buf::Aligned), and offsets and lengths that
    /// suit the device.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Closes the file; see [`File::close`].
    ///
    /// # Errors
    ///
    /// The system's; the file is closed in any case.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is closed in any case.
    pub async fn close(self) -> io::Result<()> {
        self.file.close().await
    }

    /// Reads `bytes` at `offset`, or what there is of them before the end of the file.
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
    /// `IORING_OP_READ_FIXED` into a registered buffer (Linux 5.19) of the blocks around the range,
    /// `IORING_OP_READ` into another; on the `poll` driver `pread(2)` on the blocking pool.
    pub async fn read_at(&self, offset: u64, bytes: usize) -> io::Result<DirectBuf> {
        let before = self.within_block(offset);
        let room = self.round_up(before + bytes.max(1));
        let memory = self.read_blocks(offset - before as u64, room).await?;
        Ok(DirectBuf::new(memory, before..before + bytes))
    }

    /// Writes `bytes` at `offset`. Blocks that are written in part are read first.
    ///
    /// # Errors
    ///
    /// The system's. What was written before it is unknown.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part may be written after the future is dropped, and where the
    /// file grew its length may be that of whole blocks.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_WRITE_FIXED` from a registered buffer (Linux 5.19), `IORING_OP_WRITE` from another;
    /// on the `poll` driver `pwrite(2)` on the blocking pool.
    pub async fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset
            .checked_add(bytes.len() as u64)
            .ok_or(ErrorKind::FileTooLarge)?;
        if bytes.is_empty() {
            return Ok(());
        }
        if self.within_block(offset) == 0 && self.within_block(end) == 0 {
            let _together = self.edges.read().await;
            return self.write_parts(bytes, offset).await;
        }
        let _alone = self.edges.write().await;
        let filled = (self.block_bytes - self.within_block(end)) % self.block_bytes;
        let len = match filled {
            0 => u64::MAX,
            _ => self.file.metadata().await?.len(),
        };
        self.write_parts(bytes, offset).await?;
        if len < end.saturating_add(filled as u64) {
            // The rest of the last block was written behind the end of the file.
            self.file.set_len(len.max(end)).await?;
        }
        Ok(())
    }

    async fn write_parts(&self, mut rest: &[u8], mut at: u64) -> io::Result<()> {
        while !rest.is_empty() {
            let before = self.within_block(at);
            let len = rest.len().min(REQUEST_BYTES - before);
            self.write_part(at, &rest[..len]).await?;
            at += len as u64;
            rest = &rest[len..];
        }
        Ok(())
    }

    /// Writes at most a request's worth, with the blocks around it.
    async fn write_part(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let before = self.within_block(offset);
        let first = offset - before as u64;
        let room = self.round_up(before + bytes.len());
        let whole = before == 0 && room == bytes.len();
        let mut memory = if whole {
            self.buffer(room)
        } else {
            self.read_blocks(first, room).await?
        };
        memory.pad_to(room);
        memory[before..before + bytes.len()].copy_from_slice(bytes);
        let mut write = BlockWrite::new(self, memory, first);
        poll_fn(|cx| write.poll(self, cx)).await
    }

    /// Reads whole blocks, as many as there are.
    async fn read_blocks(&self, offset: u64, room: usize) -> io::Result<Registered> {
        let mut memory = self.buffer(room);
        let mut done = 0;
        while done < room {
            let at = offset.saturating_add(done as u64);
            let (read, back) = self.read_op(memory, done, at).await?;
            memory = back;
            done += read;
            // Within a block the file ends; what follows could not be asked for.
            if read == 0 || done % self.block_bytes != 0 {
                break;
            }
        }
        Ok(memory)
    }

    /// An empty buffer with so much room.
    fn buffer(&self, room: usize) -> Registered {
        self.file.shared().driver().registered_buffer(room)
    }

    fn read_op(&self, memory: Registered, from: usize, offset: u64) -> Op<ReadAt<Registered>> {
        let file = self.file.shared();
        let read = ReadAt::new(file, memory, from, offset, false);
        Op::new(file.driver(), read)
    }

    fn write_op(&self, memory: Registered, from: usize, offset: u64) -> Op<WriteAt<Registered>> {
        let file = self.file.shared();
        Op::new(file.driver(), WriteAt::new(file, memory, from, offset))
    }

    /// How far an offset lies within its block.
    fn within_block(&self, offset: u64) -> usize {
        usize::try_from(offset % self.block_bytes as u64).expect("less than a block")
    }

    fn round_up(&self, bytes: usize) -> usize {
        bytes.next_multiple_of(self.block_bytes)
    }
}
