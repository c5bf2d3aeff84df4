//! Panics of code that is not ours: caught where it is called, and carried on or put away.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send + 'static>;

/// Runs code of a user and hands back its panic.
///
/// Unwind safety is on us: after each use, what the code could have left half done is either
/// dropped without another look, or is a plain cell that is written whole.
#[inline]
pub(crate) fn contain<R>(code: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(code))
}

/// Locks, looking through poison: no code of a user runs under a lock of ours, or where it does,
/// what it could leave half done is its own.
#[inline]
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Drops a panic's payload, whose own drop may panic too. What that second panic carries is
/// leaked, as dropping it could go on for ever.
pub(crate) fn discard_payload(payload: Payload) {
    if let Err(second) = contain(|| drop(payload)) {
        let _leaked = ManuallyDrop::new(second);
    }
}

/// Runs code of a user whose panic concerns nobody.
#[inline]
pub(crate) fn discard_panic(code: impl FnOnce()) {
    if let Err(payload) = contain(code) {
        discard_payload(payload);
    }
}
