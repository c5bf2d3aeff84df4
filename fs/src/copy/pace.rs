//! The speed limit: a debt of time, shared by all that copy.
//!
//! Each piece that was copied moves the moment from which the next may be by the time that it is
//! worth. Whoever is early waits, in turns short enough to hear of a stop. Time that nobody used is
//! forgotten but for a little, so that a pause is not made up for by a rush.

use std::num::NonZeroU64;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::shared::lock;

/// What is forgiven of the past.
const SLACK: Duration = Duration::from_millis(50);

pub(super) struct Pace {
    limit_bytes_per_s: Option<NonZeroU64>,
    state: Mutex<State>,
    stopped: Condvar,
}

struct State {
    free_from: Instant,
    stopped: bool,
}

impl Pace {
    pub(super) fn new(limit_bytes_per_s: Option<NonZeroU64>) -> Self {
        Self {
            limit_bytes_per_s,
            state: Mutex::new(State {
                free_from: Instant::now(),
                stopped: false,
            }),
            stopped: Condvar::new(),
        }
    }

    /// The most that is to be copied at once, so that the speed is even.
    pub(super) fn piece_bytes(&self, most: u64) -> u64 {
        let limit = self.limit_bytes_per_s.map_or(u64::MAX, NonZeroU64::get);
        most.min((limit / 16).max(4096))
    }

    /// Takes the time that so many bytes are worth; answers with how long to wait before more.
    pub(super) fn spend(&self, bytes: u64) -> Duration {
        let Some(limit) = self.limit_bytes_per_s else {
            return Duration::ZERO;
        };
        let worth = Duration::from_secs_f64(bytes as f64 / limit.get() as f64);
        let now = Instant::now();
        let mut state = lock(&self.state);
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        state.free_from = state.free_from.max(earliest) + worth;
        state.free_from.saturating_duration_since(now)
    }

    /// As [`spend`](Self::spend), and waits, on a thread that may. A stop ends it.
    pub(super) fn wait(&self, bytes: u64) {
        let until = Instant::now() + self.spend(bytes);
        let mut state = lock(&self.state);
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() || state.stopped {
                return;
            }
            let waited = self.stopped.wait_timeout(state, rest);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn stop(&self) {
        lock(&self.state).stopped = true;
        self.stopped.notify_all();
    }
}
