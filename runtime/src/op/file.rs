//! Operations on an open file: `read`, `write`, `fsync`, `ftruncate`.
//!
//! A read may first try the page cache (`RWF_NOWAIT`): whoever asks for it has seen such tries hit.

#![expect(
    unsafe_code,
    reason = "lends buffers to the kernel or to a pool thread"
)]

use std::fs::File;
use std::io;

#[cfg(target_os = "linux")]
use io_uring::opcode;

use super::{Attempt, OpCode, Shared};
use crate::buf::{BufError, BufResult, IoBuf, IoBufMut, request_len};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Job};
use crate::pool::Lane;
use crate::sys::{self, RawSource};

/// Bytes that an attempt copies at most: about a tenth of a millisecond's worth.
const ATTEMPT_BYTES_MAX: usize = 1 << 20;

/// A range lent to a pool thread.
struct Lent<T> {
    start: *mut T,
    len: usize,
}

// SAFETY: the range stays valid and unshared until the job's completion is delivered, because the
// slot keeps the payload until then; so it may be used from the pool's thread meanwhile.
unsafe impl<T> Send for Lent<T> {}

/// A file lent to a pool thread.
pub(super) struct LentFile(*const File);

// SAFETY: as `Lent`; the payload's holder keeps the file open, and `File` is `Sync`.
unsafe impl Send for LentFile {}

impl LentFile {
    pub(super) fn of(file: &Shared<File>) -> Self {
        Self(&raw const **file)
    }

    pub(super) fn run(self, call: impl FnOnce(&File) -> io::Result<usize>) -> isize {
        // SAFETY: the slot's payload holds the file until this job's completion is delivered.
        let file = unsafe { &*self.0 };
        Completion::from_io(call(file)).result
    }
}

/// Reads at an offset into an owned buffer, from its first byte, at most its capacity.
#[derive(Debug)]
pub struct ReadAt<B> {
    file: Shared<File>,
    buf: B,
    from: usize,
    offset: u64,
    cache_first: bool,
}

impl<B: IoBufMut> ReadAt<B> {
    /// Reads `file` at `offset` into `buf` from byte `from` of it on; `cache_first` tries the page
    /// cache before anything else.
    #[must_use]
    pub fn new(file: &Shared<File>, buf: B, from: usize, offset: u64, cache_first: bool) -> Self {
        Self {
            file: file.clone(),
            buf,
            from,
            offset,
            cache_first,
        }
    }

    fn space(&mut self) -> Lent<u8> {
        let len = self.buf.bytes_total() - self.from;
        // SAFETY: `from` is at most the capacity, checked by the subtraction above.
        let start = unsafe { self.buf.stable_mut_ptr().add(self.from) };
        Lent {
            start,
            len: request_len(len) as usize,
        }
    }
}

// SAFETY: the buffer's range is stable and owned by the payload, which also keeps the file open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<B: IoBufMut> OpCode for ReadAt<B> {
    type Output = BufResult<usize, B>;
    const CODE: Code = Code::ReadAt;

    fn source(&self) -> Option<RawSource> {
        self.file.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.file.as_raw_fd());
        let number = registered(&self.buf, &self.file);
        let Lent { start, len } = self.space();
        let (len, offset) = (request_len(len), self.offset);
        match number {
            Some(number) => opcode::ReadFixed::new(fd, start, len, number)
                .offset(offset)
                .build(),
            None => opcode::Read::new(fd, start, len).offset(offset).build(),
        }
        .into()
    }

    fn attempts_first(&self) -> bool {
        self.cache_first
    }

    #[cfg(target_os = "linux")]
    fn attempt(&mut self) -> Attempt {
        use std::os::fd::AsRawFd;
        let fd = self.file.as_raw_fd();
        let Lent { start, len } = self.space();
        let Ok(offset) = i64::try_from(self.offset) else {
            return Attempt::Refused;
        };
        let len = len.min(ATTEMPT_BYTES_MAX);
        // SAFETY: the range is the buffer's own and lasts longer than the call.
        match unsafe { sys::linux::read_nowait(fd, start, len, offset) } {
            Ok(read) => Attempt::Done(Ok(read)),
            // Not in the cache, or a file system that cannot tell: ask properly.
            Err(_) => Attempt::Refused,
        }
    }

    fn job(&mut self) -> Option<Job> {
        let lent = self.space();
        let file = LentFile::of(&self.file);
        let offset = self.offset;
        Some(Box::new(move || {
            let lent = lent;
            let file = file;
            // SAFETY: see `Lent`. Reads write only initialised bytes; that the rest may not be
            // initialised is not observed, since the call only writes.
            let space = unsafe { std::slice::from_raw_parts_mut(lent.start, lent.len) };
            file.run(|file| sys::file::read_at(file, space, offset))
        }))
    }

    fn complete(mut self, completion: Completion) -> BufResult<usize, B> {
        match completion.into_io() {
            Ok(read) => {
                let init = self.from + read;
                assert!(
                    init <= self.buf.bytes_total(),
                    "read more than was asked for"
                );
                // SAFETY: bytes before `from` were initialised, and the kernel wrote the rest.
                unsafe { self.buf.set_init(init) };
                Ok((read, self.buf))
            }
            Err(error) => Err(BufError::new(error, self.buf, 0)),
        }
    }
}

