//! Calls that may wait for a disk: they run on the blocking pool, and a shard awaits them.
//!
//! A call that was handed over is made, also if nobody awaits it any more, unless it is still
//! queued by then. So what only looks is cancel safe, and what changes something is not.

use std::io;

use annulet_runtime::spawn_blocking;

/// Runs a call on the pool and flattens its errors.
pub(crate) async fn offload<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(call).await.map_err(io::Error::other)?
}
