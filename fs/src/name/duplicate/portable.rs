//! Other systems: the standard library's copy.

use std::io;
use std::path::Path;

use super::refused;

/// A copy that was made.
pub(super) struct Copying(u64);

impl Copying {
    pub(super) fn begin(from: &Path, to: &Path) -> io::Result<Self> {
        let there = to.canonicalize();
        if there.is_ok_and(|there| from.canonicalize().is_ok_and(|from| from == there)) {
            return Err(refused("a file is not copied onto itself"));
        }
        std::fs::copy(from, to).map(Self)
    }

    pub(super) fn is_over(&self) -> bool {
        true
    }

    pub(super) fn step(self, _bytes: u64) -> io::Result<Self> {
        Ok(self)
    }

    pub(super) fn copied(&self) -> u64 {
        self.0
    }
}
