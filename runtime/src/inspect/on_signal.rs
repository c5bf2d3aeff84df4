//! A dump of everything when a signal comes, for a process that has stopped answering.
//!
//! A thread of its own waits for the signal, so it is there when every shard is stuck. The handler
//! is `signal-hook`'s, which shares the signal with others of the process and does nothing but
//! write to a pipe.

use std::io::{self, Write};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use signal_hook::consts::FORBIDDEN;
use signal_hook::iterator::Signals;

use super::snapshot::snapshot;
use crate::panics::lock;
use crate::signal::unix::SignalKind;

/// How long the shards have to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The signals that a thread waits for.
static HEARD: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Has a [snapshot](super::snapshot()) of all shards of the process written to standard error
/// whenever a signal of this kind comes, from now on and for as long as the process lives.
///
/// Asking for the same signal again changes nothing. A shard that does not answer within a second
/// is shown by the task whose poll is on its stack. Usual choices are `SIGUSR1` and, as for the
/// virtual machines of Java, `SIGQUIT` (ctrl-\\). Its default action, which mostly is to end the
/// process, is then gone.
///
/// # Errors
///
/// The system's: a signal that does not exist or cannot be handled, as `SIGKILL`; no thread.
///
/// # Examples
///
/// ```no_run
/// use annulet_runtime::inspect::dump_on;
/// use annulet_runtime::signal::unix::SignalKind;
///
/// dump_on(SignalKind::user_defined1())?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn dump_on(kind: SignalKind) -> io::Result<()> {
    let signal = kind.as_raw();
    if FORBIDDEN.contains(&signal) {
        let message = format!("{kind:?} cannot be handled");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut heard = lock(&HEARD);
    if heard.contains(&signal) {
        return Ok(());
    }
    let mut signals = Signals::new([signal])?;
    let thread = thread::Builder::new().name("annulet-dump".to_owned());
    thread.spawn(move || {
        for _ in signals.forever() {
            let text = format!("annulet: {}\n", snapshot(PATIENCE));
            // With standard error gone there is nobody to tell.
            let _gone = io::stderr().write_all(text.as_bytes());
        }
    })?;
    heard.push(signal);
    Ok(())
}
