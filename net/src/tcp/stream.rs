//! A connected stream.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use annulet_runtime::op::{Connect, Op};
use annulet_runtime::{Code, Context, Driver};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::addr::{ToAddrs, lookup};
use crate::stream::ByteStream;

/// A TCP connection of this shard.
///
/// Its methods need no more than a shared reference, so that one task can read while another
/// writes. Several may also read at once: each byte goes to one of them, in the order in which
/// their reads complete; whose turn is next is not promised. Of several writes at once each keeps
/// its own order, but the kernel may take them in parts, and then they mingle: let one task write.
pub struct TcpStream(pub(crate) ByteStream);

stream_methods!(TcpStream);
poll_traits!(TcpStream);

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
            stream.0.socket.set_nonblocking(true)?;
        }
        Op::new(driver, Connect::new(&stream.0.socket, SockAddr::from(addr))).await?;
        if attempted {
            stream.0.socket.set_nonblocking(false)?;
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
        Ok(Self(ByteStream::new(driver, socket)?))
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0
            .socket
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
        self.0
            .socket
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
        self.0.socket.set_tcp_nodelay(on)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.socket.tcp_nodelay()
    }
}
