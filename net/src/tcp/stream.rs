//! A connected stream.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use annulet_runtime::{Context, Driver};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::info::TcpInfo;
use super::options::system;
use crate::addr::ToAddrs;
use crate::connect::Connector;
use crate::stream::ByteStream;

/// A TCP connection of this shard.
///
/// Its methods need no more than a shared reference, so that one task can read while another
/// writes. Several may also read at once: each byte goes to one of them, in the order in which
/// their reads complete; whose turn is next is not promised. Several writes at once are sent one
/// after the other, each of them whole, in the order in which they began. Those of the poll traits
/// may take a part, and so mingle with others: let one task use these.
pub struct TcpStream(pub(crate) Box<ByteStream>);

stream_methods!(TcpStream);
poll_traits!(TcpStream);
split_methods!(TcpStream);
handover_methods!(TcpStream, std::net::TcpStream);
tcp_options!(TcpStream);
lends_descriptor!(TcpStream, |this| this.socket());

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("peer", &self.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

impl TcpStream {
    /// Connects to `address`; of a name's addresses, to the first that answers, as a
    /// [`Connector`] without settings does.
    ///
    /// # Errors
    ///
    /// As [`Connector::connect`].
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
        const PLAIN: &Connector = &Connector::new();
        PLAIN.connect(address).await
    }

    /// Connects a new socket to `addr`, once it is prepared.
    pub(crate) async fn connect_one(
        addr: SocketAddr,
        prepare: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        prepare(&socket)?;
        ByteStream::connect(socket, SockAddr::from(addr))
            .await
            .map(Self)
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
        let context = Context::current();
        ByteStream::adopt(context.driver(), Socket::from(stream)).map(Self)
    }

    /// Takes over a descriptor, which must be a TCP socket that does not listen.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything else, which is then closed; the system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[cfg(unix)]
    pub fn from_fd(fd: std::os::fd::OwnedFd) -> io::Result<Self> {
        let context = Context::current();
        let socket = Socket::from(fd);
        let domains = [Domain::IPV4, Domain::IPV6];
        crate::stream::expect_kind(&socket, &domains, false, "TCP stream")?;
        ByteStream::adopt(context.driver(), socket).map(Self)
    }

    /// What the kernel knows of the connection: round-trip time, losses, how much may be under way.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` on systems other than Linux.
    ///
    /// # Kernel
    ///
    /// `TCP_INFO`.
    pub fn tcp_info(&self) -> io::Result<TcpInfo> {
        system::tcp_info(self.socket())
    }

    fn socket(&self) -> &Socket {
        &self.0.socket
    }

    fn is_v6(&self) -> io::Result<bool> {
        Ok(self.local_addr()?.is_ipv6())
    }

    fn linger_cell(&self) -> &Cell<Option<Duration>> {
        &self.0.linger
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
}
