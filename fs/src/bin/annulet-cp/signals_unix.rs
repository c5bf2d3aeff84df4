//! The signals that ask to end, each with its exit code, and the one that asks how far it is.

use std::future::ready;
use std::io;

use annulet_runtime::select;
use annulet_runtime::signal::unix::{Signal, SignalKind, signal};
use annulet_runtime::signal::{Request, shutdown};

/// Requests to end.
pub(crate) struct Ending {
    any: Request,
    interrupt: Signal,
    terminate: Signal,
}

impl Ending {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            // A hang-up is among these, unless the process was started to outlive it.
            any: shutdown()?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one. Answers with the exit code that tells of it: 128 and its number.
    pub(crate) async fn next(&mut self) -> u8 {
        (&mut self.any).await;
        select! {
            biased;
            () = self.interrupt.recv() => 130,
            () = self.terminate.recv() => 143,
            () = ready(()) => 129,
        }
    }
}

/// Requests to say how far it is: `SIGUSR1`.
pub(crate) struct Asking(Signal);

impl Asking {
    pub(crate) fn listen() -> io::Result<Self> {
        signal(SignalKind::user_defined1()).map(Self)
    }

    pub(crate) async fn next(&mut self) {
        self.0.recv().await;
    }
}
