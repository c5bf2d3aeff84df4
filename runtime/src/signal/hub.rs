//! Who waits for which signal, across all threads and runtimes of the process.
//!
//! # Protocol
//!
//! Each signal has a count, under one lock with the wakers of those who wait. A [`Listener`]
//! remembers the counts at its making and has heard something once one of its signals has moved on;
//! it looks and leaves its waker in one critical section, so that no signal falls between the two.
//! Several signals that come before it looks are one to it.
//!
//! [`deliver`] is called on the thread of the source, an ordinary thread where anything may be
//! done. Wakers are cloned, woken and dropped with the lock let go.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};

use crate::panics::lock;
use crate::task::{Wait, waiting};

/// A signal by the system's number.
pub(super) type Number = i32;

/// Is told of signals on the thread that waits for them.
pub(super) trait Hears: Send + Sync {
    /// One of the signals asked for has come.
    fn hear(&self, signal: Number);
}

/// Something that is told, and of what.
struct Told {
    signals: Arc<[Number]>,
    who: Weak<dyn Hears>,
}

struct Hub {
    counts: BTreeMap<Number, u64>,
    /// The last name given.
    names: u64,
    waiting: BTreeMap<u64, (Arc<[Number]>, Waker)>,
    told: Vec<Told>,
}

static HUB: Mutex<Hub> = Mutex::new(Hub {
    counts: BTreeMap::new(),
    names: 0,
    waiting: BTreeMap::new(),
    told: Vec::new(),
});

fn hub() -> MutexGuard<'static, Hub> {
    lock(&HUB)
}

impl Hub {
    fn count(&self, signal: Number) -> u64 {
        self.counts.get(&signal).copied().unwrap_or(0)
    }
}

/// Counts a signal and tells all who wait for it. Called by the source, on its thread.
pub(super) fn deliver(signal: Number) {
    let (wakers, told) = {
        let mut hub = hub();
        *hub.counts.entry(signal).or_default() += 1;
        let heard: Vec<u64> = hub
            .waiting
            .iter()
            .filter(|(_, (signals, _))| signals.contains(&signal))
            .map(|(&name, _)| name)
            .collect();
        let wakers: Vec<_> = heard
            .iter()
            .filter_map(|name| hub.waiting.remove(name))
            .collect();
        hub.told.retain(|told| told.who.strong_count() > 0);
        let told: Vec<_> = hub
            .told
            .iter()
            .filter(|told| told.signals.contains(&signal))
            .filter_map(|told| told.who.upgrade())
            .collect();
        (wakers, told)
    };
    for who in told {
        who.hear(signal);
    }
    for (_, waker) in wakers {
        waker.wake();
    }
}

/// Has `who` told of these signals for as long as it lives.
pub(super) fn tell(signals: &[Number], who: Weak<dyn Hears>) {
    hub().told.push(Told {
        signals: signals.into(),
        who,
    });
}

/// Waits for any of some signals.
pub(super) struct Listener {
    name: u64,
    signals: Arc<[Number]>,
    /// The sum of their counts when they were last looked at.
    seen: u64,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.signals.iter()).finish()
    }
}

impl Listener {
    /// Hears of what comes from now on. The source must watch these signals already.
    pub(super) fn new(signals: &[Number]) -> Self {
        let mut hub = hub();
        hub.names += 1;
        Self {
            name: hub.names,
            signals: signals.into(),
            seen: signals.iter().map(|&signal| hub.count(signal)).sum(),
        }
    }

    /// Ready once any of them has come since the last time this was ready.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let old = {
            let mut hub = hub();
            let count = self.signals.iter().map(|&signal| hub.count(signal)).sum();
            if count == self.seen {
                let place = (Arc::clone(&self.signals), waker);
                hub.waiting.insert(self.name, place)
            } else {
                self.seen = count;
                return Poll::Ready(());
            }
        };
        drop(old);
        waiting(Wait::Signal);
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let place = hub().waiting.remove(&self.name);
        drop(place);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::sync::{Arc, Weak};
    use std::task::{Context, Wake, Waker};

    use super::{Hears, Listener, Number, deliver, hub, tell};

    struct Woken(AtomicI32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Hears for Woken {
        fn hear(&self, signal: Number) {
            self.0.fetch_add(signal, Ordering::SeqCst);
        }
    }

    #[test]
    fn signals_that_nobody_has_looked_at_are_one_and_each_listener_has_its_own_look() {
        let woken = Arc::new(Woken(AtomicI32::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        deliver(1001);
        let mut one = Listener::new(&[1001, 1002]);
        let mut other = Listener::new(&[1001]);
        assert!(one.poll(&cx).is_pending(), "that was before");
        assert!(other.poll(&cx).is_pending(), "that was before");
        deliver(1002);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "only who listens for it");
        deliver(1001);
        deliver(1002);
        assert_eq!(
            woken.0.load(Ordering::SeqCst),
            2,
            "who has been woken is not again"
        );
        assert!(one.poll(&cx).is_ready() && one.poll(&cx).is_pending());
        assert!(other.poll(&cx).is_ready() && other.poll(&cx).is_pending());
        deliver(1003);
        assert!(one.poll(&cx).is_pending(), "another signal");
        drop((one, other));
        let left = hub()
            .waiting
            .values()
            .filter(|(signals, _)| signals.contains(&1001))
            .count();
        assert_eq!(left, 0, "who is gone waits no more");
    }

    #[test]
    fn whoever_is_told_is_told_until_it_is_gone() {
        let told = Arc::new(Woken(AtomicI32::new(0)));
        let weak: Weak<Woken> = Arc::downgrade(&told);
        tell(&[1010, 1011], weak);
        deliver(1010);
        deliver(1011);
        deliver(1012);
        assert_eq!(told.0.load(Ordering::SeqCst), 2021);
        drop(told);
        deliver(1010);
        assert!(hub().told.iter().all(|told| !told.signals.contains(&1010)));
    }
}
