//! `accept`: takes connections, `IORING_OP_ACCEPT`, one at a time or until cancelled.
//!
//! A connection that arrives for an accept nobody waits for any more goes to [`Backlog`], from
//! where the listener hands it to the next caller.
//!
//! # Invariants
//!
//! 1. The entries name no memory of ours: the address of the peer is not asked for, both pointers
//!    are null. The descriptor they name is the listener's, of which the payload is a holder.
//! 2. A completion that is not negative is a new descriptor that nobody else owns; it is made into
//!    a socket once, since each completion goes to exactly one of `complete`, `orphan` and `next`.

#![expect(unsafe_code, reason = "implements an unsafe trait")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::Waker;

use socket2::Socket;

use super::arrived::Arrived;
use super::{Attempt, MultiCode, OpCode, Ready, Shared};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Flow, Interest};
use crate::sys::RawSource;
use crate::wakers::Wakers;

/// Connections that were accepted and await a taker.
#[derive(Debug, Default)]
pub struct Backlog {
    sockets: RefCell<VecDeque<Socket>>,
    waiting: Wakers,
}

impl Backlog {
    /// The oldest connection.
    #[must_use]
    pub fn take(&self) -> Option<Socket> {
        self.sockets.borrow_mut().pop_front()
    }

    /// Wakes `waker` when a connection is put here.
    pub fn wait(&self, waker: &Waker) {
        self.waiting.add(waker);
    }

    fn put(&self, socket: Socket) {
        self.sockets.borrow_mut().push_back(socket);
        self.waiting.wake_all();
    }
}

#[cfg(target_os = "linux")]
fn socket_of(completion: Completion) -> io::Result<Socket> {
    let fd = completion.into_io()?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    Ok(Socket::from(crate::sys::linux::own_fd(fd)))
}

/// A completion is a descriptor only where a ring makes it.
#[cfg(not(target_os = "linux"))]
fn socket_of(completion: Completion) -> io::Result<Socket> {
    completion
        .into_io()
        .and_then(|_| Err(io::ErrorKind::Unsupported.into()))
}

/// Takes one connection.
#[derive(Debug)]
pub struct Accept {
    listener: Shared<Socket>,
    backlog: Rc<Backlog>,
    accepted: Option<Socket>,
}

impl Accept {
    /// Takes the next connection of `listener`; `backlog` gets it if nobody waits by then.
    #[must_use]
    pub fn new(listener: &Shared<Socket>, backlog: &Rc<Backlog>) -> Self {
        Self {
            listener: listener.clone(),
            backlog: Rc::clone(backlog),
            accepted: None,
        }
    }
}

// SAFETY: the entry names no memory, and the payload keeps the listener open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl OpCode for Accept {
    type Output = io::Result<Socket>;
    const CODE: Code = Code::Accept;

    fn source(&self) -> Option<RawSource> {
        self.listener.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.listener.as_raw_fd());
        let accept = io_uring::opcode::Accept::new(fd, std::ptr::null_mut(), std::ptr::null_mut());
        accept.flags(libc::SOCK_CLOEXEC).build().into()
    }

    fn attempt(&mut self) -> Attempt {
        let accepted = self.listener.accept().map(|(socket, _)| {
            self.accepted = Some(socket);
            0
        });
        Attempt::of(accepted, Interest::Readable)
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.listener, interest)
    }

    fn complete(self, completion: Completion) -> io::Result<Socket> {
        if let Some(socket) = self.accepted {
            return Ok(socket);
        }
        socket_of(completion)
    }

    fn orphan(self, completion: Completion) {
        let backlog = Rc::clone(&self.backlog);
        if let Ok(socket) = self.complete(completion) {
            backlog.put(socket);
        }
    }
}

/// Connections accepted and not taken at which a multishot accept is stopped.
const ARRIVED_MAX: usize = 64;

/// Takes connections until it is cancelled.
#[derive(Debug)]
pub struct AcceptMulti {
    listener: Shared<Socket>,
    backlog: Rc<Backlog>,
    arrived: Arrived,
}

impl AcceptMulti {
    /// Takes every connection of `listener`.
    #[must_use]
    pub fn new(listener: &Shared<Socket>, backlog: &Rc<Backlog>) -> Self {
        Self {
            listener: listener.clone(),
            backlog: Rc::clone(backlog),
            arrived: Arrived::default(),
        }
    }
}

// SAFETY: the entry names no memory, and the payload keeps the listener open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl OpCode for AcceptMulti {
    /// The connection, or the error, that came with the end.
    type Output = io::Result<Socket>;
    const CODE: Code = Code::AcceptMulti;

    fn source(&self) -> Option<RawSource> {
        self.listener.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.listener.as_raw_fd());
        io_uring::opcode::AcceptMulti::new(fd)
            .flags(libc::SOCK_CLOEXEC)
            .build()
            .into()
    }

    fn complete(self, completion: Completion) -> io::Result<Socket> {
        socket_of(completion)
    }

    fn orphan(self, completion: Completion) {
        for completion in self.arrived.chain([completion]) {
            if let Ok(socket) = socket_of(completion) {
                self.backlog.put(socket);
            }
        }
    }

    fn more(&mut self, completion: Completion) -> Flow {
        self.arrived.push(completion);
        // Connections nobody takes are better off in the kernel's queue, which has a bound.
        if self.arrived.len() == ARRIVED_MAX {
            return Flow::Stop;
        }
        Flow::Open
    }
}

impl MultiCode for AcceptMulti {
    type Item = io::Result<Socket>;

    fn next(&mut self) -> Option<io::Result<Socket>> {
        self.arrived.next().map(socket_of)
    }
}
