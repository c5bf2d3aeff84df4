//! A socket before it connects or listens, for options that must be set by then.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use annulet_runtime::Context;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::listener::{TcpListener, share_port};
use super::options::system;
use super::stream::TcpStream;
use crate::stream::ByteStream;

/// A TCP socket that neither is connected nor listens yet.
///
/// Accepted connections inherit most options from their listener. All options can be set here;
/// those that make sense for a connection have the same names at [`TcpStream`].
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
/// use annulet_net::{Keepalive, TcpSocket, TcpStream};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let address = SocketAddr::from(([127, 0, 0, 1], 0));
/// let socket = TcpSocket::for_address(address)?;
/// socket.set_reuse_address(true)?;
/// socket.set_nodelay(true)?;
/// socket.set_keepalive(Some(Keepalive::new().with_retries(5)))?;
/// socket.bind(address)?;
/// let listener = socket.listen(1024)?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (stream, _) = listener.accept().await?;
/// # if cfg!(target_os = "linux") {
/// assert!(stream.nodelay()?, "inherited");
/// # }
/// # drop(client);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpSocket {
    socket: Socket,
    v6: bool,
    linger: Cell<Option<Duration>>,
}

tcp_options!(TcpSocket);
lends_descriptor!(TcpSocket, |this| this.socket());

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket")
            .field("local", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    ///
    /// The system's, as when it is out of descriptors.
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// A socket for IPv6, and for IPv4 unless [`set_only_v6`](Self::set_only_v6) says otherwise or
    /// the system does.
    ///
    /// # Errors
    ///
    /// The system's, as when it has no IPv6.
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    /// A socket for addresses such as this.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn for_address(address: SocketAddr) -> io::Result<Self> {
        Self::new(Domain::for_address(address))
    }

    fn new(domain: Domain) -> io::Result<Self> {
        Ok(Self {
            socket: Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?,
            v6: domain == Domain::IPV6,
            linger: Cell::new(None),
        })
    }

    fn socket(&self) -> &Socket {
        &self.socket
    }

    #[expect(clippy::unnecessary_wraps, reason = "a connected socket has to ask")]
    fn is_v6(&self) -> io::Result<bool> {
        Ok(self.v6)
    }

    fn linger_cell(&self) -> &Cell<Option<Duration>> {
        &self.linger
    }

    /// Gives it this address; port 0 for any.
    ///
    /// # Errors
    ///
    /// The system's, as `AddrInUse`.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.socket.bind(&SockAddr::from(address))
    }

    /// The address it was given.
    ///
    /// # Errors
    ///
    /// The system's; on Windows, before it has one.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Connects to `address`.
    ///
    /// With [`set_fast_open_connect`](Self::set_fast_open_connect) it may complete before the peer
    /// has heard of it.
    ///
    /// # Errors
    ///
    /// The system's, as `ConnectionRefused`.
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
    /// As [`TcpStream::connect`].
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = ByteStream::connect(self.socket, SockAddr::from(address)).await?;
        stream.linger.set(self.linger.get());
        Ok(TcpStream(stream))
    }

    /// Listens, with a queue of so many connections that nobody has accepted yet. The system has a
    /// bound of its own.
    ///
    /// # Errors
    ///
    /// The system's, as `AddrInUse`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let _shard = Context::current();
        self.socket
            .listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::from_socket(self.socket)
    }

    /// Whether the address may still be in use by connections that are closing.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn reuse_address(&self) -> io::Result<bool> {
        self.socket.reuse_address()
    }

    /// Lets a server start again while old connections of its address are still closing
    /// (`SO_REUSEADDR`). On Windows it means more: to take a port that another program uses.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_reuse_address(&self, on: bool) -> io::Result<()> {
        self.socket.set_reuse_address(on)
    }

    /// Whether the port may be shared.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` where it has no such option.
    pub fn reuse_port(&self) -> io::Result<bool> {
        reuse_port(&self.socket)
    }

    /// Shares the port with other sockets that do the same (`SO_REUSEPORT`): Linux spreads
    /// connections among such listeners.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` where it has no such option.
    pub fn set_reuse_port(&self, on: bool) -> io::Result<()> {
        share_port(&self.socket, on)
    }

    /// Whether a socket for IPv6 is for that alone.
    ///
    /// # Errors
    ///
    /// The system's; `InvalidInput` for a socket for IPv4.
    pub fn only_v6(&self) -> io::Result<bool> {
        self.must_be_v6()?;
        self.socket.only_v6()
    }

    /// Keeps IPv4 off a socket for IPv6 (`IPV6_V6ONLY`).
    ///
    /// # Errors
    ///
    /// The system's; `InvalidInput` for a socket for IPv4.
    pub fn set_only_v6(&self, on: bool) -> io::Result<()> {
        self.must_be_v6()?;
        self.socket.set_only_v6(on)
    }

    fn must_be_v6(&self) -> io::Result<()> {
        if self.v6 {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "IPV6_V6ONLY is for sockets for IPv6",
        ))
    }

    /// Uses this network interface alone (`SO_BINDTODEVICE`); `None` for any.
    ///
    /// # Errors
    ///
    /// `NotFound` or "no such device" for a name that is none; `Unsupported` on systems other than
    /// Linux.
    pub fn bind_device(&self, name: Option<&[u8]>) -> io::Result<()> {
        system::bind_device(&self.socket, name)
    }

    /// Connections to a listener that may have sent data before they are known to be genuine.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` on systems other than Linux.
    pub fn fast_open_queue(&self) -> io::Result<u32> {
        system::fast_open_queue(&self.socket)
    }

    /// Has a listener take data with the first packet of a connection, from so many at once
    /// (`TCP_FASTOPEN`). Such data may come twice: only for requests that may be done twice.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` on systems other than Linux.
    pub fn set_fast_open_queue(&self, queue: u32) -> io::Result<()> {
        system::set_fast_open_queue(&self.socket, queue)
    }

    /// Whether the first bytes sent may open the connection.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` on systems other than Linux.
    pub fn fast_open_connect(&self) -> io::Result<bool> {
        system::fast_open_connect(&self.socket)
    }

    /// Sends the first bytes with the packet that opens the connection (`TCP_FASTOPEN_CONNECT`), to
    /// a peer that was talked to before. [`connect`](Self::connect) then completes at once, and
    /// failures to connect are those of the first write, which must come before a read.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` on systems other than Linux.
    pub fn set_fast_open_connect(&self, on: bool) -> io::Result<()> {
        system::set_fast_open_connect(&self.socket, on)
    }
}

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
fn reuse_port(socket: &Socket) -> io::Result<bool> {
    socket.reuse_port()
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos")))))]
fn reuse_port(_socket: &Socket) -> io::Result<bool> {
    super::options::unsupported("SO_REUSEPORT")
}
