//! A listener for Unix streams.
//!
//! The name of a listener in the file system is a file that outlives it. Nobody but the program can
//! know whether such a file is a listener's of another process or left by one that died, so nothing
//! is ever removed here: not by binding, nor by dropping.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use annulet_runtime::time::sleep;
use annulet_runtime::{Context, spawn_blocking};
use socket2::{Domain, SockAddr, Socket, Type};

use super::stream::UnixStream;
use super::{from_system, to_system};
use crate::listen::Acceptor;
use crate::stream::expect_kind;

/// Connections that the kernel queues for a listener.
const BACKLOG: i32 = 1024;

/// A listening Unix socket of this shard.
///
/// # The file
///
/// `bind` makes a file, and fails with `AddrInUse` where there is one, even one that a listener has
/// left behind. Dropping the listener leaves the file: whoever owns the path removes it, before
/// binding or at the end of the program. An abstract name of Linux is in no file system and goes
/// with the listener.
///
/// Dropping it closes it, and with it the connections that nobody took, once the kernel has let go
/// of an accept that was armed: at the end of the shard's tick.
///
/// # Examples
///
/// ```no_run
/// use annulet_net::{UnixListener, UnixStream};
///
/// # async fn example() -> std::io::Result<()> {
/// // What an earlier run may have left.
/// let _none = std::fs::remove_file("/run/echo.sock");
/// let listener = UnixListener::bind("/run/echo.sock").await?;
/// let (stream, _) = listener.accept().await?;
/// if stream.peer_credentials()?.uid == 0 {
///     stream.write_all(b"hello, root").await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UnixListener(Acceptor);

lends_descriptor!(UnixListener, |this| &*this.0.socket);

accept_methods!(UnixListener, UnixStream, SocketAddr, from_system);

impl UnixListener {
    /// Listens at `path`, where there must be no file.
    ///
    /// # Errors
    ///
    /// The system's, as `AddrInUse` where there is a file.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing listens before it completes. Dropping the future may leave the file.
    ///
    /// # Kernel
    ///
    /// `bind(2)` on the blocking pool, since it writes to a directory.
    pub async fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_to(SockAddr::unix(path.as_ref())?).await
    }

    /// Listens at `address`, which can also be an abstract name of Linux.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind); `InvalidInput` for an address without a name.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Kernel
    ///
    /// As [`bind`](Self::bind).
    pub async fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::bind_to(to_system(address)?).await
    }

    async fn bind_to(address: SockAddr) -> io::Result<Self> {
        let has_file = address.as_pathname().is_some();
        let mut bound = Self::open(address.clone()).await;
        if let Err(error) = &bound
            && error.kind() == io::ErrorKind::AddrInUse
            && !has_file
        {
            // Perhaps by a listener that this shard has just dropped: its accept is cancelled at
            // the end of the tick, and then the name is free. A timer fires after that.
            sleep(Duration::from_millis(1)).await;
            bound = Self::open(address).await;
        }
        Self::from_socket(bound?)
    }

    async fn open(address: SockAddr) -> io::Result<Socket> {
        let bound = spawn_blocking(move || -> io::Result<Socket> {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.bind(&address)?;
            socket.listen(BACKLOG)?;
            Ok(socket)
        });
        bound.await.map_err(io::Error::other)?
    }

    /// Takes over a listening socket.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        Self::from_socket(Socket::from(listener))
    }

    /// Takes over a descriptor, which must be a Unix stream socket that listens: as a service
    /// manager passes it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything else, which is then closed; the system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(fd);
        expect_kind(&socket, &[Domain::UNIX], true, "Unix listener")?;
        Self::from_socket(socket)
    }

    fn from_socket(socket: Socket) -> io::Result<Self> {
        let context = Context::current();
        Ok(Self(Acceptor::new(context.driver(), socket)?))
    }

    /// The address it listens at.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        from_system(&self.0.socket.local_addr()?)
    }
}
