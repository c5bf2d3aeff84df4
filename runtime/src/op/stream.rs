//! `read` and `write` of a pipe, where there is no position: `IORING_OP_READ`, `IORING_OP_WRITE`.
//!
//! Bytes that were read belong to the pipe, not to the future that asked for them; see [`Spill`].
//! The open file is ours alone and does not block. Rings of old kernels answer `EAGAIN` for such a
//! file instead of waiting: whoever awaits these operations then waits for readiness and asks
//! again.
//!
//! # Invariants
//!
//! 1. The entry of a [`ReadStream`] names a range of its buffer, from `from` on, which is stable by
//!    the promise of [`IoBufMut`], owned by the payload, and not touched by us until the last
//!    completion.
//! 2. A result that is not negative counts bytes that the kernel wrote from the start of that
//!    range; that it does not exceed the range is checked before the buffer is told.
//! 3. The entry of a [`WriteStream`] names initialised bytes of its buffer, on the same terms.
//! 4. `from` is at most what the buffer has initialised: the constructors have checked it.
//! 5. Every payload is a holder of its file, so the descriptor in the entry stays open.

#![expect(unsafe_code, reason = "lends a buffer to the kernel")]

use std::fs::File;
use std::io::{Read, Write};
use std::rc::Rc;

use super::{Attempt, OpCode, Ready, Shared, Spill};
use crate::buf::{BufError, BufResult, IoBuf, IoBufMut, REQUEST_BYTES_MAX};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Interest};
use crate::sys::RawSource;

/// "At the position of the open file", which a pipe does not have.
#[cfg(target_os = "linux")]
const NO_POSITION: u64 = u64::MAX;

/// Reads what comes next into an owned buffer, from a byte of it on, at most its capacity.
#[derive(Debug)]
pub(crate) struct ReadStream<B> {
    file: Shared<File>,
    buf: B,
    from: usize,
    spill: Rc<Spill>,
    begun: bool,
}

impl<B: IoBufMut> ReadStream<B> {
    /// Reads from `file` into `buf`, keeping its first `from` bytes; `spill` gets the bytes if
    /// nobody waits by then.
    ///
    /// # Panics
    ///
    /// If `from` lies beyond the initialised bytes.
    pub(crate) fn new(file: &Shared<File>, buf: B, from: usize, spill: &Rc<Spill>) -> Self {
        assert!(
            from <= buf.bytes_init(),
            "a read after bytes that are not there"
        );
        Self {
            file: file.clone(),
            buf,
            from,
            spill: Rc::clone(spill),
            begun: false,
        }
    }

    /// Where to, and how much at most.
    fn space(&mut self) -> (*mut u8, usize) {
        let len = self.buf.bytes_total() - self.from;
        // SAFETY: `from` lies within the range (Invariant 4).
        let start = unsafe { self.buf.stable_mut_ptr().add(self.from) };
        (start, len.min(REQUEST_BYTES_MAX))
    }

    /// Tells the buffer what was read.
    fn fill(&mut self, read: usize) {
        assert!(
            read <= self.buf.bytes_total() - self.from,
            "read more than was asked for"
        );
        // SAFETY: the bytes before `from` were initialised (Invariant 4), and these were written
        // now (Invariant 2).
        unsafe { self.buf.set_init(self.from + read) };
    }
}

// SAFETY: the buffer's range is stable and owned by the payload, which also keeps the file open.
unsafe impl<B: IoBufMut> OpCode for ReadStream<B> {
    type Output = BufResult<usize, B>;
    const CODE: Code = Code::ReadStream;

    fn source(&self) -> Option<RawSource> {
        self.file.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        self.begun = true;
        self.spill.begin();
        let fd = io_uring::types::Fd(self.file.as_raw_fd());
        let (start, len) = self.space();
        io_uring::opcode::Read::new(fd, start, crate::buf::request_len(len))
            .offset(NO_POSITION)
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        let (start, len) = self.space();
        // SAFETY: the range is the buffer's own and valid for writes; a read only writes, so nobody
        // sees what is not initialised.
        let space = unsafe { std::slice::from_raw_parts_mut(start, len) };
        Attempt::of((&*self.file).read(space), Interest::Readable)
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.file, interest)
    }

    fn complete(mut self, completion: Completion) -> BufResult<usize, B> {
        if self.begun {
            self.spill.end(&[]);
        }
        match completion.into_io() {
            Ok(read) => {
                self.fill(read);
                Ok((read, self.buf))
            }
            Err(error) => Err(BufError::new(error, self.buf, 0)),
        }
    }

    fn orphan(mut self, completion: Completion) {
        let room = self.buf.bytes_total() - self.from;
        let read = completion.into_io().unwrap_or(0).min(room);
        self.fill(read);
        if self.begun {
            self.spill.end(&self.buf.as_init()[self.from..]);
        }
    }
}

/// Writes the initialised bytes of a buffer from `from` on; may write fewer.
#[derive(Debug)]
pub(crate) struct WriteStream<B> {
    file: Shared<File>,
    buf: B,
    from: usize,
}

impl<B: IoBuf> WriteStream<B> {
    /// Writes `buf` from byte `from` on.
    ///
    /// # Panics
    ///
    /// If `from` lies beyond the initialised bytes.
    pub(crate) fn new(file: &Shared<File>, buf: B, from: usize) -> Self {
        assert!(
            from <= buf.bytes_init(),
            "a write of bytes that are not there"
        );
        Self {
            file: file.clone(),
            buf,
            from,
        }
    }
}

// SAFETY: the buffer's range is stable and owned by the payload, which also keeps the file open.
unsafe impl<B: IoBuf> OpCode for WriteStream<B> {
    type Output = BufResult<usize, B>;
    const CODE: Code = Code::WriteStream;

    fn source(&self) -> Option<RawSource> {
        self.file.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.file.as_raw_fd());
        let bytes = &self.buf.as_init()[self.from..];
        let len = crate::buf::request_len(bytes.len());
        io_uring::opcode::Write::new(fd, bytes.as_ptr(), len)
            .offset(NO_POSITION)
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        let bytes = &self.buf.as_init()[self.from..];
        Attempt::of((&*self.file).write(bytes), Interest::Writable)
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.file, interest)
    }

    fn complete(self, completion: Completion) -> BufResult<usize, B> {
        match completion.into_io() {
            Ok(written) => Ok((written, self.buf)),
            Err(error) => Err(BufError::new(error, self.buf, 0)),
        }
    }
}
