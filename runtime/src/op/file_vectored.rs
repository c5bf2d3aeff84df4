//! Reads and writes of an open file into and from several buffers: `preadv`, `pwritev`.
//!
//! # Invariants
//!
//! 1. A [`Part`] is laid out as the kernel's `iovec`.
//! 2. The parts are on the heap and name stable ranges of the buffers. Both are the payload's, and
//!    neither is touched by us from the entry or job on until the completion.

#![expect(
    unsafe_code,
    reason = "lends buffers to the kernel or to a pool thread"
)]

use std::fs::File;
use std::io;

use super::file::LentFile;
#[cfg(target_os = "linux")]
use super::file::aside;
use super::{OpCode, Shared};
use crate::buf::{BufError, BufResult, IoBufMut, IoBufs, PARTS_MAX, parts_from};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Job};
use crate::pool::Lane;
use crate::sys::{self, RawSource};

/// A range of a buffer, lent to the kernel or to a pool thread.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Part {
    start: *mut u8,
    len: usize,
}

#[cfg(target_os = "linux")]
const _: () = assert!(size_of::<Part>() == size_of::<libc::iovec>());

// SAFETY: the range stays valid and unshared until the completion is delivered: Invariant 2.
unsafe impl Send for Part {}

/// Reads at an offset into several buffers, each from its first byte and at most its capacity.
#[derive(Debug)]
pub struct ReadVectoredAt<B> {
    file: Shared<File>,
    bufs: Vec<B>,
    offset: u64,
    parts: Vec<Part>,
}

impl<B: IoBufMut> ReadVectoredAt<B> {
    /// Reads `file` at `offset` into `bufs`, at most 1,024 of them.
    #[must_use]
    pub fn new(file: &Shared<File>, bufs: Vec<B>, offset: u64) -> Self {
        Self {
            file: file.clone(),
            bufs,
            offset,
            parts: Vec::new(),
        }
    }

    fn aim(&mut self) {
        let lend = |buf: &mut B| Part {
            start: buf.stable_mut_ptr(),
            len: buf.bytes_total(),
        };
        let parts = self.bufs.iter_mut().take(PARTS_MAX).map(lend);
        self.parts = parts.filter(|part| part.len > 0).collect();
    }
}

// SAFETY: what the entry names is stable and owned by the payload (Invariant 2), which also keeps
// the file open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<B: IoBufMut> OpCode for ReadVectoredAt<B> {
    type Output = BufResult<usize, Vec<B>>;
    const CODE: Code = Code::ReadVectoredAt;

    fn source(&self) -> Option<RawSource> {
        self.file.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        self.aim();
        let fd = io_uring::types::Fd(self.file.as_raw_fd());
        io_uring::opcode::Readv::new(fd, self.parts.as_ptr().cast(), count(&self.parts))
            .offset(self.offset)
            .build()
            .into()
    }

    fn job(&mut self) -> Option<Job> {
        self.aim();
        let parts = self.parts.clone();
        Some(job(&self.file, parts, self.offset, |file, part, at| {
            // SAFETY: the range is lent (Invariant 2) and only written to.
            let space = unsafe { std::slice::from_raw_parts_mut(part.start, part.len) };
            sys::file::read_at(file, space, at)
        }))
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        match completion.into_io() {
            Ok(read) => {
                let mut left = read;
                for buf in &mut self.bufs {
                    let here = left.min(buf.bytes_total());
                    // SAFETY: the kernel fills the buffers in order, each to its end.
                    unsafe { buf.set_init(here) };
                    left -= here;
                }
                assert!(left == 0, "read more than was asked for");
                Ok((read, self.bufs))
            }
            Err(error) => Err(BufError::new(error, self.bufs, 0)),
        }
    }
}

/// Writes what follows a byte of several buffers at an offset; may write fewer.
#[derive(Debug)]
pub struct WriteVectoredAt<V> {
    file: Shared<File>,
    bufs: V,
    from: usize,
    offset: u64,
    aside: bool,
    parts: Vec<Part>,
    lane: Option<Lane>,
}

impl<V: IoBufs> WriteVectoredAt<V> {
    /// Writes `bufs` from byte `from` on, counted over all of them, to `file` at `offset`.
    #[must_use]
    pub fn new(file: &Shared<File>, bufs: V, from: usize, offset: u64) -> Self {
        Self {
            file: file.clone(),
            bufs,
            from,
            offset,
            aside: false,
            parts: Vec::new(),
            lane: None,
        }
    }

    /// Where the pool writes, one write of this lane follows the other.
    #[must_use]
    pub fn by(mut self, lane: Option<&Lane>) -> Self {
        self.lane = lane.cloned();
        self
    }

    /// As [`WriteAt::aside`](super::WriteAt::aside).
    #[must_use]
    pub fn aside(mut self, on: bool) -> Self {
        self.aside = on;
        self
    }

    fn aim(&mut self) {
        self.parts.clear();
        let parts = &mut self.parts;
        parts_from(&self.bufs, self.from, PARTS_MAX, &mut |bytes| {
            parts.push(Part {
                start: bytes.as_ptr().cast_mut(),
                len: bytes.len(),
            });
        });
    }
}

// SAFETY: what the entry names is stable and owned by the payload (Invariant 2), which also keeps
// the file open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<V: IoBufs> OpCode for WriteVectoredAt<V> {
    type Output = BufResult<usize, V>;
    const CODE: Code = Code::WriteVectoredAt;

    fn source(&self) -> Option<RawSource> {
        self.file.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        self.aim();
        let fd = io_uring::types::Fd(self.file.as_raw_fd());
        io_uring::opcode::Writev::new(fd, self.parts.as_ptr().cast(), count(&self.parts))
            .offset(self.offset)
            .build()
            .flags(aside(self.aside))
            .into()
    }

    fn job(&mut self) -> Option<Job> {
        self.aim();
        let parts = self.parts.clone();
        Some(job(&self.file, parts, self.offset, |file, part, at| {
            // SAFETY: the range is lent (Invariant 2), initialised, and only read.
            let bytes = unsafe { std::slice::from_raw_parts(part.start, part.len) };
            sys::file::write_at(file, bytes, at)
        }))
    }

    fn lane(&self) -> Option<&Lane> {
        self.lane.as_ref()
    }

    fn prefers_pool(&self) -> bool {
        self.lane.as_ref().is_some_and(Lane::is_best)
    }

    fn complete(self, completion: Completion) -> Self::Output {
        match completion.into_io() {
            Ok(written) => Ok((written, self.bufs)),
            Err(error) => Err(BufError::new(error, self.bufs, 0)),
        }
    }
}

#[cfg(target_os = "linux")]
fn count(parts: &[Part]) -> u32 {
    u32::try_from(parts.len()).expect("at most as many as one call takes")
}

/// The job of one part after the other, until one is short. A failure counts only if it is the
/// first.
fn job(
    file: &Shared<File>,
    parts: Vec<Part>,
    offset: u64,
    call: fn(&File, Part, u64) -> io::Result<usize>,
) -> Job {
    let file = LentFile::of(file);
    Box::new(move || {
        file.run(|file| {
            let mut done = 0;
            for part in parts {
                match call(file, part, offset.saturating_add(done as u64)) {
                    Ok(moved) => {
                        done += moved;
                        if moved < part.len {
                            break;
                        }
                    }
                    Err(_later) if done > 0 => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(done)
        })
    })
}
