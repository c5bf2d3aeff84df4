//! Connecting: to the first of several addresses that answers, from where, and for how long.
//!
//! [`eyeballs`] decides which address is tried when. A [`Connector`] holds what one attempt is made
//! with.

mod error;
mod eyeballs;

use std::fmt;
use std::future::ready;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use annulet_runtime::stream::once;
use annulet_runtime::time::timeout;
use socket2::{SockAddr, SockRef, Socket};

pub use self::error::ConnectError;
use self::eyeballs::{Failures, first_of};
use crate::addr::{Target, ToAddrs, host_and_port};
use crate::resolve::resolve_early;
use crate::tcp::TcpStream;

/// How long an address may be silent before the next is tried as well.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

type Configure = dyn Fn(SockRef<'_>, SocketAddr) -> io::Result<()>;

/// How to connect: [`TcpStream::connect`] with settings.
///
/// Of several addresses, as a name has them, those of the two families are tried in turn. The next
/// is tried when the one before has failed or been silent for the attempt delay, and the first that
/// answers is taken (RFC 8305). The first is tried as soon as the resolver tells of it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use annulet_net::{Connector, TcpListener};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let connector = Connector::new()
///     .timeout(Duration::from_secs(5))
///     .source([127, 0, 0, 2])
///     .configure(|socket, _address| socket.set_keepalive(true));
/// let stream = connector.connect(listener.local_addr()?).await?;
/// # #[cfg(target_os = "linux")]
/// assert_eq!(stream.local_addr()?.ip().to_string(), "127.0.0.2");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a connector does nothing until it connects"]
pub struct Connector {
    delay: Duration,
    timeout: Option<Duration>,
    sources: Vec<IpAddr>,
    configure: Option<Rc<Configure>>,
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("delay", &self.delay)
            .field("timeout", &self.timeout)
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// One that connects as [`TcpStream::connect`] does.
    pub const fn new() -> Self {
        Self {
            delay: ATTEMPT_DELAY,
            timeout: None,
            sources: Vec::new(),
            configure: None,
        }
    }

    /// How long an address may be silent before the next is tried as well (250 ms).
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How long it may take in all, the lookup of a name included (no limit but the system's).
    pub fn timeout(mut self, longest: Duration) -> Self {
        self.timeout = Some(longest);
        self
    }

    /// The address to connect from; said twice, one for each family. Addresses of a family that
    /// there is none for are then not connected to.
    pub fn source(mut self, source: impl Into<IpAddr>) -> Self {
        let source = source.into();
        self.sources
            .retain(|other| other.is_ipv6() != source.is_ipv6());
        self.sources.push(source);
        self
    }

    /// Calls `configure` with each socket and the address that it is about to be connected to, to
    /// set options. An error of it is the failure of that address.
    pub fn configure(
        mut self,
        configure: impl Fn(SockRef<'_>, SocketAddr) -> io::Result<()> + 'static,
    ) -> Self {
        self.configure = Some(Rc::new(configure));
        self
    }

    /// Connects to `address`.
    ///
    /// # Errors
    ///
    /// The lookup's. If one address was tried, its failure; if several, a [`ConnectError`] with all
    /// of them, of the kind of the last. `TimedOut` if the time that was given is over, with a
    /// [`ConnectError`] of what had failed by then.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: every socket is closed once the kernel lets go of it.
    ///
    /// # Kernel
    ///
    /// As [`TcpStream::connect`].
    pub async fn connect(&self, address: impl ToAddrs) -> io::Result<TcpStream> {
        let failures = Failures::default();
        let connecting = async {
            let dial = async |address| self.dial(address).await;
            match address.to_target() {
                // Nothing to choose from, and so nothing to keep.
                Target::Addr(only) => self.dial(only).await.map(Some),
                Target::Addrs(all) => {
                    let all = once(ready(Ok(all)));
                    first_of(all, self.delay, &failures, dial).await
                }
                Target::Name(name) => {
                    let (host, port) = host_and_port(&name)?;
                    let found = resolve_early(host, port);
                    first_of(found, self.delay, &failures, dial).await
                }
            }
        };
        let connected = match self.timeout {
            Some(longest) => timeout(longest, connecting).await,
            None => Ok(connecting.await),
        };
        let timed_out = connected.is_err();
        match connected {
            Ok(Ok(Some(stream))) => Ok(stream),
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) | Err(_) => Err(ConnectError {
                failures: failures.into_inner(),
                timed_out,
            }
            .into()),
        }
    }

    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect_one(address, |socket| self.prepare(socket, address)).await
    }

    fn prepare(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        if !self.sources.is_empty() {
            let ours = |source: &&IpAddr| source.is_ipv6() == address.is_ipv6();
            let source = self.sources.iter().find(ours).ok_or_else(|| {
                let message = "no source address of its family was given";
                io::Error::new(io::ErrorKind::AddrNotAvailable, message)
            })?;
            socket.bind(&SockAddr::from(SocketAddr::new(*source, 0)))?;
        }
        match &self.configure {
            Some(configure) => configure(SockRef::from(socket), address),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
