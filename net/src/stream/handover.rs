//! How a stream leaves its shard: to another, to the standard library, or for good.
//!
//! Three things must not be left behind. Requests that are with the kernel: they are cancelled, and
//! the socket is given out once the last of them has let go. Bytes that have come and that nobody
//! has read, with the end or the error after them: they go along. And the linger time.
//!
//! # Lingering
//!
//! A socket that lingers makes `close(2)` wait until the peer has everything, for that time at
//! most, and a shard must never wait. So no socket of a shard's lingers as far as the kernel knows:
//! the stream keeps the time, and the socket gets it back when it is given out, or when it is
//! closed on the blocking pool by `close`. A time of zero, which resets the connection instead,
//! makes nobody wait and is the kernel's.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::time::Duration;

use annulet_runtime::{Context, Driver, spawn_blocking};
use socket2::Socket;

use super::ByteStream;
use super::kept::Unread;
use super::split::Connection;

/// A connection on its way to another shard, made by `detach` of a stream. It can be sent.
///
/// It holds the socket, and the bytes that had come and that nobody had read. Dropping it closes
/// the connection.
///
/// # Examples
///
/// ```no_run
/// use annulet_net::TcpStream;
/// use annulet_runtime::{ShardId, spawn_on};
///
/// # async fn example(stream: TcpStream) -> std::io::Result<()> {
/// let detached = stream.detach().await?;
/// let served = spawn_on(ShardId(1), move || async move {
///     let stream = detached.attach()?;
///     stream.write_all(b"hello from shard 1".to_vec()).await?;
///     Ok::<_, std::io::Error>(())
/// });
/// # let _ = served;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it closes the connection"]
pub struct Detached<S> {
    socket: Socket,
    unread: Unread,
    linger: Option<Duration>,
    kind: PhantomData<fn() -> S>,
}

impl<S> fmt::Debug for Detached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached")
            .field("unread", &self.unread.bytes.len())
            .finish_non_exhaustive()
    }
}

impl<S: Connection> Detached<S> {
    /// The bytes that have come and that nobody has read.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.unread.bytes
    }

    /// Makes it a stream of the current shard, which goes on where the other ended.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn attach(self) -> io::Result<S> {
        let context = Context::current();
        let bytes = ByteStream::new(context.driver(), self.socket)?;
        bytes.receiver.kept.put(self.unread);
        bytes.linger.set(self.linger);
        Ok(S::over(bytes))
    }

    /// The socket, in blocking mode and with its linger time, and what is unread.
    pub(crate) fn into_socket(self) -> io::Result<(Socket, Vec<u8>)> {
        if let Some(error) = self.unread.error {
            return Err(error);
        }
        self.socket.set_nonblocking(false)?;
        if self.linger.is_some() {
            self.socket.set_linger(self.linger)?;
        }
        Ok((self.socket, self.unread.bytes))
    }
}

impl ByteStream {
    /// Takes over a socket that others had before: takes its linger time off it.
    pub(crate) fn adopt(driver: &Driver, socket: Socket) -> io::Result<Box<Self>> {
        let linger = take_linger(&socket)?;
        let bytes = Self::new(driver, socket)?;
        bytes.linger.set(linger);
        Ok(bytes)
    }

    pub(crate) async fn detach<S>(mut self: Box<Self>) -> io::Result<Detached<S>> {
        let mut receiver = mem::take(&mut self.receiver);
        let linger = self.linger.get();
        let socket = self.socket.clone();
        // With it goes a wait for room to write.
        drop(self);
        let unread = receiver.drain().await;
        Ok(Detached {
            socket: socket.into_inner().await,
            unread,
            linger,
            kind: PhantomData,
        })
    }

    pub(crate) async fn close(self: Box<Self>) -> io::Result<()> {
        let Some(linger) = self.linger.get() else {
            return Ok(());
        };
        let socket = self.socket.clone();
        drop(self);
        let socket = socket.into_inner().await;
        let closed = spawn_blocking(move || {
            let lingers = socket.set_linger(Some(linger));
            drop(socket);
            lingers
        });
        closed.await.map_err(io::Error::other)?
    }
}

