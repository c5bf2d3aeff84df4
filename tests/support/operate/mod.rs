//! Operate and cancel: one operation, ended at a point drawn by lot.
//!
//! A [`Trial`] says when the operation is given up and when its peer does what completes it (the
//! nudge): before the first poll, so that it completes at once; between, so that completion and
//! cancel race; or after it was dropped, so that only a cancel that failed would still see it.

mod trial;
mod worker;

pub(crate) use worker::{Findings, Worker};
