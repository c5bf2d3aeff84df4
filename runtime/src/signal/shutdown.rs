//! The orderly end of a server: asked to end, it stops accepting, drains, cleans up, and exits.
//!
//! A [`Shutdown`] is a request that many can wait for and a count of those who are still at work.
//! The request is made once and stays. Both are under one lock with the wakers of those who wait:
//! whoever looks leaves its waker in the same critical section, and whoever changes something takes
//! the wakers out in it and calls them afterwards.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::hub::{self, Hears, Number};
use super::source;
use crate::panics::lock;
use crate::time::timeout;

#[derive(Default)]
struct State {
    asked: bool,
    /// A signal has asked.
    signalled: bool,
    /// Guards alive.
    open: usize,
    /// The last name given to one who waits.
    names: u64,
    wait_for_request: BTreeMap<u64, Waker>,
    wait_for_drain: BTreeMap<u64, Waker>,
}

#[derive(Default)]
struct Inner(Mutex<State>);

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    fn ask(&self) {
        let wakers = {
            let mut state = self.lock();
            state.asked = true;
            mem::take(&mut state.wait_for_request)
        };
        for waker in wakers.into_values() {
            waker.wake();
        }
    }

    fn leave(&self) {
        let wakers = {
            let mut state = self.lock();
            state.open -= 1;
            if state.open > 0 {
                return;
            }
            mem::take(&mut state.wait_for_drain)
        };
        for waker in wakers.into_values() {
            waker.wake();
        }
    }
}

impl Hears for Inner {
    fn hear(&self, signal: Number) {
        let again = mem::replace(&mut self.lock().signalled, true);
        if again {
            source::end_by(signal);
        }
        self.ask();
    }
}

/// A request to end, for all who work, and the count of those who still do. Clones are the same;
/// they may go to other shards.
///
/// ```text
/// asked()  ->  stop accepting  ->  drained(patience)  ->  clean up  ->  exit
/// ```
///
/// # Examples
///
/// The example `graceful_shutdown` of the facade is a whole server. In short:
///
/// ```
/// use std::time::Duration;
/// use annulet_runtime::signal::Shutdown;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let shutdown = Shutdown::on_signal()?;
/// let guard = shutdown.guard();
/// annulet_runtime::spawn(async move {
///     // Serve a connection, until its end or until this is done and there is nothing under way:
///     guard.asked().await;
/// });
/// # shutdown.ask();
/// shutdown.asked().await;
/// if let Err(undrained) = shutdown.drained(Duration::from_secs(30)).await {
///     eprintln!("{undrained}");
/// }
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Inner>);

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("asked", &self.is_asked())
            .field("open", &self.open())
            .finish()
    }
}

impl Shutdown {
    /// One that is asked for by [`ask`](Self::ask) alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that is asked for by the signals of [`shutdown()`](super::shutdown) too, from now on.
    ///
    /// While it lives, a second such signal ends the process at once, the way it would have ended
    /// without any handler, and even if every shard is stuck.
    ///
    /// # Errors
    ///
    /// The system's, where the handler cannot be installed.
    pub fn on_signal() -> io::Result<Self> {
        let this = Self::new();
        let signals = source::ending();
        source::watch(signals)?;
        let weak: Weak<Inner> = Arc::downgrade(&this.0);
        hub::tell(signals, weak);
        Ok(this)
    }

    /// Asks everybody to end. Asking again changes nothing.
    pub fn ask(&self) {
        self.0.ask();
    }

    /// Whether it has been asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.lock().asked
    }

    /// Waits until it is asked for; at once if it has been.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a request stays.
    pub fn asked(&self) -> Asked {
        let mut state = self.0.lock();
        state.names += 1;
        Asked {
            name: state.names,
            inner: Arc::clone(&self.0),
        }
    }

    /// Counts one more at work, until the guard is dropped: one for each connection, say.
    #[must_use = "it counts for as long as it is kept"]
    pub fn guard(&self) -> Guard {
        self.0.lock().open += 1;
        Guard {
            shutdown: self.clone(),
        }
    }

    /// How many are at work.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.lock().open
    }

    /// Asks everybody to end, and waits until nobody is at work, or for `patience` at most.
    ///
    /// # Errors
    ///
    /// [`Undrained`] if the time is over first. Those still at work go on; dropping the runtime
    /// ends them.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; it stays asked for.
    pub async fn drained(&self, patience: Duration) -> Result<(), Undrained> {
        self.ask();
        let mut place = Place {
            name: None,
            inner: &self.0,
        };
        match timeout(patience, poll_fn(|cx| place.poll(cx))).await {
            Ok(()) => Ok(()),
            Err(_) => match self.open() {
                0 => Ok(()),
                open => Err(Undrained { open }),
            },
        }
    }
}

/// One who waits for the others to be done.
struct Place<'a> {
    name: Option<u64>,
    inner: &'a Inner,
}

impl Place<'_> {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let old = {
            let mut state = self.inner.lock();
            if state.open == 0 {
                return Poll::Ready(());
            }
            let name = self.name.unwrap_or(state.names + 1);
            state.names = state.names.max(name);
            self.name = Some(name);
            state.wait_for_drain.insert(name, waker)
        };
        drop(old);
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name {
            let waker = self.inner.lock().wait_for_drain.remove(&name);
            drop(waker);
        }
    }
}

/// Waits for the request to end. Made by [`Shutdown::asked`] and [`Guard::asked`].
#[must_use = "futures do nothing until polled"]
pub struct Asked {
    name: u64,
    inner: Arc<Inner>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}

impl Future for Asked {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let old = {
            let mut state = self.inner.lock();
            if state.asked {
                return Poll::Ready(());
            }
            state.wait_for_request.insert(self.name, waker)
        };
        drop(old);
        Poll::Pending
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let waker = self.inner.lock().wait_for_request.remove(&self.name);
        drop(waker);
    }
}

/// One at work. Made by [`Shutdown::guard`]; dropping it says that the work is done.
#[derive(Debug)]
pub struct Guard {
    shutdown: Shutdown,
}

impl Guard {
    /// Waits until everybody is asked to end; see [`Shutdown::asked`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a request stays.
    pub fn asked(&self) -> Asked {
        self.shutdown.asked()
    }

    /// Whether everybody has been asked to end: a handler that looks between two requests closes
    /// its connection then.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.shutdown.is_asked()
    }
}

impl Clone for Guard {
    /// One more at work.
    fn clone(&self) -> Self {
        self.shutdown.guard()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shutdown.0.leave();
    }
}

/// The time to drain was over with some still at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undrained {
    /// How many.
    pub open: usize,
}

impl fmt::Display for Undrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} still at work after the time to drain", self.open)
    }
}

impl Error for Undrained {}

impl From<Undrained> for io::Error {
    fn from(undrained: Undrained) -> Self {
        Self::new(io::ErrorKind::TimedOut, undrained)
    }
}
