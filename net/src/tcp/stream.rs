//! A connected stream.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};

use annulet_runtime::buf::{BufError, BufResult, IoBuf, IoBufMut, IoBufMutExt, Lease};
use annulet_runtime::op::{Connect, Op, Ready, Recv, Send, Shared};
use annulet_runtime::{Code, Context, Driver};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::receive::Receiver;
use super::write::WriteAll;
use crate::addr::{ToAddrs, lookup};

/// A TCP connection of this shard.
///
/// Its methods need no more than a shared reference, so that one task can read while another
/// writes. Several may also read at once: each byte goes to one of them, in the order in which
/// their reads complete; whose turn is next is not promised. Of several writes at once each keeps
/// its own order, but the kernel may take them in parts, and then they mingle: let one task write.
pub struct TcpStream {
    pub(super) socket: Shared<Socket>,
    pub(super) receiver: Receiver,
    /// A wait of the poll traits for room to write.
    pub(super) writable: RefCell<Option<Op<Ready>>>,
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("peer", &self.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

impl TcpStream {
    /// Connects to `address`; of a name's addresses, to the first that answers.
    ///
    /// # Errors
    ///
    /// The last address's failure, or the lookup's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the socket is closed once the kernel lets go of it.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_CONNECT` (Linux 5.5); on the `poll` driver a non-blocking `connect(2)`.
    pub async fn connect(address: impl ToAddrs) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::InvalidInput);
        for addr in lookup(address).await? {
            match Self::connect_one(addr).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_one(addr: SocketAddr) -> io::Result<Self> {
        let context = Context::current();
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        let driver = context.driver();
        let stream = Self::from_socket(driver, socket)?;
        let attempted = driver.attempts(Code::Connect) && !driver.wants_nonblocking();
        if attempted {
            stream.socket.set_nonblocking(true)?;
        }
        Op::new(driver, Connect::new(&stream.socket, SockAddr::from(addr))).await?;
        if attempted {
            stream.socket.set_nonblocking(false)?;
        }
        Ok(stream)
    }

    /// Takes over a connected socket.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        Self::from_socket(Context::current().driver(), Socket::from(stream))
    }

    pub(super) fn from_socket(driver: &Driver, socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(driver.wants_nonblocking())?;
        Ok(Self {
            socket: Shared::new(driver, socket),
            receiver: Receiver::default(),
            writable: RefCell::new(None),
        })
    }

    /// Receives the next bytes into a buffer of the shard's, `None` at the end of the stream.
    ///
    /// An idle connection holds no buffer: one is taken when data is there. The lease gives it back
    /// when dropped, and can itself be sent.
    ///
    /// # Errors
    ///
    /// The connection's, as `ConnectionReset`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes belong to the stream, and the next read gets them.
    ///
    /// # Kernel
    ///
    /// One multishot `IORING_OP_RECV` with provided buffers (Linux 6.0) for all receives; without
    /// it, and on the `poll` driver, `recv(2)` when the stream is readable.
    pub async fn recv(&self) -> io::Result<Option<Lease>> {
        let turn = self.receiver.turns.join();
        poll_fn(|cx| turn.note(self.receiver.poll_lease(&self.socket, cx), cx)).await
    }

    /// Reads into `buf` from its first byte, at most its capacity, and sets its length to what was
    /// read; zero at the end of the stream.
    ///
    /// # Errors
    ///
    /// The connection's, with the buffer; `InvalidInput` for a buffer without room, which could not
    /// be told from the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe for the stream: bytes that arrive for a dropped read go to the next. The buffer
    /// is freed once the kernel lets go of it, never before.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_RECV` (Linux 5.6); on the `poll` driver `recv(2)` when the stream is readable.
    pub async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        if buf.bytes_total() == 0 {
            return Err(BufError::no_room(buf));
        }
        if self.receiver.is_engaged() {
            return self.read_engaged(buf).await;
        }
        let recv = Recv::new(&self.socket, buf, self.receiver.spill());
        Op::new(self.socket.driver(), recv).await
    }

    async fn read_engaged<B: IoBufMut>(&self, mut buf: B) -> BufResult<usize, B> {
        let turn = self.receiver.turns.join();
        let read = poll_fn(|cx| {
            let receiver = &self.receiver;
            let read = buf.fill_with(|space| match receiver.poll_copy(&self.socket, cx, space) {
                std::task::Poll::Ready(Ok(read)) => (read, std::task::Poll::Ready(Ok(read))),
                other => (0, other),
            });
            turn.note(read, cx)
        });
        match read.await {
            Ok(read) => Ok((read, buf)),
            Err(error) => Err(BufError::new(error, buf, 0)),
        }
    }

    /// Sends from `buf` and says how much the kernel took; see [`write_all`](Self::write_all).
    ///
    /// # Errors
    ///
    /// The connection's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part of `buf` may be sent after the future is dropped.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_SEND` (Linux 5.6); on the `poll` driver `send(2)` when the stream is writable.
    pub async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        Op::new(self.socket.driver(), Send::new(&self.socket, buf, 0)).await
    }

    /// Sends all of `buf` and gives it back.
    ///
    /// Completes when the kernel has taken the last byte, which says nothing about the peer.
    ///
    /// # Errors
    ///
    /// The connection's, with the buffer and the bytes taken before. The stream is then good only
    /// for closing.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the peer gets an unknown prefix of `buf`. The buffer is freed once the
    /// kernel lets go of it, never before.
    ///
    /// # Kernel
    ///
    /// As [`write`](Self::write); short sends are resumed here.
    #[inline]
    pub fn write_all<B: IoBuf>(&self, buf: B) -> impl Future<Output = BufResult<(), B>> {
        WriteAll::new(&self.socket, buf)
    }

    /// Shuts down a half, or both. Does not wait.
    ///
    /// # Errors
    ///
    /// The system's, as `NotConnected`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket
            .peer_addr()?
            .as_socket()
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Sends small writes at once instead of gathering them (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(on)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.tcp_nodelay()
    }
}
