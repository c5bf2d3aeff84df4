//! A UDP socket: making one, and sending and receiving by futures.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use annulet_runtime::buf::{BufError, BufResult, IoBuf, IoBufMut};
use annulet_runtime::op::{Attach, Connect, Datagram, Meta, Op, Send, UDP_CONTROL_BYTES};
use annulet_runtime::{Code, Context, Driver};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::addr::{ToAddrs, lookup};
use crate::datagram::{MessageSocket, send_msg};

/// A UDP socket of this shard.
///
/// Its methods need no more than a shared reference, so one task can receive while others send.
/// Several tasks may also receive at once: each datagram goes to one of them.
///
/// There are two ways to receive. [`recv`](Self::recv) and [`recv_many`](Self::recv_many) give
/// datagrams in buffers of the shard's, by one request for all of them: the cheapest way, for
/// datagrams that fit into such a buffer (4096 bytes unless the runtime's builder says otherwise,
/// less up to 236 for what goes in front of a datagram). [`recv_from`](Self::recv_from) and
/// [`recv_msg`](Self::recv_msg) receive into a buffer of the caller's, of any size. Both ways mix,
/// and neither loses a datagram when its future is dropped.
///
/// # Examples
///
/// ```
/// use annulet_net::UdpSocket;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// client.connect(server.local_addr()?).await?;
/// client.send(b"ping").await?;
///
/// let datagram = server.recv().await?;
/// let from = datagram.meta.source_addr().expect("UDP says who sends");
/// server.send_to(datagram, from).await?;
///
/// let (received, answer) = client.read(Vec::with_capacity(64)).await?;
/// assert_eq!(&answer[..received], b"ping");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket(pub(super) MessageSocket);

lends_descriptor!(UdpSocket, |this| &*this.0.socket);

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

