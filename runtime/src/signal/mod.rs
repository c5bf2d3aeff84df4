//! Signals: ctrl-c and the other requests to end, and on Unix any signal as a stream.
//!
//! The first listener for a signal installs the process's handler; until then the system's default
//! stands. Handlers that were there before are still called. No code of ours runs inside a signal
//! handler: a thread, started with the first listener, sleeps until one has come and wakes the
//! tasks that wait here, on whatever shard and runtime they are.
//!
//! A listener counts from its making: make it before what might cause the signal.
//!
//! A process that forks without executing another program shares the socket of the handlers with
//! its child; a signal to such a child is heard by the parent as well. Children of
//! [`process`](crate::process) have none of our handlers.

mod hub;
mod shutdown;
#[cfg_attr(unix, path = "source_unix.rs")]
#[cfg_attr(windows, path = "source_windows.rs")]
mod source;
#[cfg(unix)]
pub mod unix;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use self::hub::{Listener, Number};
pub use self::shutdown::{Asked, Guard, Shutdown, Undrained};

/// A request to end, as a future. Made by [`ctrl_c`] and [`shutdown`].
///
/// It is done once a request has come since its making. Awaited again, by `&mut`, it waits for the
/// next; requests that come in between are one.
#[derive(Debug)]
#[must_use = "futures do nothing until polled"]
pub struct Request(Listener);

impl Request {
    fn of(signals: &[Number]) -> io::Result<Self> {
        source::watch(signals)?;
        Ok(Self(Listener::new(signals)))
    }
}

impl Future for Request {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx)
    }
}

/// Waits for ctrl-c (`SIGINT`; on Windows whatever the console asks to end by).
///
/// From the first call on, it no longer ends the process by itself, for as long as it lives.
///
/// # Errors
///
/// The system's, where the handler cannot be installed.
///
/// # Cancel safety
///
/// Cancel safe; but a request that comes while nothing made by this function exists is lost.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let mut ctrl_c = annulet_runtime::signal::ctrl_c()?;
/// (&mut ctrl_c).await;
/// // once more, for those who insist
/// ctrl_c.await;
/// # Ok(())
/// # }
/// ```
pub fn ctrl_c() -> io::Result<Request> {
    Request::of(source::CTRL_C)
}

/// Waits until the process is asked to end: by ctrl-c, and on Unix by `SIGINT`, `SIGTERM` or
/// `SIGHUP`. [`Shutdown`] is this with all that a server does next.
///
/// From the first call on, these no longer end the process by themselves, for as long as it lives.
/// A request counts from the call on, awaited or not. A hang-up is left alone where the process was
/// started to ignore it, as by `nohup`.
///
/// # Errors
///
/// The system's, where the handler cannot be installed.
///
/// # Cancel safety
///
/// Cancel safe; but a request that comes while nothing made by this function exists is lost.
///
/// # Examples
///
/// ```no_run
/// # async fn serve() {}
/// # async fn example() -> std::io::Result<()> {
/// let server = annulet_runtime::spawn(serve());
/// annulet_runtime::signal::shutdown()?.await;
/// server.abort();
/// # Ok(())
/// # }
/// ```
pub fn shutdown() -> io::Result<Request> {
    Request::of(source::ending())
}
