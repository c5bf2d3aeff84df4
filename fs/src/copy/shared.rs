//! What the threads of a copy share: what was asked for, who listens, what was found out.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::links::Links;
use super::options::{Fsync, Options};
use super::pace::Pace;
use super::place::{Place, Shelf};
use super::platform;
use super::report::{Event, Failure, Observer, Progress, Totals, What};
use super::stat::{Identity, Stat};

/// Begins the names of files that are not whole yet.
pub(super) const PARTIAL: &str = ".annulet-cp.";

/// Jobs under way, where nothing else is said: a thread that waits for the disk is no burden.
const JOBS: usize = 16;
/// The same where each waits for syncs: the more there are, the more share one.
const JOBS_THAT_SYNC: usize = 32;
/// Files of one job at most.
const BATCH_MAX: usize = 64;
/// Descriptors left to the rest of the process, as far as there are few.
const DESCRIPTORS_OF_OTHERS: usize = 24;
/// Descriptors that a job may need at once: two directories, two files, and one on the way.
const DESCRIPTORS_OF_A_JOB: usize = 5;
/// Directories kept open at most.
const PLACES_MAX: usize = 256;

/// How much is under way at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Jobs given to the blocking pool.
    pub(super) jobs: usize,
    /// Large files among them.
    pub(super) large_files: usize,
    /// Files of one job.
    pub(super) batch: usize,
    /// Bytes from which a file goes past the page cache.
    pub(super) direct_from_bytes: u64,
}

impl Limits {
    fn new(options: &Options, descriptors: usize) -> Self {
        let syncs = options.fsync == Fsync::Files;
        let usual = if syncs { JOBS_THAT_SYNC } else { JOBS };
        let jobs = options.jobs.map_or(usual, std::num::NonZero::get);
        let jobs = jobs.min(descriptors / DESCRIPTORS_OF_A_JOB).max(1);
        let batch = match syncs {
            // The files of a batch are open together.
            true => (descriptors / jobs).saturating_sub(DESCRIPTORS_OF_A_JOB),
            false => BATCH_MAX,
        };
        Self {
            jobs,
            large_files: jobs.div_ceil(4),
            batch: batch.clamp(1, BATCH_MAX),
            direct_from_bytes: platform::memory_bytes().map_or(u64::MAX, |bytes| bytes / 2),
        }
    }
}

/// By which means the kernel is to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Clone,
    Range,
}

macro_rules! counters {
    ($($name:ident),+) => {
        /// What was done so far.
        #[derive(Default)]
        pub(super) struct Counts { $(pub(super) $name: AtomicU64),+ }

        impl Counts {
            pub(super) fn read(&self) -> Progress {
                Progress { $($name: self.$name.load(Ordering::Relaxed)),+ }
            }
        }
    };
}

counters!(
    files,
    directories,
    links,
    hard_links,
    specials,
    skipped,
    bytes,
    skipped_bytes,
    failures,
    warnings
);

pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Nothing that is done under these locks can leave things half-done by a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) limits: Limits,
    pub(super) counts: Counts,
    pub(super) shelf: Arc<Shelf>,
    pub(super) links: Links,
    pub(super) pace: Pace,
    /// Lanes that have nothing to do.
    pub(super) idle: AtomicUsize,
    observer: Box<dyn Observer>,
    wants_events: bool,
    asking: Mutex<()>,
    stop: AtomicBool,
    /// What each means was refused between: device and device.
    refused: Mutex<Vec<(Means, u64, u64)>>,
    /// Files made by this copy, if one may be met again.
    made: Mutex<Option<HashSet<(u64, u64)>>>,
    /// A directory on each file system copied to.
    file_systems: Mutex<Vec<(u64, Arc<Place>)>>,
    random: u64,
    names: AtomicU64,
    pub(super) totals: Mutex<Totals>,
}

