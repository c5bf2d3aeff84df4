//! Where the request to end comes from on Windows: ctrl-c, and the console's other ways to say it.
//!
//! The handler is that of `ctrlc`, whose thread waits for the console and then calls us.

use std::io;
use std::process;
use std::sync::Mutex;

use super::hub::{Number, deliver};
use crate::panics::lock;

/// The only kind there is: all of the console's requests are one.
const REQUEST: Number = 1;

/// `CTRL_C_EVENT`.
pub(super) const CTRL_C: &[Number] = &[REQUEST];

/// What asks a process to end.
pub(super) fn ending() -> &'static [Number] {
    CTRL_C
}

/// Has the console's requests delivered from now on.
pub(super) fn watch(_signals: &[Number]) -> io::Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = lock(&INSTALLED);
    if !*installed {
        ctrlc::set_handler(|| deliver(REQUEST)).map_err(io::Error::other)?;
        *installed = true;
    }
    Ok(())
}

/// `STATUS_CONTROL_C_EXIT`, by which the console ends a process.
const ENDED_BY_CONSOLE: i32 = 0xC000_013A_u32.cast_signed();

/// Ends the process as the console would have without a handler.
pub(super) fn end_by(_signal: Number) {
    process::exit(ENDED_BY_CONSOLE);
}
