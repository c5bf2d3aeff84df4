//! Where signals come from on Unix: a thread that reads what the handlers have left.
//!
//! The handlers are `signal-hook`'s. They set a flag and write a byte to a socket of their own, and
//! then call whatever handler stood there before; nothing of ours runs in them. The thread sleeps
//! in a read of that socket for as long as nothing comes. It and the handlers stay for the life of
//! the process.

use std::io;
use std::sync::Mutex;
use std::thread;

use signal_hook::consts::FORBIDDEN;
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;

use super::hub::{Number, deliver};
use crate::panics::lock;
use crate::sys;

/// `SIGINT`.
pub(super) const CTRL_C: &[Number] = &[signal_hook::consts::SIGINT];

/// What asks a process to end. A hang-up is not among them where the process was started to ignore
/// it, by `nohup`.
pub(super) fn ending() -> &'static [Number] {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    if sys::signal::is_ignored(SIGHUP) {
        &[SIGINT, SIGTERM]
    } else {
        &[SIGINT, SIGTERM, SIGHUP]
    }
}

/// Signals have numbers below this on every system.
const NUMBERS_END: Number = 128;

/// Has these signals delivered from now on.
pub(super) fn watch(signals: &[Number]) -> io::Result<()> {
    static SOURCE: Mutex<Option<Handle>> = Mutex::new(None);
    for signal in signals {
        if FORBIDDEN.contains(signal) || !(1..NUMBERS_END).contains(signal) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("signal {signal} cannot be listened for"),
            ));
        }
    }
    let mut source = lock(&SOURCE);
    let handle = match &*source {
        Some(handle) => handle,
        None => source.insert(start()?),
    };
    for signal in signals {
        handle.add_signal(*signal)?;
    }
    Ok(())
}

fn start() -> io::Result<Handle> {
    let none: [Number; 0] = [];
    let mut signals = Signals::new(none)?;
    let handle = signals.handle();
    thread::Builder::new()
        .name("annulet-signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                deliver(signal);
            }
        })?;
    Ok(handle)
}

/// Ends the process the way this signal would have without a handler.
pub(super) fn end_by(signal: Number) {
    // What it cannot do it has told by ending the process in another way.
    let _ended = emulate_default_handler(signal);
}
