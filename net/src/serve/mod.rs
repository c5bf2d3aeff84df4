//! Servers: a listener on every shard, a task for every connection, and an orderly end.
//!
//! [`serve`] names an address and a handler. Each shard has a listening socket of its own on that
//! address (`SO_REUSEPORT`), among which the kernel spreads connections, and a handler of its own,
//! so that what a connection needs lies on its shard and nothing is shared. Where a system has no
//! such option the shards take turns at one socket.
//!
//! [`shard`] is a server's part on one shard, [`gate`] bounds how many connections are open.

mod counts;
mod gate;
mod listener;
pub(crate) mod shard;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use annulet_runtime::signal::Shutdown;
use annulet_runtime::{JoinHandle, ShardError, ShardId, for_each_shard, shards, spawn};

pub use self::counts::ServerStats;
pub use self::listener::Listener;
use self::shard::{Common, Settings, serve_shard};
use crate::addr::ToAddrs;
use crate::tcp::{TcpListener, TcpStream};

/// A server that has not started: what it listens on, who answers, and how many at once.
///
/// Made by [`serve`] and [`serve_with`]; [`start`](Self::start) starts it.
#[derive(Clone)]
#[must_use = "a server does nothing until it is started"]
pub struct Server<A, M> {
    on: A,
    make: M,
    settings: Settings,
    shutdown: Option<Shutdown>,
}

impl<A: fmt::Debug, M> fmt::Debug for Server<A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("on", &self.on)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A TCP server on `address`: each connection is a task that runs `handler`, on the shard that the
/// kernel gave it to.
///
/// Each shard has a clone of the handler. One that holds what must not leave its shard is made
/// there, by [`serve_with`].
///
/// # Examples
///
/// ```
/// use annulet_net::{TcpStream, serve};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let echo = async |stream: TcpStream, _peer| {
///     while let Ok(Some(bytes)) = stream.recv().await {
///         if stream.write_all(bytes).await.is_err() {
///             break;
///         }
///     }
/// };
/// let server = serve("127.0.0.1:0", echo).start().await?;
///
/// let client = TcpStream::connect(server.local_addr()).await?;
/// client.write_all(b"hello").await?;
/// assert_eq!(&*client.recv().await?.expect("an answer"), b"hello");
/// drop(client);
///
/// server.stop();
/// assert_eq!(server.ended().await?.accepted, 1);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve<A, H>(
    address: A,
    handler: H,
) -> Server<A, impl Fn(ShardId) -> H + Clone + Send + 'static>
where
    A: ToAddrs,
    H: AsyncFn(TcpStream, SocketAddr) + Clone + Send + 'static,
{
    serve_with(address, move |_shard| handler.clone())
}

/// As [`serve`], with a handler that each shard makes for itself: it may hold an
/// [`Rc`](std::rc::Rc).
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// use annulet_net::{TcpStream, serve_with};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let server = serve_with("127.0.0.1:0", |shard| {
///     let served = Rc::new(Cell::new(0_u32));
///     async move |stream: TcpStream, _peer| {
///         served.set(served.get() + 1);
///         let greeting = format!("the {}. connection of {shard}", served.get());
///         // The peer may be gone already.
///         let _gone = stream.write_all(greeting).await;
///     }
/// });
/// let server = server.start().await?;
/// let client = TcpStream::connect(server.local_addr()).await?;
/// let greeting = client.recv().await?.expect("a greeting");
/// assert!(greeting.starts_with(b"the 1. connection of "));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve_with<A, M, H>(address: A, make: M) -> Server<A, M>
where
    A: ToAddrs,
    M: Fn(ShardId) -> H + Clone + Send + 'static,
    H: AsyncFn(TcpStream, SocketAddr) + 'static,
{
    Server {
        on: address,
        make,
        settings: Settings::default(),
        shutdown: None,
    }
}

impl<A, M> Server<A, M> {
    /// How many connections may be open on all shards together (no limit).
    ///
    /// At the limit no more are accepted, and who comes waits in the kernel's queue.
    pub fn connections_max(mut self, count: usize) -> Self {
        self.settings.open_max = count;
        self
    }

    /// How many connections may be open on each shard (no limit).
    pub fn connections_per_shard_max(mut self, count: usize) -> Self {
        self.settings.shard_open_max = count;
        self
    }

    /// At a limit, closes who comes instead of letting them wait.
    pub fn refuse_when_full(mut self, refuse: bool) -> Self {
        self.settings.refuses = refuse;
        self
    }

    /// Whether connections send small writes at once (`TCP_NODELAY`; they do).
    pub fn nodelay(mut self, on: bool) -> Self {
        self.settings.nodelay = on;
        self
    }

