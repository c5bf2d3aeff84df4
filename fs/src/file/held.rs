//! A hold on an open file, and what its end costs.
//!
//! Closing a descriptor is quick, but for one that is the last of a file without a name: then the
//! file goes, and freeing 1 GiB takes from 7 ms (xfs) to 60 ms (ext4) and 200 ms (tmpfs), in whoever
//! closes it. So the last hold looks whether that is so, by what is in memory, for less than a
//! microsecond; if it is, a thread of the blocking pool closes the file.
//!
//! Where an operation still has the file, that operation is the last, and closes it where it ends.

use std::fs::File;
use std::ops::Deref;

use annulet_runtime::op::Shared;
use annulet_runtime::{spawn_blocking, try_current};

use crate::platform;

/// Bytes that are freed in about a tenth of a millisecond.
const COSTLY_BYTES: u64 = 1 << 20;

/// A hold on an open file.
#[derive(Debug)]
pub(super) struct Held(Option<Shared<File>>);

impl Held {
    pub(super) fn new(file: Shared<File>) -> Self {
        Self(Some(file))
    }

    /// The file itself, once the operations under way on it have ended.
    pub(super) async fn into_inner(mut self) -> File {
        let file = self.0.take().expect("taken only here and on drop");
        file.into_inner().await
    }
}

impl Deref for Held {
    type Target = Shared<File>;

    #[inline]
    fn deref(&self) -> &Shared<File> {
        self.0.as_ref().expect("taken only on the way to its end")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(file) = self.0.take() else { return };
        let is_costly = || {
            let bytes = platform::bytes_freed_by_close(&file);
            bytes.is_some_and(|bytes| bytes >= COSTLY_BYTES)
        };
        if file.is_last()
            && is_costly()
            && try_current().is_ok()
            && let Ok(file) = file.try_into_inner()
        {
            // A pool that takes no more calls drops this one, and the file with it.
            spawn_blocking(move || drop(file)).detach();
        }
    }
}
