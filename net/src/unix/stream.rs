//! A connected stream.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;

use annulet_runtime::Context;
use annulet_runtime::buf::{BufResult, IoBuf, IoBufMut};
use annulet_runtime::op::{Report, set_report};
use annulet_runtime::sys::socket::{self, PeerCredentials};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{from_system, to_system};
use crate::ancillary::{self, Passed};
use crate::stream::{ByteStream, HeldTurn, expect_kind};

/// A Unix stream of this shard: a connection within the machine.
///
/// As with TCP's, one task can read while another writes, and of several that read at once each
/// byte goes to one.
///
/// # Examples
///
/// ```
/// use annulet_net::UnixStream;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let (here, there) = UnixStream::pair()?;
/// here.write_all(b"hello").await?;
/// let hello = there.recv().await?.expect("not the end");
/// assert_eq!(&*hello, b"hello");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixStream(pub(crate) Box<ByteStream>);

stream_methods!(UnixStream);
poll_traits!(UnixStream);
split_methods!(UnixStream);
handover_methods!(UnixStream, std::os::unix::net::UnixStream);
lends_descriptor!(UnixStream, |this| &*this.0.socket);

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixStream")
            .field("peer", &self.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

impl UnixStream {
    /// Sends bytes, and descriptors with the first of them; says how much the kernel took. The
    /// descriptors are duplicated first, so the caller's may be closed at once.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); `InvalidInput` for descriptors without a byte to go with, and for
    /// more than 253.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part may be sent, with the descriptors if it is any. What waits
    /// for its turn has sent nothing.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_SENDMSG` (Linux 5.3); on the `poll` driver `sendmsg(2)` when the stream is
    /// writable.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::fd::AsFd;
    ///
    /// use annulet_net::UnixStream;
    ///
    /// # annulet_runtime::Builder::new().build()?.block_on(async {
    /// let (near, far) = UnixStream::pair()?;
    /// let file = std::fs::File::open("/")?;
    /// near.send_with_fds(b"take this".to_vec(), &[file.as_fd()]).await?;
    /// let (passed, bytes) = far.recv_with_fds(Vec::with_capacity(64)).await?;
    /// assert_eq!((&bytes[..], passed.fds.len()), (&b"take this"[..], 1));
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn send_with_fds<B: IoBuf>(
        &self,
        buf: B,
        fds: &[BorrowedFd<'_>],
    ) -> BufResult<usize, B> {
        let _turn = HeldTurn::of(&self.0).await;
        ancillary::send_with_fds(&self.0.socket, buf, fds).await
    }

    /// Reads into `buf` what comes next, with its descriptors and, where the stream was
    /// [told to say](Self::set_recv_credentials), the sender's credentials.
    ///
    /// The other ways to read drop descriptors. So a stream that may bring some is read by this
    /// alone, until no more come.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); `InvalidInput` once another way to read has bytes of the stream or
    /// has asked for them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped receive has taken nothing.
    ///
    /// # Kernel
    ///
    /// `recvmsg(2)` with `MSG_CMSG_CLOEXEC` when the stream is readable.
    pub async fn recv_with_fds<B: IoBufMut>(&self, buf: B) -> BufResult<Passed, B> {
        ancillary::recv_with_fds(&self.0.socket, self.0.is_engaged(), buf).await
    }

    /// Has [`recv_with_fds`](Self::recv_with_fds) say who sent what it gets (`SO_PASSCRED`).
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` where it has no such option.
    pub fn set_recv_credentials(&self, on: bool) -> io::Result<()> {
        set_report(&self.0.socket, Report::Credentials, on)
    }

    /// Connects to the listener at `path`. Where its queue is full, waits for room in it.
    ///
    /// # Errors
    ///
    /// The system's, as `NotFound`, or `ConnectionRefused` where a file is left but nobody listens.
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
    /// `IORING_OP_CONNECT` (Linux 5.5); on the `poll` driver a non-blocking `connect(2)`, tried
    /// again on a timer while the queue is full, since no readiness tells of it.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connect_to(SockAddr::unix(path.as_ref())?).await
    }

    /// Connects to the listener at `address`, which can also be an abstract name of Linux.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); `InvalidInput` for an address without a name.
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
        Self::connect_to(to_system(address)?).await
    }

    async fn connect_to(address: SockAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        ByteStream::connect(socket, address).await.map(Self)
    }

    /// Two streams connected to each other.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn pair() -> io::Result<(Self, Self)> {
        let context = Context::current();
        let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        let stream = |socket| ByteStream::new(context.driver(), socket).map(Self);
        Ok((stream(near)?, stream(far)?))
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
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        let context = Context::current();
        ByteStream::adopt(context.driver(), Socket::from(stream)).map(Self)
    }

    /// Takes over a descriptor, which must be a Unix stream socket that does not listen.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything else, which is then closed; the system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let context = Context::current();
        let socket = Socket::from(fd);
        expect_kind(&socket, &[Domain::UNIX], false, "Unix stream")?;
        ByteStream::adopt(context.driver(), socket).map(Self)
    }

    /// The address of this end, which mostly has no name.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        from_system(&self.0.socket.local_addr()?)
    }

    /// The address of the other end; one that connected mostly has no name.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        from_system(&self.0.socket.peer_addr()?)
    }

    /// Who is at the other end: the user, the group and, on Linux, the process that connected, or
    /// that listened, at that time.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn peer_credentials(&self) -> io::Result<PeerCredentials> {
        socket::peer_credentials(self.0.socket.as_fd())
    }

    /// Bytes of the kernel's buffer for what was sent and not taken.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn send_buffer_bytes(&self) -> io::Result<usize> {
        self.0.socket.send_buffer_size()
    }

    /// Asks for a buffer of so many bytes for what was sent and not taken (`SO_SNDBUF`). Linux
    /// doubles it, for its own needs, and has a least.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_send_buffer_bytes(&self, bytes: usize) -> io::Result<()> {
        self.0.socket.set_send_buffer_size(bytes)
    }
}
