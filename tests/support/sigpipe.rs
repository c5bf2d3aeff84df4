//! `SIGPIPE` as a program of another language has it: it ends the process.

#![expect(unsafe_code, reason = "what a signal does is set by no safe call")]

use nix::sys::signal::{SigHandler, Signal, signal};

/// Undoes what Rust's start does, for this process and for good.
pub(crate) fn restore() {
    // SAFETY: the default is no handler, so nothing runs that could do what a handler may not.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.expect("it can be set");
}