/// Reads at `offset` what the page cache has of it, or a part of that, without waiting. To be
/// [attempted](super::Direct::poll_copy): a copy of much takes its time.
///
/// # Errors
///
/// `WouldBlock` where it lacks the first bytes, others where that cannot be known without waiting.
pub fn read_cached(file: &Shared<File>, space: &mut [u8], offset: u64) -> io::Result<usize> {
    let bytes = space.len().min(ATTEMPT_BYTES_MAX);
    sys::cached::read_at(file, &mut space[..bytes], offset)
}

/// Writes the initialised bytes of a buffer at an offset or the end; may write fewer.
#[derive(Debug)]
pub struct WriteAt<B> {
    file: Shared<File>,
    buf: B,
    from: usize,
    /// Where to; `None` for a file that was opened to append.
    offset: Option<u64>,
    cache_first: bool,
    lane: Option<Lane>,
    aside: bool,
}

impl<B: IoBuf> WriteAt<B> {
    /// Writes `buf` from its byte `from` on to `file` at `offset`.
    #[must_use]
    pub fn new(file: &Shared<File>, buf: B, from: usize, offset: u64) -> Self {
        Self {
            file: file.clone(),
            buf,
            from,
            offset: Some(offset),
            cache_first: false,
            lane: None,
            aside: false,
        }
    }

    /// Tries first whether the page cache takes it at once.
    #[must_use]
    pub fn cache_first(mut self, on: bool) -> Self {
        self.cache_first = on;
        self
    }

    /// Where the pool writes, one write of this lane follows the other.
    #[must_use]
    pub fn by(mut self, lane: Option<&Lane>) -> Self {
        self.lane = lane.cloned();
        self
    }

    /// Has a worker of the kernel's do it from the start: for a write that waits for its device
    /// where the ring takes it for one that does not, as it does where it is to be durable.
    #[must_use]
    pub fn aside(mut self, on: bool) -> Self {
        self.aside = on;
        self
    }

    /// Writes `buf` from its byte `from` on to the end of `file`, which was opened to append.
    #[must_use]
    pub fn append(file: &Shared<File>, buf: B, from: usize) -> Self {
        Self {
            file: file.clone(),
            buf,
            from,
            offset: None,
            cache_first: false,
            lane: None,
            aside: false,
        }
    }
}