/// Takes a linger time that is not zero off a socket, and answers it.
pub(crate) fn take_linger(socket: &Socket) -> io::Result<Option<Duration>> {
    let linger = socket.linger()?.filter(|time| !time.is_zero());
    if linger.is_some() {
        socket.set_linger(None)?;
    }
    Ok(linger)
}

/// The ways out, for a newtype of [`ByteStream`].
macro_rules! handover_methods {
    ($Stream:ident) => {
        impl $Stream {
            /// Takes the connection off this shard, to be [attached](crate::Detached::attach) to
            /// another.
            ///
            /// What is with the kernel is cancelled and awaited. Bytes that had come go along, with
            /// the end of the stream or the error after them.
            ///
            /// # Errors
            ///
            /// None today.
            ///
            /// # Cancel safety
            ///
            /// Not cancel safe: dropping the future closes the connection.
            ///
            /// # Kernel
            ///
            /// `IORING_OP_ASYNC_CANCEL` (Linux 5.5) for what is armed.
            pub async fn detach(self) -> std::io::Result<crate::Detached<Self>> {
                self.0.detach().await
            }

            /// Closes the connection, and waits for the peer to have everything where a linger time
            /// is set: on the blocking pool, and no longer than that time.
            ///
            /// Dropping a stream closes it too, without waiting.
            ///
            /// # Errors
            ///
            /// The system's. That the time has passed is none.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: it is closed in any case.
            ///
            /// # Kernel
            ///
            /// `close(2)`.
            pub async fn close(self) -> std::io::Result<()> {
                self.0.close().await
            }

            /// The socket's descriptor, in blocking mode, and the bytes that had come and that
            /// nobody had read: they are not in the socket any more.
            ///
            /// # Errors
            ///
            /// The connection's own failure, if it has come and nobody has been told;
            /// [`detach`](Self::detach) also keeps the bytes before it.
            ///
            /// # Cancel safety
            ///
            /// Not cancel safe: dropping the future closes the connection.
            ///
            /// # Kernel
            ///
            /// As [`detach`](Self::detach).
            #[cfg(unix)]
            pub async fn into_fd(self) -> std::io::Result<(std::os::fd::OwnedFd, Vec<u8>)> {
                let (socket, unread) = self.detach().await?.into_socket()?;
                Ok((socket.into(), unread))
            }
        }
    };

    ($Stream:ident, $Std:ty) => {
        handover_methods!($Stream);

        impl $Stream {
            /// The standard library's stream, in blocking mode, and the bytes that had come and
            /// that nobody had read: they are not in the socket any more.
            ///
            /// # Errors
            ///
            /// The connection's own failure, if it has come and nobody has been told;
            /// [`detach`](Self::detach) also keeps the bytes before it.
            ///
            /// # Cancel safety
            ///
            /// Not cancel safe: dropping the future closes the connection.
            ///
            /// # Kernel
            ///
            /// As [`detach`](Self::detach).
            pub async fn into_std(self) -> std::io::Result<($Std, Vec<u8>)> {
                let (socket, unread) = self.detach().await?.into_socket()?;
                Ok((socket.into(), unread))
            }
        }
    };
}

/// Refuses a socket of another kind.
#[cfg(unix)]
pub(crate) fn expect_kind(
    socket: &Socket,
    domains: &[socket2::Domain],
    listens: bool,
    what: &str,
) -> io::Result<()> {
    let domain = socket.local_addr()?.domain();
    let fits = domains.contains(&domain)
        && socket.r#type()? == socket2::Type::STREAM
        && is_listener(socket)? == listens;
    if fits {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("the descriptor is no {what}"),
    ))
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn is_listener(socket: &Socket) -> io::Result<bool> {
    socket.is_listener()
}

/// Here the system does not say it of a socket: one without a peer is taken for a listener.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "freebsd"))))]
fn is_listener(socket: &Socket) -> io::Result<bool> {
    match socket.peer_addr() {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(true),
        Err(error) => Err(error),
    }
}
