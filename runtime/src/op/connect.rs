//! `connect`: connects a socket, `IORING_OP_CONNECT`.
//!
//! # Invariants
//!
//! 1. The entry names the address, which is boxed, owned by the payload and never changed: it stays
//!    where it is until the payload leaves its slot.
//! 2. The payload is a holder of the socket, so the descriptor in the entry stays open.

#![expect(unsafe_code, reason = "implements an unsafe trait")]

use std::io;

use socket2::{SockAddr, Socket};

use super::{Attempt, OpCode, Ready, Shared};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Interest};
use crate::sys::RawSource;

/// Connects a socket; the address stays in the slot while the kernel may read it.
#[derive(Debug)]
pub struct Connect {
    socket: Shared<Socket>,
    address: Box<SockAddr>,
    /// The first attempt has been made: what follows asks how it went.
    under_way: bool,
}

impl Connect {
    /// Connects `socket` to `address`. Answers `WouldBlock` where a local listener's queue is full
    /// and the shard attempts it itself.
    #[must_use]
    pub fn new(socket: &Shared<Socket>, address: SockAddr) -> Self {
        Self {
            socket: socket.clone(),
            address: Box::new(address),
            under_way: false,
        }
    }

    fn outcome(&self) -> io::Result<usize> {
        match self.socket.take_error()? {
            Some(error) => Err(error),
            None => match self.socket.peer_addr() {
                Ok(_) => Ok(0),
                // Woken for nothing: still under way.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                Err(error) => Err(error),
            },
        }
    }
}

// SAFETY: the address is boxed and owned by the payload, which also keeps the socket open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl OpCode for Connect {
    type Output = io::Result<()>;
    const CODE: Code = Code::Connect;

    fn source(&self) -> Option<RawSource> {
        self.socket.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        io_uring::opcode::Connect::new(fd, self.address.as_ptr().cast(), self.address.len())
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        if std::mem::replace(&mut self.under_way, true) {
            return Attempt::of(self.outcome(), Interest::Writable);
        }
        match self.socket.connect(&self.address) {
            Ok(()) => Attempt::Done(Ok(0)),
            // The local listener's queue is full: nothing is under way.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.address.is_unix() => {
                Attempt::Done(Err(error))
            }
            Err(error) if is_under_way(&error) => Attempt::Blocked(Interest::Writable),
            Err(error) => Attempt::Done(Err(error)),
        }
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.socket, interest)
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_io().map(drop)
    }
}

#[cfg(unix)]
fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS) || error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(windows)]
fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
