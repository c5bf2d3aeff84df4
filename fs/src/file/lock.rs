//! Locks that programs agree to respect, on a whole file.
//!
//! The system wakes nobody who does not block in it, and a thread that blocks for long is none of
//! the pool's. So who waits asks again, at first after a millisecond, then less often: an idle
//! program that waits for a lock asks 16 times a second, and a given-up wait leaves nothing behind.

use std::fs::TryLockError;
use std::io::{self, ErrorKind};
use std::time::Duration;

use annulet_runtime::time::sleep;

use super::File;

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// Who else may have a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockKind {
    /// Others with a shared lock.
    Shared,
    /// Nobody.
    Exclusive,
}

impl File {
    /// Takes a lock on the whole file and keeps it until [`unlock`](Self::unlock), or until the file
    /// and all clones of it are closed. A lock that it has already is exchanged for this one.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` on file systems without locks.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an attempt under way when the future is dropped may still take the lock.
    ///
    /// # Kernel
    ///
    /// `flock(2)` on the blocking pool, asked again until it is granted.
    pub async fn lock(&self, kind: LockKind) -> io::Result<()> {
        let mut pause = FIRST_PAUSE;
        while !self.try_lock(kind).await? {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    /// Takes a lock if nobody has one that is in the way, and says whether it did.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Cancel safety
    ///
    /// As [`lock`](Self::lock).
    pub async fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        self.call(move |file| {
            let asked = match kind {
                LockKind::Shared => file.try_lock_shared(),
                LockKind::Exclusive => file.try_lock(),
            };
            match asked {
                Ok(()) => Ok(true),
                Err(TryLockError::WouldBlock) => Ok(false),
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {
                    Ok(false)
                }
                Err(TryLockError::Error(error)) => Err(error),
            }
        })
        .await
    }

    /// Gives the lock up.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be given up after the future is dropped.
    pub async fn unlock(&self) -> io::Result<()> {
        self.call(std::fs::File::unlock).await
    }
}
