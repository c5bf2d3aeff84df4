//! Which task's poll is on the stack, for other threads to see: a watchdog must learn who is to
//! blame while the shard is stuck.
//!
//! Two plain stores a poll. A reader may see the halves of two polls; it looks twice before it
//! believes.
//!
//! # Invariants
//!
//! 1. The pointer is null, or was made from a `&'static Location`.

#![expect(unsafe_code, reason = "a location is published as a pointer")]

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::meta::TaskId;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct RunningCell {
    /// Zero for none.
    id: AtomicU64,
    location: AtomicPtr<Location<'static>>,
}

impl RunningCell {
    pub(super) const fn new() -> Self {
        Self {
            id: AtomicU64::new(0),
            location: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// A poll begins.
    #[inline]
    pub(super) fn set(&self, id: TaskId, location: &'static Location<'static>) {
        // Relaxed, as everything here: nothing but the values themselves is published.
        self.location
            .store(ptr::from_ref(location).cast_mut(), Ordering::Relaxed);
        self.id.store(id.as_u64(), Ordering::Relaxed);
    }

    /// No poll is on the stack.
    #[inline]
    pub(super) fn clear(&self) {
        self.id.store(0, Ordering::Relaxed);
    }

    /// The task whose poll is on the stack, and where it was spawned.
    pub(super) fn read(&self) -> Option<(TaskId, &'static Location<'static>)> {
        let id = self.id.load(Ordering::Relaxed);
        if id == 0 {
            return None;
        }
        let location = ptr::NonNull::new(self.location.load(Ordering::Relaxed))?;
        // SAFETY: it was made from a `&'static Location` (Invariant 1).
        let location = unsafe { location.as_ref() };
        Some((TaskId::from_number(id), location))
    }
}
