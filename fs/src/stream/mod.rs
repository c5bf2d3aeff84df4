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

/// Implements `AsyncWrite` by `poll_accept` and `poll_written`.
macro_rules! writes {
    ($Type:ident) => {
        /// Closing awaits what was accepted;
        #[doc = concat!("[`", stringify!($Type), "::close`]")]
        /// also closes the file and tells how that went.
        impl futures_io::AsyncWrite for $Type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().poll_accept(cx, bytes)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.get_mut().poll_written(cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.get_mut().poll_written(cx)
            }
        }
    };
}

mod behind;
mod cursor;
mod lines;
mod reader;
#[cfg(feature = "tokio-io")]
mod tokio_io;
mod writer;

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pub use cursor::Cursor;
pub use lines::{Lines, Split};
pub use reader::BufReader;
pub use writer::BufWriter;

use crate::file::File;
use crate::metadata::Stat;

/// A seek under way: one from the end asks where that is.
#[derive(Default)]
struct Seek(Option<Pin<Box<dyn Future<Output = io::Result<Stat>>>>>);

impl Seek {
    /// The offset that a seek from `position` is about.
    fn poll(
        &mut self,
        file: &File,
        to: SeekFrom,
        position: u64,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<u64>> {
        let mut end = None;
        if matches!(to, SeekFrom::End(_)) {
            let asked = self.0.get_or_insert_with(|| file.stat());
            let answer = ready!(asked.as_mut().poll(cx));
            self.0 = None;
            end = Some(answer?.len());
        }
        Poll::Ready(sought(to, position, end))
    }
}

/// The offset that a seek is about; `Unsupported` from an end that nobody knows.
fn sought(to: SeekFrom, position: u64, end: Option<u64>) -> io::Result<u64> {
    let moved = match to {
        SeekFrom::Start(offset) => Some(offset),
        SeekFrom::Current(by) => position.checked_add_signed(by),
        SeekFrom::End(by) => {
            let end = end.ok_or(io::ErrorKind::Unsupported)?;
            end.checked_add_signed(by)
        }
    };
    moved.ok_or_else(|| {
        let why = "a place before the beginning of the file";
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })
}
