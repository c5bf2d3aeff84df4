//! Local connections of messages: as a stream, they are accepted and have an end; as datagrams,
//! their messages stay whole.
//!
//! The kernel answers zero for an empty message and for the end alike. On Linux each message, and
//! the end never, says when it was sent; so these sockets ask for that and can tell the two apart.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use annulet_runtime::buf::{BufError, BufResult, IoBuf, IoBufMut};
use annulet_runtime::op::{LOCAL_CONTROL_BYTES, Meta, Op, Report, Send, set_report};
use annulet_runtime::time::sleep;
use annulet_runtime::{Context, Driver};
use socket2::{Domain, Socket, Type};

use super::address::{from_system, to_system};
use crate::ancillary::{Passed, attach};
use crate::datagram::MessageSocket;
use crate::listen::Acceptor;

/// Connections that the kernel queues for a listener.
const BACKLOG: i32 = 1024;

/// A local connection whose messages stay whole and in order (`SOCK_SEQPACKET`), of this shard.
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// use annulet_net::UnixSeqpacket;
///
/// let (near, far) = UnixSeqpacket::pair()?;
/// near.send(b"one").await?;
/// near.send(b"").await?;
/// drop(near);
/// let mut lengths = Vec::new();
/// let mut buf = Vec::with_capacity(64);
/// loop {
///     let (received, same) = far.recv(buf).await?;
///     buf = same;
///     match received {
///         Some(bytes) => lengths.push(bytes),
///         None => break,
///     }
/// }
/// assert_eq!(lengths, [3, 0]);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixSeqpacket(MessageSocket);

lends_descriptor!(UnixSeqpacket, |this| &*this.0.socket);

impl fmt::Debug for UnixSeqpacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixSeqpacket").finish_non_exhaustive()
    }
}

impl UnixSeqpacket {
    /// Connects to a listener's path.
    ///
    /// # Errors
    ///
    /// The system's, as `NotFound` or `ConnectionRefused` where nobody listens.
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
    /// `connect(2)`, tried again after a millisecond while the listener's queue is full, since no
    /// readiness says that it is not.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connect_addr(&SocketAddr::from_pathname(path)?).await
    }

    /// As [`connect`](Self::connect), by an address, which on Linux may be abstract.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Kernel
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        let address = to_system(address)?;
        let context = Context::current();
        let driver = context.driver();
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        let connection = Self::from_socket(driver, socket)?;
        let socket = &connection.0.socket;
        // Not by the ring: a cancel may miss a request that waits for room there, and the kernel
        // then keeps it for as long as nobody makes any.
        socket.set_nonblocking(true)?;
        loop {
            match socket.connect(&address) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sleep(Duration::from_millis(1)).await;
                }
                other => {
                    other?;
                    socket.set_nonblocking(driver.wants_nonblocking())?;
                    return Ok(connection);
                }
            }
        }
    }

    /// Two ends connected to each other.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (near, far) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        let context = Context::current();
        let driver = context.driver();
        Ok((
            Self::from_socket(driver, near)?,
            Self::from_socket(driver, far)?,
        ))
    }

    fn from_socket(driver: &Driver, socket: Socket) -> io::Result<Self> {
        match set_report(&socket, Report::Timestamp, true) {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(error),
            // Elsewhere an empty message cannot be told from the end.
            _ => {}
        }
        Ok(Self(MessageSocket::new(
            driver,
            socket,
            LOCAL_CONTROL_BYTES,
        )?))
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The connection's, with the buffer, as `BrokenPipe` where the peer is gone.
    ///
    /// # Cancel safety
    ///
    /// The message is sent or not when the future has been dropped, but never in part. The buffer
    /// is freed once the kernel lets go of it.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_SEND` (Linux 5.6); on the `poll` driver `send(2)` when the socket is writable.
    pub async fn send<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        Op::new(self.0.socket.driver(), Send::new(&self.0.socket, buf, 0)).await
    }

    /// Sends a message with descriptors. They are duplicated first, so the caller's may be closed
    /// at once.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `InvalidInput` for more than 253 descriptors, or the system's limit
    /// of open ones.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send): the descriptors go with the message or not at all.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_SENDMSG` (Linux 5.3); on the `poll` driver `sendmsg(2)` when the socket is
    /// writable.
    pub async fn send_with_fds<B: IoBuf>(
        &self,
        buf: B,
        fds: &[BorrowedFd<'_>],
    ) -> BufResult<usize, B> {
        let attach = match attach(fds) {
            Ok(attach) => attach,
            Err(error) => return Err(BufError::new(error, buf, 0)),
        };
        self.0.send_msg(buf, attach).await
    }

    /// Receives the next message into `buf` and sets its length: `None` at the end of the
    /// connection, zero for an empty message. What does not fit is lost:
    /// [`recv_msg`](Self::recv_msg) says so. Descriptors that came along are closed.
    ///
    /// Elsewhere than on Linux an empty message looks like the end.
    ///
    /// # Errors
    ///
    /// The connection's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe for the connection: a message that arrives for a dropped receive goes to the
    /// next, with its descriptors, whole as far as the buffer had room. The buffer is freed once
    /// the kernel lets go of it.
    ///
    /// # Kernel
    ///
    /// As [`recv_msg`](Self::recv_msg).
    pub async fn recv<B: IoBufMut>(&self, buf: B) -> BufResult<Option<usize>, B> {
        let ((received, meta), buf) = self.0.recv_msg(buf).await?;
        Ok((is_message(received, &meta).then_some(received), buf))
    }

    /// As [`recv`](Self::recv), with the descriptors and, where the socket was
    /// [told to say](Self::set_recv_credentials), the sender's credentials.
    ///
    /// # Errors
    ///
    /// The connection's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv). Descriptors that nobody takes are closed with the connection.
    ///
    /// # Kernel
    ///
    /// As [`recv_msg`](Self::recv_msg), with `MSG_CMSG_CLOEXEC`.
    pub async fn recv_with_fds<B: IoBufMut>(&self, buf: B) -> BufResult<Option<Passed>, B> {
        let ((received, meta), buf) = self.0.recv_msg(buf).await?;
        let passed = is_message(received, &meta).then(|| Passed::new(received, meta));
        Ok((passed, buf))
    }

    /// As [`recv`](Self::recv), with all that came along.
    ///
    /// # Errors
    ///
    /// The connection's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Kernel
    ///
    /// `IORING_OP_RECVMSG` (Linux 5.3); on the `poll` driver `recvmsg(2)` when the socket is
    /// readable.
    pub async fn recv_msg<B: IoBufMut>(&self, buf: B) -> BufResult<Option<(usize, Meta)>, B> {
        let ((received, meta), buf) = self.0.recv_msg(buf).await?;
        let message = is_message(received, &meta).then_some((received, meta));
        Ok((message, buf))
    }

    /// Has each message say who sent it: process, user and group, as the kernel vouches for.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` elsewhere than on Linux.
    pub fn set_recv_credentials(&self, on: bool) -> io::Result<()> {
        set_report(&self.0.socket, Report::Credentials, on)
    }

    /// Shuts down a half, or both. Does not wait.
    ///
    /// # Errors
    ///
    /// The system's, as `NotConnected`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.socket.shutdown(how)
    }
}

