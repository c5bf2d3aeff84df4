//! A directory removed with all that is in it.
//!
//! # Nothing but what is inside
//!
//! Others may rename and replace what is in the tree while it is removed, and put a symbolic link
//! where a directory was. So on Linux no path is looked up twice: a directory is opened from its
//! parent's descriptor and never through a link, its entries are removed from its own descriptor,
//! and it is its parent again that is told to remove it. What was swapped for a link loses the
//! link, not what that points to.
//!
//! # Bounded, however deep
//!
//! There is no recursion. The levels from the root to where we are lie in a list; the deepest
//! 32 of them have their descriptor open, with the names of directories
//! that were found there and not entered yet. Whoever comes back to a level whose descriptor was
//! given up opens it as the parent (`..`) of the level below, and goes on only if it is the same
//! directory as before; it is listed anew, which finds what is left.
//!
//! # In steps
//!
//! One job of the pool removes up to [`STEP`] entries and gives the removal back. So a future that
//! is dropped stops it soon, and a large tree takes turns with other jobs.
//!
//! Other systems do as their standard library does, in one job.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

use std::io;
use std::path::Path;

#[cfg(target_os = "linux")]
use linux::Removal;
#[cfg(not(target_os = "linux"))]
use portable::Removal;

use crate::offload::offload;

/// How many entries one job removes.
const STEP: usize = 1024;

/// Removes a directory with all that is in it; of a symbolic link, the link alone.
///
/// Links inside are removed and not followed, also if they are put there meanwhile.
///
/// # Errors
///
/// The system's, about the first entry that cannot be removed; what has been removed by then is
/// gone. What somebody else removes meanwhile is no error.
///
/// # Cancel safety
///
/// Not cancel safe: some of it may be gone. It stops soon after the future is dropped.
///
/// # Kernel
///
/// `openat`, `getdents64` and `unlinkat` on the blocking pool, with 32 descriptors at most.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let mut removal = Removal::new(path.as_ref());
    while let Some(rest) = offload(move || removal.step(STEP)).await? {
        removal = rest;
    }
    Ok(())
}

/// The same, on this thread and to the end.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let mut removal = Removal::new(path);
    while let Some(rest) = removal.step(STEP)? {
        removal = rest;
    }
    Ok(())
}
