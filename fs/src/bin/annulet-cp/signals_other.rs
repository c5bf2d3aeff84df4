//! What the console asks to end by; nothing asks how far it is.

use std::future::pending;
use std::io;

use annulet_runtime::signal::{Request, shutdown};

/// Requests to end.
pub(crate) struct Ending(Request);

impl Ending {
    pub(crate) fn listen() -> io::Result<Self> {
        shutdown().map(Self)
    }

    /// Waits for the next one. Answers with the exit code that tells of it.
    pub(crate) async fn next(&mut self) -> u8 {
        (&mut self.0).await;
        130
    }
}

/// Requests to say how far it is.
pub(crate) struct Asking;

impl Asking {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) {
        pending().await
    }
}
