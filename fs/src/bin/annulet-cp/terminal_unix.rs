//! The terminal behind standard error, if one is.

use std::env;
use std::io::{self, IsTerminal};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{tcgetpgrp, tcgetwinsize};

/// How many columns a line can be drawn on; nothing where none can be drawn again and again.
pub(crate) fn columns() -> Option<usize> {
    let draws = io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
    if !draws {
        return None;
    }
    // A terminal that does not know its size, as on a serial line, is taken for the usual one.
    match tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col) {
        0 => Some(80),
        columns => Some(usize::from(columns)),
    }
}

/// Whether the terminal is ours to draw on, and not that of a program in the foreground.
pub(crate) fn is_ours() -> bool {
    tcgetpgrp(io::stderr()).is_ok_and(|group| group == getpgrp())
}

/// Waits until there is something to read on standard input, or its end, for a while at most.
pub(crate) fn has_input(patience: Duration) -> bool {
    let stdin = io::stdin();
    let mut input = [PollFd::new(&stdin, PollFlags::IN)];
    let patience = Timespec::try_from(patience).ok();
    // A signal in between is as good as the time having passed.
    poll(&mut input, patience.as_ref()).is_ok_and(|ready| ready > 0)
}