impl UdpSocket {
    /// A socket with this address; of a name's addresses, the first that can be had.
    ///
    /// # Errors
    ///
    /// The last address's failure, as `AddrInUse`, or the lookup's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is bound before it completes.
    pub async fn bind(address: impl ToAddrs) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::InvalidInput);
        for addr in lookup(address).await? {
            match Self::open(addr, false) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A socket with an address that other sockets have as well: one per shard, among which the
    /// kernel spreads the senders (`SO_REUSEPORT`).
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` where it has no such option.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn bind_shared(address: SocketAddr) -> io::Result<Self> {
        Self::open(address, true)
    }

    fn open(addr: SocketAddr, shared: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if shared {
            crate::tcp::share_port(&socket, true)?;
        }
        socket.bind(&SockAddr::from(addr))?;
        Self::from_socket(Context::current().driver(), socket)
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
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        Self::from_socket(Context::current().driver(), Socket::from(socket))
    }

    fn from_socket(driver: &Driver, socket: Socket) -> io::Result<Self> {
        Ok(Self(MessageSocket::new(driver, socket, UDP_CONTROL_BYTES)?))
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
    pub async fn into_std(self) -> io::Result<std::net::UdpSocket> {
        let socket = self.0.into_socket().await?;
        Ok(socket.into())
    }

    /// Sets whom to send to and receive from: datagrams of others are no longer received.
    ///
    /// # Errors
    ///
    /// The last address's failure, or the lookup's.
    ///
    /// # Cancel safety
    ///
    /// The socket may be connected or not when the future has been dropped.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_CONNECT` (Linux 5.5), which for UDP never waits.
    pub async fn connect(&self, address: impl ToAddrs) -> io::Result<()> {
        let v6 = self.0.socket.local_addr()?.is_ipv6();
        let mut last = io::Error::from(io::ErrorKind::InvalidInput);
        for addr in lookup(address).await? {
            if addr.is_ipv6() != v6 && addr.is_ipv6() {
                continue;
            }
            let driver = self.0.socket.driver();
            let addr = SockAddr::from(addr);
            let connected = if driver.has_code(Code::Connect) {
                Op::new(driver, Connect::new(&self.0.socket, addr)).await
            } else {
                self.0.socket.connect(&addr)
            };
            match connected {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends a datagram to whom the socket is connected.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer: `ConnectionRefused` where an earlier datagram found nobody,
    /// in which case this one was not sent. The socket stays usable.
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

    /// Sends a datagram to an address.
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
    pub async fn send_to<B: IoBuf>(&self, buf: B, to: SocketAddr) -> BufResult<usize, B> {
        let attach = Attach {
            to: Some(to.into()),
            ..Attach::default()
        };
        self.0.send_msg(buf, attach).await
    }

    /// Sends one datagram made of several buffers, in order; `to` is `None` on a connected socket.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    ///
    /// # Kernel
    ///
    /// As [`send_to`](Self::send_to).
    pub async fn send_vectored<B: IoBuf>(
        &self,
        bufs: Vec<B>,
        to: Option<SocketAddr>,
    ) -> BufResult<usize, Vec<B>> {
        let attach = Attach {
            to: to.map(SockAddr::from),
            ..Attach::default()
        };
        send_msg(&self.0.socket, bufs, attach).await
    }

    /// Receives the next datagram into a buffer of the shard's, with its sender and whatever else
    /// the socket was told to say.
    ///
    /// No buffer is taken before a datagram is there. One larger than the buffer is cut, and says
    /// so.
    ///
    /// # Errors
    ///
    /// The system's, as `ConnectionRefused` where a connected socket's datagram found nobody; the
    /// next call receives on. `InvalidInput` while the kernel puts datagrams together
    /// ([`set_gro`](Self::set_gro)), which takes larger buffers: [`recv_msg`](Self::recv_msg).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: datagrams belong to the socket, and the next receive gets them.
    ///
    /// # Kernel
    ///
    /// One multishot `IORING_OP_RECVMSG` with provided buffers (Linux 6.0) for all receives;
    /// without it, and on the `poll` driver, `recvmsg(2)` when the socket is readable.
    pub async fn recv(&self) -> io::Result<Datagram> {
        self.refuse_coalesced()?;
        self.0.recv().await
    }

    /// Receives the next datagram, and with it as many as have come already, at most `most`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). An error after some datagrams is said by the next receive.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, as [`recv`](Self::recv).
    ///
    /// # Kernel
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_many(&self, most: usize) -> io::Result<Vec<Datagram>> {
        self.refuse_coalesced()?;
        self.0.recv_many(most).await
    }

    /// Receives the next datagram into `buf` and sets its length. What does not fit is lost:
    /// [`recv_msg`](Self::recv_msg) says so.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), with the buffer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe for the socket: a datagram that arrives for a dropped receive goes to the next,
    /// whole as far as the buffer had room. The buffer is freed once the kernel lets go of it.
    ///
    /// # Kernel
    ///
    /// As [`recv_msg`](Self::recv_msg).
    pub async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        let ((received, _), buf) = self.0.recv_msg(buf).await?;
        Ok((received, buf))
    }

    /// As [`read`](Self::read), and says who has sent it.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), with the buffer.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    ///
    /// # Kernel
    ///
    /// As [`recv_msg`](Self::recv_msg).
    pub async fn recv_from<B: IoBufMut>(&self, buf: B) -> BufResult<(usize, SocketAddr), B> {
        with_source(self.0.recv_msg(buf).await)
    }

    /// As [`read`](Self::read), with all that came along: sender, destination, congestion mark,
    /// the size of the datagrams put together, and whether it was cut.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), with the buffer.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
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
    /// As [`recv`](Self::recv), with the buffer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it takes nothing.
    ///
    /// # Kernel
    ///
    /// As [`recv_msg`](Self::recv_msg), with `MSG_PEEK`.
    pub async fn peek_from<B: IoBufMut>(&self, buf: B) -> BufResult<(usize, SocketAddr), B> {
        with_source(self.0.peek_msg(buf).await)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet(&self.0.socket.local_addr()?)
    }

    /// Whom the socket is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected`, or the system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        internet(&self.0.socket.peer_addr()?)
    }

    /// The address that stands for all of this family, with a port that the system chooses: for a
    /// socket that connects to `peer`.
    #[must_use]
    pub fn any_for(peer: SocketAddr) -> SocketAddr {
        match peer {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }
}

fn internet(address: &SockAddr) -> io::Result<SocketAddr> {
    address
        .as_socket()
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn with_source<B>(answer: BufResult<(usize, Meta), B>) -> BufResult<(usize, SocketAddr), B> {
    let ((received, meta), buf) = answer?;
    match meta.source_addr() {
        Some(source) => Ok(((received, source), buf)),
        None => Err(BufError::new(io::ErrorKind::InvalidData.into(), buf, 0)),
    }
}
