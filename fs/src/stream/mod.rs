//! Files as streams: a place in the file that moves on as it is read or written.
//!
//! - [`Cursor`] reads and writes and moves to and fro, without gathering anything.
//! - [`BufReader`] reads ahead of its reader, for lines and small pieces.
//! - [`BufWriter`] gathers small writes, and lets its writer go on while a buffer is written.
//!
//! All three lend the kernel buffers of their own, since the caller's may be gone before it is done.
//! What a writer has accepted and not yet written is in its [`Behind`]: at most one write is under
//! way, so what is written reaches the file in order; how it went is told by the next call that can
//! tell, and at the latest by `flush` or `close`.

mod behind;
mod cursor;
mod lines;
mod reader;
#[cfg(feature = "tokio-io")]
mod tokio_io;
mod writer;

pub use cursor::Cursor;
pub use lines::{Lines, Split};
pub use reader::BufReader;
pub use writer::BufWriter;

use std::io;

/// The offset that a seek is about; `end` is asked for only where it is needed.
fn sought(
    from: io::SeekFrom,
    position: u64,
    end: impl FnOnce() -> io::Result<u64>,
) -> io::Result<u64> {
    let moved = match from {
        io::SeekFrom::Start(offset) => Some(offset),
        io::SeekFrom::Current(by) => position.checked_add_signed(by),
        io::SeekFrom::End(by) => end()?.checked_add_signed(by),
    };
    moved.ok_or_else(|| {
        let why = "a place before the beginning of the file";
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })
}
