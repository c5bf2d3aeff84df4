//! A listener for TCP connections.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use annulet_runtime::stream::Stream;
use annulet_runtime::{Context, shard_cpus};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::options::system;
use super::stream::TcpStream;
use crate::addr::{ToAddrs, lookup};
use crate::listen::Acceptor;
use crate::stream::take_linger;
use crate::turns::Turn;

/// Connections that the kernel queues for a listener.
const BACKLOG: i32 = 1024;

/// A listening TCP socket of this shard.
///
/// Dropping it closes it, and with it the connections that nobody took; its port is free at once.
/// [`close`](Self::close) gives those connections away instead.
#[derive(Debug)]
pub struct TcpListener(Acceptor);

lends_descriptor!(TcpListener, |this| &*this.0.socket);

impl TcpListener {
    /// Listens on `address`. The address may be used again at once after a restart.
    ///
    /// # Errors
    ///
    /// The system's, as `AddrInUse`, or the lookup's for a name.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing listens before it completes.
    pub async fn bind(address: impl ToAddrs) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::InvalidInput);
        for addr in lookup(address).await? {
            match Self::open(addr, false) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Listens on `address` beside other listeners that do the same: one per shard, among which the
    /// kernel spreads connections (`SO_REUSEPORT`).
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

    /// Has the kernel choose among this listener and those that [share](Self::bind_shared) its
    /// address by the CPU that received a connection's first packet: what comes by the `n`th of
    /// `cpus` goes to the one that was the `n`th to listen. What comes by any other is spread as
    /// before.
    ///
    /// One of them asks for all, once all listen. When one is closed the last takes its number, so
    /// ask again then. Whether it pays, and when it does not, says
    /// [`Server::steer_by_cpu`](crate::Server::steer_by_cpu), which does this; the CPUs of the
    /// shards are those of `shard_cpus`.
    ///
    /// # Errors
    ///
    /// The system's; `InvalidInput` for more CPUs than a program can name; `Unsupported` on systems
    /// other than Linux.
    ///
    /// # Kernel
    ///
    /// `SO_ATTACH_REUSEPORT_CBPF` (Linux 4.5).
    ///
    /// # Examples
    ///
    /// ```
    /// use annulet_net::TcpListener;
    ///
    /// # annulet_runtime::Builder::new().build()?.block_on(async {
    /// // In earnest, each on a shard of its own.
    /// let first = TcpListener::bind_shared("127.0.0.1:0".parse().expect("an address"))?;
    /// let second = TcpListener::bind_shared(first.local_addr()?)?;
    /// // What comes by CPU 0 is the first's, what comes by CPU 1 the second's.
    /// if let Err(error) = second.steer_by_cpu(&[0, 1]) {
    ///     println!("spread by their addresses: {error}");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn steer_by_cpu(&self, cpus: &[usize]) -> io::Result<()> {
        steer(&self.0.socket, cpus)
    }

    fn open(addr: SocketAddr, shared: bool) -> io::Result<Self> {
        Self::from_socket(listening(addr, shared)?)
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
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        Self::from_socket(Socket::from(listener))
    }

    /// Takes over a descriptor, which must be a TCP socket that listens: as a service manager
    /// passes it.
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
        let socket = Socket::from(fd);
        let domains = [Domain::IPV4, Domain::IPV6];
        crate::stream::expect_kind(&socket, &domains, true, "TCP listener")?;
        Self::from_socket(socket)
    }

    pub(super) fn from_socket(socket: Socket) -> io::Result<Self> {
        // Its connections would inherit it, and closing one would make the shard wait.
        take_linger(&socket)?;
        let context = Context::current();
        Ok(Self(Acceptor::new(context.driver(), socket)?))
    }

    /// Takes the next connection and says who it is from.
    ///
    /// # Errors
    ///
    /// Those that say something about the listener, as that it may not be used: the system's. Such
    /// an error is told once, and the next call rests for a while before it tries again.
    ///
    /// Others pass by themselves and are not told. A connection that its peer took back, or that
    /// the network failed, is passed over. While the system is out of descriptors, or of memory,
    /// accepting rests for 10 ms, and up to 100 ms if that lasts, or until this shard closes
    /// something; the clients wait in the kernel's queue.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a connection that arrives for a dropped accept goes to the next one.
    ///
    /// # Kernel
    ///
    /// One multishot `IORING_OP_ACCEPT` (Linux 5.19) for all connections; without it, one entry for
    /// each (5.5); on the `poll` driver, `accept(2)` when the listener is readable.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let turn = self.0.turns.join();
        poll_fn(|cx| self.poll_connection(&turn, cx)).await
    }

    /// The connections as a stream without end.
    ///
    /// An error is an item, and does not end the stream: as after [`accept`](Self::accept), the
    /// next item is tried for again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future of `next`, or the stream, loses no connection: it waits for the next to
    /// ask the listener. But a stream that has been asked, and then is neither asked again nor
    /// dropped, is in the way of others who accept from the same listener.
    ///
    /// # Kernel
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use annulet_net::TcpListener;
    /// use annulet_runtime::stream::{StreamExt, TryStreamExt};
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:7000").await?;
    /// // Ten connections, of which at most four are served at once.
    /// let served = listener.incoming().take(10).try_for_each_concurrent(4, |(stream, _)| async move {
    ///     stream.write_all(b"hello".to_vec()).await?;
    ///     Ok(())
    /// });
    /// served.await
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            turn: self.0.turns.join(),
        }
    }

    /// Stops accepting, frees the port, and gives the connections that had been accepted and that
    /// nobody took: a server that ends in good order serves these, too.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is dropping the listener: it closes, and those connections with it.
    ///
    /// # Kernel
    ///
    /// The armed accept is cancelled, and its end awaited. Connections that the kernel holds in its
    /// own queue are refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulet_net::{TcpListener, TcpStream};
    ///
    /// # annulet_runtime::Builder::new().build()?.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// assert!(listener.close().await.is_empty());
    /// assert!(TcpStream::connect(address).await.is_err());
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn close(self) -> Vec<(TcpStream, SocketAddr)> {
        let driver = self.0.socket.driver().clone();
        let left = self.0.close().await;
        // One that cannot be named or taken over is gone already.
        left.into_iter()
            .filter_map(|socket| {
                let peer = socket.peer_addr().ok()?.as_socket()?;
                Some((TcpStream::from_socket(&driver, socket).ok()?, peer))
            })
            .collect()
    }

    /// See [`Acceptor::pause`].
    pub(crate) fn pause(&self) {
        self.0.pause();
    }

    /// Listening sockets for so many shards on one address: the first that can be listened on, of
    /// a name's. Each shard has its own where ports can be shared, else all have the same.
    pub(crate) async fn seeds(
        address: impl ToAddrs,
        shards: usize,
    ) -> io::Result<Vec<std::net::TcpListener>> {
        let mut last = io::Error::from(io::ErrorKind::InvalidInput);
        for addr in lookup(address).await? {
            match seeds_on(addr, shards) {
                Ok(seeds) => return Ok(seeds),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Has the kernel give each of `seeds` the connections that come by the CPU of its shard.
    pub(crate) fn steer(seeds: &[std::net::TcpListener]) -> io::Result<()> {
        let cpus = shard_cpus();
        if cpus.len() != seeds.len() || seeds.len() < 2 {
            let message = "steering wants several shards, each pinned to a CPU";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        steer(&SockRef::from(&seeds[0]), &cpus)
    }

    fn poll_connection(
        &self,
        turn: &Turn<'_>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            let socket = ready!(turn.note(self.0.poll_accept(cx), cx))?;
            let peer = match socket.peer_addr() {
                Ok(peer) => peer.as_socket().ok_or(io::ErrorKind::InvalidData)?,
                // It was reset before anybody looked: no connection, and no fault of the listener.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => continue,
                Err(error) => return Poll::Ready(Err(error)),
            };
            let stream = TcpStream::from_socket(self.0.socket.driver(), socket)?;
            return Poll::Ready(Ok((stream, peer)));
        }
    }

    /// The address it listens on, with the port that the system chose.
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
}

/// The connections of a listener, with who each is from. Made by [`TcpListener::incoming`].
///
/// # Cancel safety
///
/// Dropping it loses no connection.
#[derive(Debug)]
#[must_use = "streams do nothing until polled"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
    turn: Turn<'a>,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<(TcpStream, SocketAddr)>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.listener.poll_connection(&self.turn, cx).map(Some)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

fn listening(addr: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    reuse_address(&socket)?;
    if shared {
        share_port(&socket, true)?;
    }
    socket.bind(&SockAddr::from(addr))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn steer(socket: &Socket, cpus: &[usize]) -> io::Result<()> {
    let cpus: Result<Vec<u32>, _> = cpus.iter().map(|&cpu| u32::try_from(cpu)).collect();
    let cpus = cpus.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    system::steer_by_cpu(socket, &cpus)
}

fn seeds_on(addr: SocketAddr, shards: usize) -> io::Result<Vec<std::net::TcpListener>> {
    let mut seeds = Vec::with_capacity(shards);
    let mut addr = addr;
    let mut shared = shards > 1;
    while seeds.len() < shards {
        let seed: std::net::TcpListener = match listening(addr, shared) {
            Ok(socket) => socket.into(),
            Err(error) if shared && error.kind() == io::ErrorKind::Unsupported => {
                shared = false;
                continue;
            }
            Err(error) => return Err(error),
        };
        // The others share the port that the system chose for the first.
        addr = seed.local_addr()?;
        if !shared {
            while seeds.len() + 1 < shards {
                seeds.push(seed.try_clone()?);
            }
        }
        seeds.push(seed);
    }
    Ok(seeds)
}

/// Lets a server start again while old connections of its address are still closing.
#[cfg(unix)]
fn reuse_address(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// Here the option would let another program take a port that is in use, and a restart needs none.
#[cfg(windows)]
fn reuse_address(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
pub(crate) fn share_port(socket: &Socket, on: bool) -> io::Result<()> {
    socket.set_reuse_port(on)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos")))))]
pub(crate) fn share_port(_socket: &Socket, _on: bool) -> io::Result<()> {
    super::options::unsupported("SO_REUSEPORT")
}