// SAFETY: the buffer's range is stable and owned by the payload, which also keeps the file open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<B: IoBuf> OpCode for WriteAt<B> {
    type Output = BufResult<usize, B>;
    const CODE: Code = Code::WriteAt;

    fn source(&self) -> Option<RawSource> {
        self.file.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.file.as_raw_fd());
        let bytes = &self.buf.as_init()[self.from..];
        let (start, len) = (bytes.as_ptr(), request_len(bytes.len()));
        // A file that was opened to append does not look at the offset.
        let offset = self.offset.unwrap_or(0);
        match registered(&self.buf, &self.file) {
            Some(number) => opcode::WriteFixed::new(fd, start, len, number)
                .offset(offset)
                .build(),
            None => opcode::Write::new(fd, start, len).offset(offset).build(),
        }
        .flags(aside(self.aside))
        .into()
    }

    fn attempts_first(&self) -> bool {
        self.cache_first
    }

    fn attempt(&mut self) -> Attempt {
        let bytes = &self.buf.as_init()[self.from..];
        let bytes = &bytes[..bytes.len().min(ATTEMPT_BYTES_MAX)];
        let Some(offset) = self.offset else {
            return Attempt::Refused;
        };
        match sys::cached::write_at(&self.file, bytes, offset) {
            Ok(written) => Attempt::Done(Ok(written)),
            Err(error) => {
                // A file system that cannot tell would have the ring's workers do it, and of them
                // each completion wakes the shard.
                if let (io::ErrorKind::Unsupported, Some(lane)) = (error.kind(), &self.lane) {
                    lane.set_best();
                }
                Attempt::Refused
            }
        }
    }

    fn job(&mut self) -> Option<Job> {
        let bytes = &self.buf.as_init()[self.from..];
        let len = request_len(bytes.len()) as usize;
        let lent = Lent {
            start: bytes.as_ptr().cast_mut(),
            len,
        };
        let file = LentFile::of(&self.file);
        let offset = self.offset;
        Some(Box::new(move || {
            let lent = lent;
            let file = file;
            // SAFETY: see `Lent`; the bytes are initialised and only read.
            let bytes = unsafe { std::slice::from_raw_parts(lent.start.cast_const(), lent.len) };
            file.run(|mut file| match offset {
                Some(offset) => sys::file::write_at(file, bytes, offset),
                None => io::Write::write(&mut file, bytes),
            })
        }))
    }

    fn lane(&self) -> Option<&Lane> {
        self.lane.as_ref()
    }

    fn prefers_pool(&self) -> bool {
        self.lane.as_ref().is_some_and(Lane::is_best)
    }

    fn complete(self, completion: Completion) -> BufResult<usize, B> {
        match completion.into_io() {
            Ok(written) => Ok((written, self.buf)),
            Err(error) => Err(BufError::new(error, self.buf, 0)),
        }
    }
}

/// The number by which the ring that a file is used on knows a buffer. Another shard's ring has other
/// buffers by the same numbers.
#[cfg(target_os = "linux")]
fn registered(buf: &impl IoBuf, file: &Shared<File>) -> Option<u16> {
    let (arena, number) = buf.registration()?;
    std::ptr::eq(arena, file.driver().arena()).then_some(number)
}

/// The flag by which a worker of the kernel's does it from the start.
#[cfg(target_os = "linux")]
pub(super) fn aside(on: bool) -> io_uring::squeue::Flags {
    use io_uring::squeue::Flags;
    if on { Flags::ASYNC } else { Flags::empty() }
}

/// Makes what was written durable.
#[derive(Debug)]
pub struct Fsync {
    file: Shared<File>,
    data_only: bool,
}

impl Fsync {
    /// Flushes `file`; `data_only` leaves out metadata that reading does not need.
    #[must_use]
    pub fn new(file: &Shared<File>, data_only: bool) -> Self {
        Self {
            file: file.clone(),
            data_only,
        }
    }
}

// SAFETY: the entry names no memory, and the payload keeps the file open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl OpCode for Fsync {
    type Output = io::Result<()>;
    const CODE: Code = Code::Fsync;

    fn source(&self) -> Option<RawSource> {
        self.file.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.file.as_raw_fd());
        let flags = if self.data_only {
            io_uring::types::FsyncFlags::DATASYNC
        } else {
            io_uring::types::FsyncFlags::empty()
        };
        opcode::Fsync::new(fd).flags(flags).build().into()
    }

    fn job(&mut self) -> Option<Job> {
        let data_only = self.data_only;
        let file = LentFile::of(&self.file);
        Some(Box::new(move || {
            let file = file;
            file.run(|file| {
                if data_only {
                    file.sync_data()
                } else {
                    file.sync_all()
                }
                .map(|()| 0)
            })
        }))
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_io().map(drop)
    }
}

/// Sets a file's length.
#[derive(Debug)]
pub struct Truncate {
    file: Shared<File>,
    bytes: u64,
}

impl Truncate {
    /// Cuts or extends `file` to `bytes`.
    #[must_use]
    pub fn new(file: &Shared<File>, bytes: u64) -> Self {
        Self {
            file: file.clone(),
            bytes,
        }
    }
}

// SAFETY: the entry names no memory, and the payload keeps the file open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl OpCode for Truncate {
    type Output = io::Result<()>;
    const CODE: Code = Code::Ftruncate;

    fn source(&self) -> Option<RawSource> {
        self.file.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.file.as_raw_fd());
        opcode::Ftruncate::new(fd, self.bytes).build().into()
    }

    fn job(&mut self) -> Option<Job> {
        let bytes = self.bytes;
        let file = LentFile::of(&self.file);
        Some(Box::new(move || {
            let file = file;
            file.run(|file| file.set_len(bytes).map(|()| 0))
        }))
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_io().map(drop)
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "file_tests.rs"]
mod tests;