/// Whether it is one and not the end.
fn is_message(received: usize, meta: &Meta) -> bool {
    received > 0 || meta.timestamp.is_some()
}

/// A listener for [`UnixSeqpacket`] connections, of this shard.
///
/// The name of a listener stays in the file system when the listener is gone: remove it before
/// another binds it.
///
/// # Examples
///
/// ```no_run
/// use annulet_net::UnixSeqpacketListener;
///
/// # async fn example() -> std::io::Result<()> {
/// let listener = UnixSeqpacketListener::bind("/run/example")?;
/// let connection = listener.accept().await?;
/// connection.send(b"hello").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UnixSeqpacketListener(Acceptor);

lends_descriptor!(UnixSeqpacketListener, |this| &*this.0.socket);

impl UnixSeqpacketListener {
    /// Listens by this name, which must not exist.
    ///
    /// # Errors
    ///
    /// The system's, as `AddrInUse`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// As [`bind`](Self::bind), by an address, which on Linux may be abstract.
    ///
    /// # Errors
    ///
    /// The system's, as `AddrInUse`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        socket.bind(&to_system(address)?)?;
        socket.listen(BACKLOG)?;
        let context = Context::current();
        Ok(Self(Acceptor::new(context.driver(), socket)?))
    }

    /// Takes the next connection.
    ///
    /// # Errors
    ///
    /// The system's, as when it is out of descriptors; the next call tries again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a connection that arrives for a dropped accept goes to the next one.
    ///
    /// # Kernel
    ///
    /// One multishot `IORING_OP_ACCEPT` (Linux 5.19) for all connections; without it, one entry for
    /// each (5.5); on the `poll` driver, `accept(2)` when the listener is readable.
    pub async fn accept(&self) -> io::Result<UnixSeqpacket> {
        let turn = self.0.turns.join();
        let socket = poll_fn(|cx| turn.note(self.0.poll_accept(cx), cx)).await?;
        UnixSeqpacket::from_socket(self.0.socket.driver(), socket)
    }

    /// The name it listens by.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        from_system(&self.0.socket.local_addr()?).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
