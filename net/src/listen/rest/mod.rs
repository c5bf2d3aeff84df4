//! What a listener does about errors of accepting: which are told, and how long it then rests.
//!
//! | error | is told | then |
//! |---|---|---|
//! | of one connection, as one that its peer took back | no | the next is tried at once |
//! | of a shortage, as of descriptors | no | a rest, and another try |
//! | of the listener | once | the next accept begins with a rest |
//!
//! A rest is 10 ms, and twice the last one while nothing is accepted between, up to 100 ms. It ends
//! early when this shard closes a source: that may be the descriptor that was missing. So a
//! listener that cannot accept costs a few tries in a second, whoever asks it how often.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use annulet_runtime::Driver;
use annulet_runtime::op::{AcceptFault, accept_fault};
use annulet_runtime::time::{Sleep, sleep};
use annulet_runtime::try_current;
use socket2::Socket;

const REST_MIN: Duration = Duration::from_millis(10);
const REST_MAX: Duration = Duration::from_millis(100);
/// Connections that fail one after the other before the listener rests: there may be no more to
/// them than the error.
const FAILURES_MAX: u32 = 64;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// The last rest, zero after a connection.
    last: Cell<Duration>,
    /// The rest under way.
    sleep: RefCell<Option<Sleep>>,
    /// How many sources the shard had closed when the rest began.
    closed: Cell<u64>,
    failures: Cell<u32>,
}

impl Rest {
    /// Ready when the listener may be asked.
    pub(super) fn poll(&self, driver: &Driver, cx: &mut Context<'_>) -> Poll<()> {
        let mut rest = self.sleep.borrow_mut();
        let Some(sleep) = &mut *rest else {
            return Poll::Ready(());
        };
        let waits = self.closed.get() == driver.closed() && Pin::new(sleep).poll(cx).is_pending();
        if waits {
            driver.wait_for_closed(cx.waker());
            return Poll::Pending;
        }
        *rest = None;
        Poll::Ready(())
    }

    /// What to tell of this answer; none if it is to be asked again.
    pub(super) fn judge(
        &self,
        driver: &Driver,
        accepted: io::Result<Socket>,
    ) -> Option<io::Result<Socket>> {
        let Err(error) = &accepted else {
            self.failures.set(0);
            self.last.set(Duration::ZERO);
            return Some(accepted);
        };
        let fault = accept_fault(error);
        self.failures.set(self.failures.get() + 1);
        if fault != AcceptFault::Connection || self.failures.get() >= FAILURES_MAX {
            self.begin(driver);
        }
        (fault == AcceptFault::Listener).then_some(accepted)
    }

    fn begin(&self, driver: &Driver) {
        self.failures.set(0);
        let rest = (self.last.get() * 2).clamp(REST_MIN, REST_MAX);
        self.last.set(rest);
        self.closed.set(driver.closed());
        // Where there are no timers the runtime has ended, and the driver says so by itself.
        self.sleep
            .replace(try_current().is_ok().then(|| sleep(rest)));
    }
}

#[cfg(test)]
mod tests;