    /// Whether a connection is served on the CPU that received its first packet, rather than on one
    /// that is drawn by its addresses (not so).
    ///
    /// It saves that packets are passed from CPU to CPU, where the queues of the network card are
    /// spread over all CPUs of the shards. Where they are not, or all clients are on one CPU of this
    /// machine, one shard is given everything.
    ///
    /// What the kernel refuses, or cannot be as the shards are not pinned or are one alone, is done
    /// without; [`ServerStats::steered`] says whether it is so.
    pub fn steer_by_cpu(mut self, on: bool) -> Self {
        self.settings.steers = on;
        self
    }

    /// How long connections are waited for once the server is told to stop (10 s). Those that are
    /// left are then cancelled: their handlers are dropped where they stand.
    pub fn drain(mut self, longest: Duration) -> Self {
        self.settings.drain = longest;
        self
    }

    /// Stops when `shutdown` is asked for, too, and counts as at work for it until it has ended.
    ///
    /// A handler that looks at the same `shutdown` can end between two requests.
    pub fn stop_on(mut self, shutdown: &Shutdown) -> Self {
        self.shutdown = Some(shutdown.clone());
        self
    }

    /// What it listens on, and all else.
    fn split(self) -> (A, Server<(), M>) {
        let server = Server {
            on: (),
            make: self.make,
            settings: self.settings,
            shutdown: self.shutdown,
        };
        (self.on, server)
    }
}

impl<M> Server<(), M> {
    /// Starts to accept from `seeds`, of which each shard takes one.
    fn start_on<L, H>(self, seeds: Vec<L::Seed>) -> Running
    where
        L: Listener,
        M: Fn(ShardId) -> H + Clone + Send + 'static,
        H: AsyncFn(L::Stream, L::Peer) + 'static,
    {
        let common = Arc::new(Common::new(self.settings, shards()));
        let stop = Shutdown::new();
        let seeds: Seeds<L::Seed> = seeds
            .into_iter()
            .map(|seed| Mutex::new(Some(seed)))
            .collect();
        let part = Part {
            seeds,
            common: Arc::clone(&common),
            stop: stop.clone(),
            outer: self.shutdown.clone(),
            make: self.make,
        };
        let guard = self.shutdown.as_ref().map(Shutdown::guard);
        let task = spawn(async move {
            let _at_work = guard;
            let ended = for_each_shard(move |shard| part.clone().run::<L, H>(shard)).await;
            ended
                .map_err(|error: ShardError| io::Error::other(error))?
                .into_iter()
                .collect()
        });
        Running { common, stop, task }
    }
}

impl<A: ToAddrs, M> Server<A, M> {
    /// Listens, and starts to accept on every shard.
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
    ///
    /// # Kernel
    ///
    /// As [`TcpListener::accept`], for a listening socket per shard.
    pub async fn start<H>(self) -> io::Result<Serving>
    where
        M: Fn(ShardId) -> H + Clone + Send + 'static,
        H: AsyncFn(TcpStream, SocketAddr) + 'static,
    {
        let (address, mut server) = self.split();
        let seeds = TcpListener::seeds(address, shards()).await?;
        let address = seeds[0].local_addr()?;
        // Without it connections are spread by their addresses, which serves them as well.
        server.settings.steers = server.settings.steers && TcpListener::steer(&seeds).is_ok();
        let running = server.start_on::<TcpListener, H>(seeds);
        Ok(Serving { address, running })
    }
}

/// A server over listening sockets that the caller made, as ones that it inherited: one for each
/// shard, in their order; a shard for which there is none does not accept. So any [`Listener`] can
/// be served.
///
/// # Examples
///
/// ```
/// use annulet_net::{TcpListener, TcpStream, serve_over};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let inherited = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let address = inherited.local_addr()?;
/// let hello = async |stream: TcpStream, _peer| {
///     let _gone = stream.write_all(b"hello").await;
/// };
/// let server = serve_over::<TcpListener, _, _>(vec![inherited], move |_shard| hello);
/// let server = server.connections_max(100).start();
/// let client = TcpStream::connect(address).await?;
/// assert_eq!(&*client.recv().await?.expect("a greeting"), b"hello");
/// server.stop();
/// server.ended().await?;
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve_over<L, M, H>(seeds: Vec<L::Seed>, make: M) -> Server<Over<L>, M>
where
    L: Listener,
    M: Fn(ShardId) -> H + Clone + Send + 'static,
    H: AsyncFn(L::Stream, L::Peer) + 'static,
{
    Server {
        on: Over(seeds),
        make,
        settings: Settings::default(),
        shutdown: None,
    }
}

/// Listening sockets for a [`Server`]. Made by [`serve_over`].
pub struct Over<L: Listener>(Vec<L::Seed>);

impl<L: Listener> fmt::Debug for Over<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Over").field(&self.0.len()).finish()
    }
}

