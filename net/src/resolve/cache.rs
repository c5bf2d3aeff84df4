//! Names that were looked up lately: few, and not for long.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many names a shard remembers, and for how long.
///
/// A resolver may say for how long an answer is good; the system's does not. Failures are not
/// remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheConfig {
    /// Names (256); none switches the cache off.
    pub names_max: usize,
    /// How long an answer is used at most (30 s), and if the resolver does not say; zero switches
    /// the cache off.
    pub ttl_max: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            names_max: 256,
            ttl_max: Duration::from_secs(30),
        }
    }
}

impl CacheConfig {
    /// No cache: every lookup asks the resolver.
    pub const OFF: Self = Self {
        names_max: 0,
        ttl_max: Duration::ZERO,
    };

    /// Remembers names for so long.
    #[must_use]
    pub fn ttl_max(mut self, ttl_max: Duration) -> Self {
        self.ttl_max = ttl_max;
        self
    }

    /// Remembers so many names.
    #[must_use]
    pub fn names_max(mut self, names_max: usize) -> Self {
        self.names_max = names_max;
        self
    }
}

#[derive(Debug)]
struct Entry {
    addresses: Rc<[SocketAddr]>,
    since: Instant,
    ttl: Duration,
}

impl Entry {
    /// Clocks of several runtimes may have run on this thread: what is from the future is not
    /// trusted.
    fn is_good(&self, now: Instant) -> bool {
        now.checked_duration_since(self.since)
            .is_some_and(|age| age < self.ttl)
    }
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    config: CacheConfig,
    entries: HashMap<String, Entry>,
}

impl Cache {
    pub(super) fn new(config: CacheConfig) -> Self {
        Self {
            config,
            entries: HashMap::new(),
        }
    }

    pub(super) fn config(&self) -> CacheConfig {
        self.config
    }

    pub(super) fn find(&self, name: &str, now: Instant) -> Option<Rc<[SocketAddr]>> {
        let entry = self.entries.get(name)?;
        entry.is_good(now).then(|| Rc::clone(&entry.addresses))
    }

    pub(super) fn put(
        &mut self,
        name: &str,
        addresses: &Rc<[SocketAddr]>,
        ttl: Option<Duration>,
        now: Instant,
    ) {
        let ttl = ttl.map_or(self.config.ttl_max, |ttl| ttl.min(self.config.ttl_max));
        if ttl.is_zero() || self.config.names_max == 0 {
            return;
        }
        if self.entries.len() >= self.config.names_max && !self.entries.contains_key(name) {
            self.make_room(now);
        }
        let entry = Entry {
            addresses: Rc::clone(addresses),
            since: now,
            ttl,
        };
        self.entries.insert(name.to_owned(), entry);
    }

    /// Forgets what is no good any more, or else the oldest.
    fn make_room(&mut self, now: Instant) {
        self.entries.retain(|_, entry| entry.is_good(now));
        while self.entries.len() >= self.config.names_max {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.since);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            self.entries.remove(&oldest);
        }
    }
}
