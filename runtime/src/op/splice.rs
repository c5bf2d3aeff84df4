//! `splice`: moves bytes between a file, a pipe and a socket without bringing them into this
//! process, `IORING_OP_SPLICE`.
//!
//! The kernel hands every splice of a ring to a worker thread, where one between a socket and a
//! pipe waits for the peer: a thread for each idle direction. So sockets are waited for by their
//! readiness, and then spliced by a call that does not wait. A file has no readiness and may wait
//! for a disk; from a file the ring splices, or a job where it does not.
//!
//! # Invariants
//!
//! 1. The entry names no memory. Its descriptors are the file's and the pipe's, which the payload
//!    owns.

#![expect(unsafe_code, reason = "implements an unsafe trait")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use socket2::Socket;

use super::{OpCode, Shared};
use crate::driver::{Code, Completion, Driver, Job, Sqe};
use crate::sys::splice::{Pipe, splice};

/// A pipe of the shard's to splice through. It goes back to the shard when it is dropped empty, and
/// is closed with what lies in it otherwise.
#[derive(Debug)]
pub struct SplicePipe {
    pipe: Option<Pipe>,
    driver: Driver,
}

impl SplicePipe {
    /// A pipe that nobody uses, or a new one.
    ///
    /// # Errors
    ///
    /// The system's, as when it is out of descriptors.
    pub fn take(driver: &Driver) -> io::Result<Self> {
        let pipe = match driver.take_pipe() {
            Some(pipe) => pipe,
            None => Pipe::new()?,
        };
        Ok(Self {
            pipe: Some(pipe),
            driver: driver.clone(),
        })
    }

    fn pipe(&mut self) -> &mut Pipe {
        self.pipe.as_mut().expect("taken only on drop")
    }

    /// How much lies in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pipe.as_ref().map_or(0, Pipe::bytes)
    }

    /// Moves what a socket has received into the pipe, without waiting. None at the end of the
    /// stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is nothing now, or the pipe is full; else the connection's.
    pub fn fill_now(&mut self, socket: &Shared<Socket>) -> io::Result<usize> {
        let blocking = !socket.driver().wants_nonblocking();
        self.pipe().fill(socket.as_fd(), blocking)
    }

    /// Moves what lies in the pipe to a socket, without waiting; says how much.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where the socket has no room; else the connection's.
    pub fn drain_now(&mut self, socket: &Shared<Socket>) -> io::Result<usize> {
        let blocking = !socket.driver().wants_nonblocking();
        self.pipe().drain(socket.as_fd(), blocking)
    }
}

impl Drop for SplicePipe {
    fn drop(&mut self) {
        if let Some(pipe) = self.pipe.take()
            && pipe.bytes() == 0
        {
            self.driver.give_pipe(pipe);
        }
    }
}

/// Moves bytes of a file into an empty pipe.
#[derive(Debug)]
pub struct SpliceFile {
    file: Arc<OwnedFd>,
    pipe: SplicePipe,
    offset: u64,
    bytes_max: u64,
}

impl SpliceFile {
    /// Moves at most `bytes_max` of `file` from `offset` on, as much as `pipe` holds.
    #[must_use]
    pub fn new(file: &Arc<OwnedFd>, pipe: SplicePipe, offset: u64, bytes_max: u64) -> Self {
        Self {
            file: Arc::clone(file),
            pipe,
            offset,
            bytes_max,
        }
    }

    fn len(&self) -> usize {
        let room = self.pipe.pipe.as_ref().map_or(0, Pipe::bytes_max);
        usize::try_from(self.bytes_max).map_or(room, |most| most.min(room))
    }
}

// SAFETY: the entry names no memory, and the payload keeps both descriptors open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl OpCode for SpliceFile {
    /// How much was moved, none at the end of the file, and the pipe with it.
    type Output = io::Result<(usize, SplicePipe)>;
    const CODE: Code = Code::Splice;

    fn entry(&mut self) -> Sqe {
        let len = crate::buf::request_len(self.len());
        let offset = i64::try_from(self.offset).unwrap_or(i64::MAX);
        let to = self.pipe.pipe().writer().as_raw_fd();
        let from = io_uring::types::Fd(self.file.as_raw_fd());
        // "At no position": a pipe has none.
        io_uring::opcode::Splice::new(from, offset, io_uring::types::Fd(to), -1, len)
            .flags(libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE)
            .build()
            .into()
    }

    fn job(&mut self) -> Option<Job> {
        let (len, offset) = (self.len(), self.offset);
        let (file, to) = (
            Arc::clone(&self.file),
            Arc::clone(self.pipe.pipe().writer()),
        );
        Some(Box::new(move || {
            let moved = splice(file.as_fd(), Some(offset), to.as_fd(), len);
            Completion::from_io(moved).result
        }))
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let moved = completion.into_io()?;
        self.pipe.pipe().filled(moved);
        Ok((moved, self.pipe))
    }
}
