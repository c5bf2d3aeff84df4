//! Whether a source is ready just now: nothing asks, since the poller tells.

use super::RawSource;

/// Whether a poller tells that a source is ready for as long as it is, or only when it becomes so.
pub(crate) const POLLER_TELLS_LEVELS: bool = true;

/// Whether reading, or writing, is known not to block.
pub(crate) fn is_ready(_source: RawSource, _write: bool) -> bool {
    false
}
