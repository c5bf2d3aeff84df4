//! Opening pipes by their names.
//!
//! The plain way to open a FIFO waits for the other end, for ever if need be. Opened without
//! waiting a reading end is there at once, and reads "ended" until the first writer comes; so the
//! first read waits for readiness, which an end that nobody has come to does not have. A writing
//! end without a reader cannot be.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use annulet_runtime::spawn_blocking;
use annulet_runtime::sys::open_fifo;

use super::{Receiver, Sender};

/// Opens a FIFO, without waiting for the other end.
async fn open(path: &Path, reads: bool) -> io::Result<OwnedFd> {
    let path: PathBuf = path.to_owned();
    let opened = spawn_blocking(move || open_fifo(&path, reads));
    match opened.await {
        Ok(opened) => opened,
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

/// Opens a named pipe for reading, whether anybody writes to it or not. The first read waits for
/// the first writer; from then on a read of nothing means that no writer is left.
///
/// # Errors
///
/// The system's; `InvalidInput` for a name that is not a pipe's.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: a pipe opened for nobody is closed.
///
/// # Kernel
///
/// `open(2)` with `O_NONBLOCK` on the blocking pool.
pub async fn open_receiver(path: impl AsRef<Path>) -> io::Result<Receiver> {
    let mut receiver = Receiver::from_owned_fd(open(path.as_ref(), true).await?)?;
    receiver.waits = true;
    Ok(receiver)
}

/// Opens a named pipe for writing. Somebody must have it open for reading.
///
/// # Errors
///
/// The system's, as `ENXIO` where nobody reads; try again when somebody does. `InvalidInput` for a
/// name that is not a pipe's.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: a pipe opened for nobody is closed.
///
/// # Kernel
///
/// As [`open_receiver`].
pub async fn open_sender(path: impl AsRef<Path>) -> io::Result<Sender> {
    Sender::from_owned_fd(open(path.as_ref(), false).await?)
}
