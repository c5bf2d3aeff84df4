//! Who hears of sources that are opened and closed: nobody, but in debug mode.

use std::fmt;

use super::Driver;
use crate::sys;
use crate::sys::RawSource;

/// Hears of sources that the driver's operations use. A place is a number that no two of them have
/// at the same time.
pub(crate) trait Ledger: fmt::Debug {
    /// There is a new one; `what` describes it.
    fn opened(&self, place: usize, what: String);
    /// It is about to be closed, or is no longer the driver's.
    fn closed(&self, place: usize);
}

impl Driver {
    /// A source is opened; `raw` is what people know it by.
    #[inline]
    pub(crate) fn note_opened(&self, place: usize, raw: Option<RawSource>) {
        if let Some(ledger) = self.ledger() {
            let what = raw.map_or_else(|| "a file".to_owned(), sys::describe);
            ledger.opened(place, what);
        }
    }

    /// A source is closed.
    #[inline]
    pub(crate) fn note_closed(&self, place: usize) {
        if let Some(ledger) = self.ledger() {
            ledger.closed(place);
        }
    }
}