impl<L: Listener, M> Server<Over<L>, M> {
    /// Starts to accept on every shard that there is a socket for.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn start<H>(self) -> Running
    where
        M: Fn(ShardId) -> H + Clone + Send + 'static,
        H: AsyncFn(L::Stream, L::Peer) + 'static,
    {
        let (on, mut server) = self.split();
        // Whoever made the sockets has said who gets what.
        server.settings.steers = false;
        server.start_on::<L, H>(on.0)
    }
}

type Seeds<S> = Arc<[Mutex<Option<S>>]>;

/// What a shard needs to play its part.
struct Part<S, M> {
    seeds: Seeds<S>,
    common: Arc<Common>,
    stop: Shutdown,
    outer: Option<Shutdown>,
    make: M,
}

impl<S, M: Clone> Clone for Part<S, M> {
    fn clone(&self) -> Self {
        Self {
            seeds: Arc::clone(&self.seeds),
            common: Arc::clone(&self.common),
            stop: self.stop.clone(),
            outer: self.outer.clone(),
            make: self.make.clone(),
        }
    }
}

impl<S, M> Part<S, M> {
    async fn run<L, H>(self, shard: ShardId) -> io::Result<()>
    where
        L: Listener<Seed = S>,
        M: Fn(ShardId) -> H,
        H: AsyncFn(L::Stream, L::Peer) + 'static,
    {
        let ShardId(index) = shard;
        let seed = self.seeds.get(index).and_then(|place| {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            place.take()
        });
        let Some(seed) = seed else {
            return Ok(());
        };
        let served = async {
            let listener = L::adopt(seed)?;
            let handler = (self.make)(shard);
            let stop = asked(&self.stop, self.outer.as_ref());
            let common = Arc::clone(&self.common);
            serve_shard(listener, stop, || (), handler, common, index).await
        };
        let ended = served.await;
        if ended.is_err() {
            // Half a server is a riddle: the other shards end in good order, too.
            self.stop.ask();
        }
        ended
    }
}

/// Waits until one of them is asked for.
async fn asked(stop: &Shutdown, outer: Option<&Shutdown>) {
    let mut stop = pin!(stop.asked());
    let mut outer = outer.map(Shutdown::asked);
    poll_fn(|cx| {
        if let Some(outer) = &mut outer
            && Pin::new(outer).poll(cx).is_ready()
        {
            return Poll::Ready(());
        }
        stop.as_mut().poll(cx)
    })
    .await;
}

/// A server at work on all shards. Dropping it ends the server at once, and every connection.
#[derive(Debug)]
#[must_use = "dropping it ends the server"]
pub struct Running {
    common: Arc<Common>,
    stop: Shutdown,
    task: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Asks the server to end: it stops accepting, and waits for the connections that are open, up
    /// to the time that [`drain`](Server::drain) says.
    pub fn stop(&self) {
        self.stop.ask();
    }

    /// What it has counted so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        ServerStats {
            steered: self.common.settings.steers,
            ..ServerStats::sum(&self.common.counts)
        }
    }

    /// Waits until the server has ended on every shard, and gives its counts.
    ///
    /// # Errors
    ///
    /// That of a listener that could not go on. The server has then ended on all shards, in good
    /// order.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the server: it ends at once, and every connection with it. Await
    /// [`until_ended`](Self::until_ended) where it is to go on.
    pub async fn ended(mut self) -> io::Result<ServerStats> {
        self.until_ended().await?;
        Ok(self.stats())
    }

    /// Waits until the server has ended on every shard.
    ///
    /// # Errors
    ///
    /// As [`ended`](Self::ended).
    ///
    /// # Panics
    ///
    /// If called again after it has said so.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the server goes on.
    pub async fn until_ended(&mut self) -> io::Result<()> {
        (&mut self.task).await.map_err(io::Error::other)?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A TCP server at work. Dropping it ends the server at once, and every connection.
#[derive(Debug)]
#[must_use = "dropping it ends the server"]
pub struct Serving {
    address: SocketAddr,
    running: Running,
}

impl Serving {
    /// The address it listens on, with the port that the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Asks the server to end; see [`Running::stop`].
    pub fn stop(&self) {
        self.running.stop();
    }

    /// What it has counted so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.running.stats()
    }

    /// Waits until the server has ended on every shard, and gives its counts.
    ///
    /// # Errors
    ///
    /// As [`Running::ended`].
    ///
    /// # Cancel safety
    ///
    /// As [`Running::ended`]: dropping the future ends the server at once.
    pub async fn ended(self) -> io::Result<ServerStats> {
        self.running.ended().await
    }

    /// Waits until the server has ended on every shard.
    ///
    /// # Errors
    ///
    /// As [`Running::ended`].
    ///
    /// # Panics
    ///
    /// If called again after it has said so.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the server goes on.
    pub async fn until_ended(&mut self) -> io::Result<()> {
        self.running.until_ended().await
    }
}
