//! Readiness of any descriptor, for what has no operation of its own.
//!
//! Readiness is a *level* here: a wait ends at once while the descriptor is ready, however often
//! one asks. A ring tells levels; a poller that tells edges is asked only after a look at the
//! descriptor itself has found it not ready, so that no edge falls between.

use std::fmt;
use std::io;

use crate::context::Context;
use crate::driver::Interest;
use crate::op::{Op, Ready, Shared, is_ready, looks};
use crate::sys::{RawSource, Source};

/// A descriptor that is awaited and used directly: a device, a timer, another library's socket. On
/// Windows, a socket.
///
/// Its mode is left as it is. The calls made on it should not block, so that one which finds
/// nothing says `WouldBlock`: set `O_NONBLOCK`, or use calls that take a flag for it. A descriptor
/// shared with other processes (a terminal) is better left blocking and read after
/// [`readable`](Self::readable), by one reader.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use std::os::unix::net::UnixStream;
/// use annulet_runtime::AsyncFd;
///
/// # #[cfg(unix)]
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let (here, there) = UnixStream::pair()?;
/// here.set_nonblocking(true)?;
/// let here = AsyncFd::new(here)?;
/// std::io::Write::write_all(&mut &there, b"hello")?;
/// let mut space = [0; 16];
/// let read = here.read_with(|mut stream| stream.read(&mut space)).await?;
/// assert_eq!(&space[..read], b"hello");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct AsyncFd<S: Source> {
    source: Shared<S>,
    raw: RawSource,
}

impl<S: Source> fmt::Debug for AsyncFd<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncFd").field(&self.raw).finish()
    }
}

impl<S: Source> AsyncFd<S> {
    /// Takes a descriptor into the care of the current shard.
    ///
    /// # Errors
    ///
    /// `Unsupported` for what cannot be watched at all. A regular file is found out later: it
    /// always counts as ready on a ring, and to wait for it is an error on the `poll` driver.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn new(source: S) -> io::Result<Self> {
        let source = Shared::new(Context::current().driver(), source);
        let raw = source.watched().ok_or(io::ErrorKind::Unsupported)?;
        Ok(Self { source, raw })
    }

    /// Waits until a read would not block: there is something, or the end, or an error.
    ///
    /// # Errors
    ///
    /// The system's, where it cannot be watched; or that the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: readiness is looked at anew by each call.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_POLL_ADD` (Linux 5.1); on the `poll` driver `poll(2)` and then the poller.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::Readable).await
    }

    /// Waits until a write would not block.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: readiness is looked at anew by each call.
    ///
    /// # Kernel
    ///
    /// As [`readable`](Self::readable).
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::Writable).await
    }

    async fn ready(&self, interest: Interest) -> io::Result<()> {
        let driver = self.source.driver();
        let looks = looks(driver);
        loop {
            if !looks && is_ready(&self.source, interest) {
                return Ok(());
            }
            let ready = Ready::new(&self.source, interest).ok_or(io::ErrorKind::Unsupported)?;
            Op::new(driver, ready).await?;
            if looks {
                return Ok(());
            }
        }
    }

    /// Calls `read` until it does not say `WouldBlock`, waiting between the calls.
    ///
    /// # Errors
    ///
    /// Those of `read`, and as [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is between two calls, of which the first found nothing.
    pub async fn read_with<R>(&self, mut read: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.with(Interest::Readable, &mut read).await
    }

    /// Calls `write` until it does not say `WouldBlock`, waiting between the calls.
    ///
    /// # Errors
    ///
    /// Those of `write`, and as [`writable`](Self::writable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is between two calls, of which the first did nothing.
    pub async fn write_with<R>(&self, mut write: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.with(Interest::Writable, &mut write).await
    }

    async fn with<R>(
        &self,
        interest: Interest,
        call: &mut dyn FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            match call(&self.source) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready(interest).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// The descriptor.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.source
    }

    /// Gives the descriptor out.
    ///
    /// # Errors
    ///
    /// This again, while a wait that was dropped has not ended: in the next tick.
    pub fn try_into_inner(self) -> Result<S, Self> {
        let raw = self.raw;
        self.source
            .try_into_inner()
            .map_err(|source| Self { source, raw })
    }
}
