//! Local sockets of datagrams.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use annulet_runtime::buf::{BufError, BufResult, IoBuf, IoBufMut};
use annulet_runtime::op::{Attach, LOCAL_CONTROL_BYTES, Meta, Op, Report, Send, set_report};
use annulet_runtime::{Context, Driver};
use socket2::{Domain, SockAddr, Socket, Type};

use super::address::{from_system, to_system};
use crate::ancillary::{Passed, attach};
use crate::datagram::MessageSocket;

/// A local socket of datagrams, of this shard.
///
/// Datagrams arrive whole, in order and without loss: a send waits while the receiver's queue is
/// full. Each may carry open descriptors. A descriptor that arrives with a datagram that is
/// received without asking for it is closed.
///
/// The name of a bound socket stays in the file system when the socket is gone: remove it before
/// another binds it.
///
/// # Examples
///
/// ```
/// use annulet_net::UnixDatagram;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let (near, far) = UnixDatagram::pair()?;
/// near.send(b"hello").await?;
/// let (received, buf) = far.recv(Vec::with_capacity(64)).await?;
/// assert_eq!(&buf[..received], b"hello");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixDatagram(MessageSocket);

lends_descriptor!(UnixDatagram, |this| &*this.0.socket);

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixDatagram")
            .field("local", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

impl UnixDatagram {
    /// A socket with this name, which must not exist.
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
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        socket.bind(&to_system(address)?)?;
        Self::from_socket(Context::current().driver(), socket)
    }

    /// A socket without a name: it can send, and receives once it is connected to.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn unbound() -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        Self::from_socket(Context::current().driver(), socket)
    }

    /// Two sockets connected to each other.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (near, far) = Socket::pair(Domain::UNIX, Type::DGRAM, None)?;
        let context = Context::current();
        let driver = context.driver();
        Ok((
            Self::from_socket(driver, near)?,
            Self::from_socket(driver, far)?,
        ))
    }

    /// Takes over a socket.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<Self> {
        Self::from_socket(Context::current().driver(), Socket::from(socket))
    }

    fn from_socket(driver: &Driver, socket: Socket) -> io::Result<Self> {
        Ok(Self(MessageSocket::new(
            driver,
            socket,
            LOCAL_CONTROL_BYTES,
        )?))
    }

    /// Gives the socket up, in blocking mode, once nothing uses it.
    ///
    /// # Errors
    ///
    /// The system's; `InvalidInput` where datagrams have been received that nobody has taken, with
    /// which the socket is closed: receive them first.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future closes the socket.
    pub async fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        Ok(self.0.into_socket().await?.into())
    }

    /// Sets whom to send to and receive from. Does not wait.
    ///
    /// # Errors
    ///
    /// The system's, as `NotFound` or `ConnectionRefused` where nobody has this name.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// As [`connect`](Self::connect), by an address, which on Linux may be abstract.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.0.socket.connect(&to_system(address)?)
    }

    /// Sends a datagram to whom the socket is connected.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer: `ConnectionRefused` where the other socket is gone.
    ///
    /// # Cancel safety
    ///
    /// The datagram is sent or not when the future has been dropped, but never in part. The buffer
    /// is freed once the kernel lets go of it.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_SEND` (Linux 5.6); on the `poll` driver `send(2)` when the socket is writable.
    pub async fn send<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        Op::new(self.0.socket.driver(), Send::new(&self.0.socket, buf, 0)).await
    }

    /// Sends a datagram to a path.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    ///
    /// # Kernel
    ///
    /// `IORING_OP_SENDMSG` (Linux 5.3); on the `poll` driver `sendmsg(2)` when the socket is
    /// writable.
    pub async fn send_to<B: IoBuf>(&self, buf: B, path: impl AsRef<Path>) -> BufResult<usize, B> {
        match SockAddr::unix(path) {
            Ok(to) => self.0.send_msg(buf, to_only(to)).await,
            Err(error) => Err(BufError::new(error, buf, 0)),
        }
    }

    /// As [`send_to`](Self::send_to), to an address, which on Linux may be abstract.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    ///
    /// # Kernel
    ///
    /// As [`send_to`](Self::send_to).
    pub async fn send_to_addr<B: IoBuf>(&self, buf: B, to: &SocketAddr) -> BufResult<usize, B> {
        match to_system(to) {
            Ok(to) => self.0.send_msg(buf, to_only(to)).await,
            Err(error) => Err(BufError::new(error, buf, 0)),
        }
    }

    /// Sends a datagram with descriptors to whom the socket is connected. They are duplicated
    /// first, so the caller's may be closed at once.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer: `InvalidInput` for more than 253 descriptors, or its limit of
    /// open ones.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send): the descriptors go with the datagram or not at all.
    ///
    /// # Kernel
    ///
    /// As [`send_to`](Self::send_to).
    pub async fn send_with_fds<B: IoBuf>(
        &self,
        buf: B,
        fds: &[BorrowedFd<'_>],
    ) -> BufResult<usize, B> {
        match attach(fds) {
            Ok(attach) => self.0.send_msg(buf, attach).await,
            Err(error) => Err(BufError::new(error, buf, 0)),
        }
    }

    /// Receives the next datagram into `buf` and sets its length. What does not fit is lost:
    /// [`recv_msg`](Self::recv_msg) says so. Descriptors that came along are closed.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe for the socket: a datagram that arrives for a dropped receive goes to the next,
    /// with its descriptors, whole as far as the buffer had room. The buffer is freed once the
    /// kernel lets go of it.
    ///
    /// # Kernel
    ///
    /// As [`recv_msg`](Self::recv_msg).
    pub async fn recv<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        let ((received, _), buf) = self.0.recv_msg(buf).await?;
        Ok((received, buf))
    }

    /// As [`recv`](Self::recv), and says who has sent it: `None` for a socket without a name.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Kernel
    ///
    /// As [`recv_msg`](Self::recv_msg).
    pub async fn recv_from<B: IoBufMut>(
        &self,
        buf: B,
    ) -> BufResult<(usize, Option<SocketAddr>), B> {
        let ((received, meta), buf) = self.0.recv_msg(buf).await?;
        let source = meta.source.as_ref().and_then(from_system);
        Ok(((received, source), buf))
    }

    /// As [`recv`](Self::recv), with the descriptors and, where the socket was
    /// [told to say](Self::set_recv_credentials), the sender's credentials.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv). Descriptors that nobody takes are closed with the socket.
    ///
    /// # Kernel
    ///
    /// As [`recv_msg`](Self::recv_msg), with `MSG_CMSG_CLOEXEC`.
    pub async fn recv_with_fds<B: IoBufMut>(&self, buf: B) -> BufResult<Passed, B> {
        let ((received, meta), buf) = self.0.recv_msg(buf).await?;
        Ok((Passed::new(received, meta), buf))
    }

    /// As [`recv`](Self::recv), with all that came along.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Kernel
    ///
    /// `IORING_OP_RECVMSG` (Linux 5.3); on the `poll` driver `recvmsg(2)` when the socket is
    /// readable.
    pub async fn recv_msg<B: IoBufMut>(&self, buf: B) -> BufResult<(usize, Meta), B> {
        self.0.recv_msg(buf).await
    }

    /// Copies the next datagram into `buf` and leaves it for the next receive.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it takes nothing.
    ///
    /// # Kernel
    ///
    /// As [`recv_msg`](Self::recv_msg), with `MSG_PEEK`.
    pub async fn peek<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        let ((received, _), buf) = self.0.peek_msg(buf).await?;
        Ok((received, buf))
    }

    /// Has each datagram say who sent it: process, user and group, as the kernel vouches for.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` elsewhere than on Linux.
    pub fn set_recv_credentials(&self, on: bool) -> io::Result<()> {
        set_report(&self.0.socket, Report::Credentials, on)
    }

    /// The name of this end; unnamed where it has none.
    ///
    /// # Errors
    ///
    /// The system's; `InvalidData` for a socket without a name.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        from_system(&self.0.socket.local_addr()?).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The name of whom the socket is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected`, or the system's; `InvalidData` for a socket without a name.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        from_system(&self.0.socket.peer_addr()?).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

fn to_only(to: SockAddr) -> Attach {
    Attach {
        to: Some(to),
        ..Attach::default()
    }
}
