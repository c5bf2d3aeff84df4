//! The hook that hears of panics nobody joins: of detached tasks, of drops, of messages.

use std::any::Any;
use std::io::{self, Write};

use super::error::panic_text;
use super::meta::TaskMeta;

/// What hears of a panic that nobody joins.
pub(crate) type Unhandled = dyn Fn(&TaskMeta, &(dyn Any + Send));

/// The default: one line on standard error.
pub(super) fn print(meta: &TaskMeta, payload: &(dyn Any + Send)) {
    let text = panic_text(payload).unwrap_or("a payload that is not text");
    // If standard error is gone there is nobody left to tell.
    let _ignored = writeln!(io::stderr(), "annulet: unhandled panic in {meta}: {text}");
}
