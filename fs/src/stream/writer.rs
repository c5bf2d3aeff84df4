//! A writer that gathers small writes, and goes on while a full buffer is written.
//!
//! Two buffers take turns: one is filled while the other is with the kernel. So memory is bounded,
//! the order is kept, and a writer waits only if it is faster than the disk for that long.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::AsyncSeek;

use super::behind::Behind;
use super::sought;
use crate::file::File;

const BUFFER_BYTES: usize = 64 * 1024;

/// Gathers small writes to a file into large ones.
///
/// Call [`close`](Self::close), or [`flush`](Self::flush), to hear of errors. Should the writer be
/// dropped before, what it has accepted is still written, by a task of its own, and a failure is
/// said on standard error alone.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use annulet_fs::{BufWriter, File};
///
/// let mut out = BufWriter::new(File::create("numbers").await?);
/// for number in 0..1000 {
///     out.write(format!("{number}\n").as_bytes()).await?;
/// }
/// out.close().await
/// # }
/// ```
pub struct BufWriter {
    buffer: Vec<u8>,
    bytes_max: usize,
    /// Where the buffer goes.
    position: u64,
    /// The file, and the write that is under way.
    behind: Behind,
}

impl fmt::Debug for BufWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufWriter")
            .field("file", self.file())
            .field("position", &self.position())
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

impl BufWriter {
    /// Writes from the beginning, or at the end of a file that was opened to append, with two
    /// buffers of 64 KiB.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self::with_capacity(BUFFER_BYTES, file)
    }

    /// As [`new`](Self::new), with two buffers of `bytes`, at least one.
    #[must_use]
    pub fn with_capacity(bytes: usize, file: File) -> Self {
        Self {
            buffer: Vec::new(),
            bytes_max: bytes.max(1),
            position: 0,
            behind: Behind::new(file),
        }
    }

    /// The offset of the next byte that is accepted; in a file that was opened to append, how many
    /// were.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position + self.buffer.len() as u64
    }

    /// The file. What is written to it directly is not ordered with what is buffered.
    #[must_use]
    pub fn file(&self) -> &File {
        self.behind.file()
    }

    /// Accepts all of `bytes`; waits where both buffers are full.
    ///
    /// # Errors
    ///
    /// That of a write that was under way. What it was to write is lost, and so is what follows:
    /// the file holds a prefix of what was accepted.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown prefix of `bytes` is accepted. What was accepted is written.
    ///
    /// # Kernel
    ///
    /// As [`File::write_at`].
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let accepted = poll_fn(|cx| self.poll_accept(cx, bytes)).await?;
            bytes = &bytes[accepted..];
        }
        Ok(())
    }

    /// Writes all that was accepted. Completes when the system has it; that it is durable,
    /// [`File::sync_all`] says.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was accepted is written all the same, and the next call tells how it went.
    ///
    /// # Kernel
    ///
    /// As [`File::write_at`].
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_written(cx)).await
    }

    /// Writes all that was accepted, and gives the file back.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); the file is closed then.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the file is closed when what was accepted is written.
    pub async fn into_file(mut self) -> io::Result<File> {
        self.flush().await?;
        Ok(self.behind.take_file())
    }

    /// Writes all that was accepted, and closes the file.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), or that of closing; it is closed in any case.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: that it is written and closed is then known to nobody.
    pub async fn close(self) -> io::Result<()> {
        self.into_file().await?.close().await
    }

    /// Hands the buffer over, once the one before it is written.
    fn poll_hand_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Err(error) = ready!(self.behind.poll_idle(cx)) {
            // What follows a gap would not be what was meant.
            self.buffer.clear();
            return Poll::Ready(Err(error));
        }
        let full = std::mem::replace(&mut self.buffer, self.behind.buffer());
        let position = self.position;
        self.position += full.len() as u64;
        self.behind.begin(full, position, cx);
        Poll::Ready(Ok(()))
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.buffer.is_empty() {
            ready!(self.poll_hand_over(cx))?;
        }
        self.behind.poll_idle(cx)
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.buffer.len() >= self.bytes_max {
            ready!(self.poll_hand_over(cx))?;
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(self.bytes_max);
        }
        let accepted = bytes.len().min(self.bytes_max - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..accepted]);
        Poll::Ready(Ok(accepted))
    }
}

impl Drop for BufWriter {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.buffer);
        self.behind.finish(rest, self.position);
    }
}

writes!(BufWriter);

/// Writes what was accepted before it moves. From the end is `Unsupported`: ask the file for its
/// length.
impl AsyncSeek for BufWriter {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        ready!(this.poll_written(cx))?;
        this.position = sought(to, this.position, None)?;
        Poll::Ready(Ok(this.position))
    }
}
