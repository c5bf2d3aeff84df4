//! Sockets between a virtual machine and its host (`AF_VSOCK`), on Linux.
//!
//! Addresses are numbers: one for the machine, its context id or CID, and one for the port. Streams
//! and listeners are as TCP's otherwise.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use annulet_runtime::Context;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::listen::Acceptor;
use crate::stream::{ByteStream, expect_kind};

/// Connections that the kernel queues for a listener.
const BACKLOG: i32 = 1024;

/// Where a socket of a virtual machine is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VsockAddr {
    /// The machine: see the constants.
    pub cid: u32,
    /// The port. Those below 1024 need privileges to bind.
    pub port: u32,
}

impl VsockAddr {
    /// To listen for all machines.
    pub const CID_ANY: u32 = u32::MAX;
    /// This machine itself, where the kernel has `vsock_loopback` (Linux 5.6).
    pub const CID_LOCAL: u32 = 1;
    /// The host, seen from a virtual machine.
    pub const CID_HOST: u32 = 2;
    /// To be given a free port.
    pub const PORT_ANY: u32 = u32::MAX;

    /// A port of a machine.
    #[must_use]
    pub const fn new(cid: u32, port: u32) -> Self {
        Self { cid, port }
    }

    fn from_system(address: &SockAddr) -> io::Result<Self> {
        let (cid, port) = address.as_vsock_address().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "not an address of AF_VSOCK")
        })?;
        Ok(Self { cid, port })
    }

    fn to_system(self) -> SockAddr {
        SockAddr::vsock(self.cid, self.port)
    }
}

impl fmt::Display for VsockAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.cid, self.port)
    }
}

/// A connection of this shard between a virtual machine and its host.
///
/// # Examples
///
/// ```no_run
/// use annulet_net::vsock::{VsockAddr, VsockStream};
///
/// # async fn example() -> std::io::Result<()> {
/// let stream = VsockStream::connect(VsockAddr::new(VsockAddr::CID_HOST, 5000)).await?;
/// stream.write_all(b"hello, host").await?;
/// # Ok(())
/// # }
/// ```
pub struct VsockStream(pub(crate) Box<ByteStream>);

stream_methods!(VsockStream);
poll_traits!(VsockStream);
lends_descriptor!(VsockStream, |this| &*this.0.socket);
split_methods!(VsockStream);
handover_methods!(VsockStream);

impl fmt::Debug for VsockStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VsockStream")
            .field("peer", &self.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

impl VsockStream {
    /// Connects to a listener of another machine, or of this one.
    ///
    /// # Errors
    ///
    /// The system's: `ConnectionReset` where nobody listens, `TimedOut` after two seconds where no
    /// such machine answers, and that the address family is not supported.
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
    pub async fn connect(address: VsockAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::VSOCK, Type::STREAM, None)?;
        ByteStream::connect(socket, address.to_system())
            .await
            .map(Self)
    }

    /// Takes over a descriptor, which must be such a socket that does not listen.
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
        expect_kind(&socket, &[Domain::VSOCK], false, "vsock stream")?;
        ByteStream::adopt(context.driver(), socket).map(Self)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<VsockAddr> {
        VsockAddr::from_system(&self.0.socket.local_addr()?)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn peer_addr(&self) -> io::Result<VsockAddr> {
        VsockAddr::from_system(&self.0.socket.peer_addr()?)
    }
}

/// A listener of this shard for connections between a virtual machine and its host.
///
/// Dropping it closes it, and with it the connections that nobody took, once the kernel has let go
/// of an accept that was armed: at the end of the shard's tick.
#[derive(Debug)]
pub struct VsockListener(Acceptor);

lends_descriptor!(VsockListener, |this| &*this.0.socket);

accept_methods!(
    VsockListener,
    VsockStream,
    VsockAddr,
    VsockAddr::from_system
);

impl VsockListener {
    /// Listens on `address`, mostly with [`CID_ANY`](VsockAddr::CID_ANY).
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse`, `AddrNotAvailable` for a machine that is not this one, and that
    /// the address family is not supported.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn bind(address: VsockAddr) -> io::Result<Self> {
        let context = Context::current();
        let socket = Socket::new(Domain::VSOCK, Type::STREAM, None)?;
        socket.bind(&address.to_system())?;
        socket.listen(BACKLOG)?;
        Ok(Self(Acceptor::new(context.driver(), socket)?))
    }

    /// Takes over a descriptor, which must be such a socket that listens.
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
        expect_kind(&socket, &[Domain::VSOCK], true, "vsock listener")?;
        Ok(Self(Acceptor::new(context.driver(), socket)?))
    }

    /// The address it listens on, with the port that the system chose.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<VsockAddr> {
        VsockAddr::from_system(&self.0.socket.local_addr()?)
    }
}
