//! Any signal of Unix, as a stream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::hub::Listener;
use super::source::watch;

/// A kind of signal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

/// Declares the kinds that have a name everywhere.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:ident,)+) => {
        impl SignalKind {
            $($(#[$doc])*
            #[must_use]
            pub const fn $name() -> Self {
                Self(signal_hook::consts::$number)
            })+
        }

        impl fmt::Debug for SignalKind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $(signal_hook::consts::$number => f.write_str(stringify!($number)),)+
                    other => write!(f, "signal {other}"),
                }
            }
        }
    };
}

kinds! {
    /// `SIGALRM`: a timer of the process has run out.
    alarm = SIGALRM,
    /// `SIGCHLD`: a child has ended or stopped. [`process`](crate::process) does without.
    child = SIGCHLD,
    /// `SIGHUP`: the terminal is gone; by custom, to read the configuration again.
    hangup = SIGHUP,
    /// `SIGINT`: ctrl-c.
    interrupt = SIGINT,
    /// `SIGKILL`: the end, without ado. Can be sent, not listened for.
    kill = SIGKILL,
    /// `SIGPIPE`: a write to a pipe that nobody reads. Rust's programs ignore it from the start.
    pipe = SIGPIPE,
    /// `SIGQUIT`: ctrl-\.
    quit = SIGQUIT,
    /// `SIGTERM`: a request to end.
    terminate = SIGTERM,
    /// `SIGUSR1`.
    user_defined1 = SIGUSR1,
    /// `SIGUSR2`.
    user_defined2 = SIGUSR2,
    /// `SIGWINCH`: the terminal has another size.
    window_change = SIGWINCH,
}

impl SignalKind {
    /// The signal of this number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The system's number.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

/// Listens for a signal from now on, for as long as the answer lives.
///
/// The first listener for a signal installs a handler, which stays for the life of the process: the
/// signal's default (ending the process, mostly) does not come back when the listener is dropped. A
/// handler that was there before is still called.
///
/// # Errors
///
/// `InvalidInput` for what cannot be listened for (`SIGKILL`, `SIGSTOP`, `SIGSEGV`, `SIGFPE`,
/// `SIGILL`) and for numbers that are no signal's; else the system's, where there is no room for
/// the handler's descriptors or its thread.
///
/// # Cancel safety
///
/// Cancel safe: a signal that comes while nobody awaits [`recv`](Signal::recv) is kept for the
/// next.
///
/// # Examples
///
/// ```
/// use annulet_runtime::signal::unix::{SignalKind, signal};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let mut hangups = signal(SignalKind::hangup())?;
/// annulet_runtime::spawn(async move {
///     loop {
///         hangups.recv().await;
///         // read the configuration again
///     }
/// });
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    watch(&[kind.0])?;
    Ok(Signal {
        listener: Listener::new(&[kind.0]),
        kind,
    })
}

/// The signals of one kind, as they come. Made by [`signal`].
///
/// Signals coalesce, as the system's own do: those that come before the task looks are one. After
/// each there is at least one answer, and none without a signal. Every listener hears of every
/// signal, on whatever shard or runtime it is.
///
/// As a [`Stream`] it never ends.
#[derive(Debug)]
pub struct Signal {
    listener: Listener,
    kind: SignalKind,
}

impl Signal {
    /// What it listens for.
    #[must_use]
    pub fn kind(&self) -> SignalKind {
        self.kind
    }

    /// Waits for the next signal; one that has come since the last answer counts.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a signal that came meanwhile is answered by the next call.
    pub async fn recv(&mut self) {
        std::future::poll_fn(|cx| self.listener.poll(cx)).await;
    }
}

impl Stream for Signal {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.listener.poll(cx).map(Some)
    }
}