impl Shared {
    pub(super) fn new(options: Options, observer: Box<dyn Observer>) -> Self {
        let descriptors = platform::descriptors_max().saturating_sub(DESCRIPTORS_OF_OTHERS);
        Self {
            limits: Limits::new(&options, descriptors / 3 * 2),
            shelf: Shelf::new((descriptors / 3).min(PLACES_MAX)),
            counts: Counts::default(),
            links: Links::default(),
            pace: Pace::new(options.limit_bytes_per_s),
            idle: AtomicUsize::new(0),
            wants_events: observer.wants_events(),
            observer,
            asking: Mutex::default(),
            stop: AtomicBool::new(false),
            refused: Mutex::default(),
            made: Mutex::default(),
            file_systems: Mutex::default(),
            random: RandomState::new().build_hasher().finish(),
            names: AtomicU64::new(0),
            totals: Mutex::default(),
            options,
        }
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.pace.stop();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Tells of a failure; once the copy is stopped, there are none.
    pub(super) fn fail(&self, failure: &Failure) {
        if !self.is_stopped() {
            count(&self.counts.failures, 1);
            self.observer.failed(failure);
        }
    }

    pub(super) fn warn(&self, warning: &Failure) {
        count(&self.counts.warnings, 1);
        self.observer.warned(warning);
    }

    pub(super) fn wants_events(&self) -> bool {
        self.wants_events
    }

    /// Counts what was done with a name, and tells of it.
    pub(super) fn done(&self, event: &Event<'_>) {
        if self.wants_events {
            self.observer.event(event);
        }
    }

    pub(super) fn counter(&self, what: What) -> Option<&AtomicU64> {
        Some(match what {
            What::File => &self.counts.files,
            What::Directory => &self.counts.directories,
            What::Link => &self.counts.links,
            What::HardLink => &self.counts.hard_links,
            What::Special => &self.counts.specials,
            What::Skipped => &self.counts.skipped,
            What::Removed => return None,
        })
    }

    pub(super) fn ask(&self, to: &std::path::Path) -> bool {
        let _one_at_a_time = lock(&self.asking);
        !self.is_stopped() && self.observer.ask(to)
    }

    pub(super) fn may_try(&self, means: Means, from: u64, to: u64) -> bool {
        !lock(&self.refused).contains(&(means, from, to))
    }

    pub(super) fn refused(&self, means: Means, from: u64, to: u64) {
        let mut refused = lock(&self.refused);
        if !refused.contains(&(means, from, to)) {
            refused.push((means, from, to));
        }
    }

    /// Has the files that are made remembered, because two sources go to the same place.
    pub(super) fn remember_made(&self) {
        lock(&self.made).get_or_insert_default();
    }

    pub(super) fn made(&self, stat: impl FnOnce() -> std::io::Result<Stat>) {
        if let Some(made) = &mut *lock(&self.made)
            && let Ok(Some(identity)) = stat().map(|stat| stat.identity)
        {
            made.insert(identity);
        }
    }

    pub(super) fn was_made(&self, identity: Identity) -> bool {
        let made = lock(&self.made);
        identity.is_some_and(|identity| made.as_ref().is_some_and(|made| made.contains(&identity)))
    }

    /// A name of our own for a file that is not whole yet.
    pub(super) fn partial_name(&self) -> OsString {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        format!("{PARTIAL}{:016x}.{number:x}", self.random).into()
    }

    /// Remembers a file system to sync in the end.
    pub(super) fn copied_to(&self, place: &Arc<Place>) {
        if self.options.fsync == Fsync::End {
            let device = place.identity().map_or(0, |(device, _)| device);
            let mut known = lock(&self.file_systems);
            if known.iter().all(|(other, _)| *other != device) {
                known.push((device, Arc::clone(place)));
            }
        }
    }

    /// Syncs all file systems that were copied to.
    pub(super) fn sync_all(&self) {
        for (_, place) in lock(&self.file_systems).drain(..) {
            let synced = place
                .folder()
                .and_then(|folder| platform::sync_file_system(&folder));
            if let Err(error) = synced {
                self.fail(&Failure::new("cannot sync", place.path(), error));
            }
        }
    }
}
