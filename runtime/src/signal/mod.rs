//! The request to end: ctrl-c, and the signals by which a service manager stops a process.
//!
//! The first call installs the process's handler; until then the system's default stands, which ends
//! the process at once. No code of ours runs inside a signal handler: a thread waits for the signal
//! and wakes the tasks that wait here, on whatever shard they are.
//!
//! # Protocol
//!
//! Requests are counted under a lock, beside the wakers of those who wait. A [`Shutdown`] remembers
//! the count at its making and is done once the count has moved on; it looks and leaves its waker in
//! one critical section, so that no request falls between the two.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
struct Requests {
    count: u64,
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

static REQUESTS: Mutex<Requests> = Mutex::new(Requests {
    count: 0,
    next: 0,
    wakers: BTreeMap::new(),
});

fn requests() -> MutexGuard<'static, Requests> {
    // No code of a user runs under this lock.
    REQUESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread of the handler does for each signal.
fn requested() {
    let wakers = {
        let mut requests = requests();
        requests.count += 1;
        std::mem::take(&mut requests.wakers)
    };
    for waker in wakers.into_values() {
        waker.wake();
    }
}

/// Waits for the process to be asked to end. Made by [`shutdown`].
#[derive(Debug)]
#[must_use = "futures do nothing until polled"]
pub struct Shutdown {
    id: u64,
    seen: u64,
}

impl Future for Shutdown {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let old = {
            let mut requests = requests();
            if requests.count > self.seen {
                return Poll::Ready(());
            }
            requests.wakers.insert(self.id, waker)
        };
        drop(old);
        Poll::Pending
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        let waker = requests().wakers.remove(&self.id);
        drop(waker);
    }
}

/// Waits until the process is asked to end: by ctrl-c, and on Unix by `SIGINT`, `SIGTERM` or
/// `SIGHUP`.
///
/// From the first call on, these no longer end the process by themselves, for as long as it lives. A
/// request counts from the call on, awaited or not. To let a second request end the process at once,
/// wait for one more and exit.
///
/// # Errors
///
/// The system's, where the handler cannot be installed; a handler that something else in the process
/// has installed by the same means counts as that.
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
pub fn shutdown() -> io::Result<Shutdown> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let installed =
        INSTALLED.get_or_init(|| ctrlc::set_handler(requested).map_err(|error| error.to_string()));
    if let Err(message) = installed {
        return Err(io::Error::other(format!(
            "no handler for ctrl-c can be installed: {message}"
        )));
    }
    let mut requests = requests();
    requests.next += 1;
    Ok(Shutdown {
        id: requests.next,
        seen: requests.count,
    })
}
