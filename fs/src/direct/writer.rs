//! From front to back, with several writes under way behind the writer.
//!
//! One buffer is filled while up to [`DEPTH`] are with the kernel. Their ends are heard in the order
//! of the file, so the first failure is told first, and what is known to be written is a prefix.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulet_runtime::buf::Registered;
use annulet_runtime::op::{Op, WriteAt};

use super::{CHUNK_BYTES, DEPTH, DirectFile};

/// A write of whole blocks, resumed until all of its buffer is written.
pub(super) struct BlockWrite {
    op: Op<WriteAt<Registered>>,
    /// Where its buffer belongs, and how much of it was written before.
    offset: u64,
    done: usize,
    /// The end was heard before its turn, and all of it is written.
    ended: bool,
}

/// Writes a [`DirectFile`] from front to back. See [`DirectFile::writer`].
#[must_use = "call `finish`: the last bytes are written there"]
pub struct DirectWriter<'a> {
    file: &'a DirectFile,
    /// What is being filled.
    buffer: Registered,
    /// Where that belongs.
    offset: u64,
    under_way: VecDeque<BlockWrite>,
    /// Up to here all is written.
    written: u64,
}

impl std::fmt::Debug for DirectWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectWriter")
            .field("file", &self.file)
            .field("position", &self.position())
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl DirectFile {
    /// Writes from `offset` on, which is a multiple of [`block_bytes`](Self::block_bytes).
    /// [`DirectWriter::finish`] ends the file where the last byte is.
    ///
    /// Space that was [set aside](crate::File::allocate) before lets the writes go on side by side;
    /// else some file systems let the file grow by one at a time.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another offset.
    ///
    /// # Cancel safety
    ///
    /// See [`DirectWriter::write`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(pieces: Vec<Vec<u8>>) -> std::io::Result<()> {
    /// use annulet_fs::direct::DirectFile;
    ///
    /// let backup = DirectFile::create("backup").await?;
    /// let mut out = backup.writer(0)?;
    /// for piece in &pieces {
    ///     out.write(piece).await?;
    /// }
    /// out.finish().await?;
    /// backup.file().sync_all().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn writer(&self, offset: u64) -> io::Result<DirectWriter<'_>> {
        if self.within_block(offset) != 0 {
            let why = format!("offset {offset} is no multiple of {}", self.block_bytes);
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        Ok(DirectWriter {
            file: self,
            buffer: self.buffer(self.round_up(CHUNK_BYTES)),
            offset,
            under_way: VecDeque::with_capacity(DEPTH),
            written: offset,
        })
    }
}

impl DirectWriter<'_> {
    /// The offset of the next byte that is accepted.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// Up to which offset all is known to be written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Accepts all of `bytes`; waits where too many writes are under way.
    ///
    /// # Errors
    ///
    /// That of the first write that failed; [`written`](Self::written) says where the prefix ends
    /// that is there.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown prefix of `bytes` is accepted.
    ///
    /// # Kernel
    ///
    /// As [`DirectFile::write_at`].
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = self.buffer.room() - self.buffer.len();
            let (accepted, rest) = bytes.split_at(bytes.len().min(room));
            self.buffer.extend_from_slice(accepted);
            bytes = rest;
            if self.buffer.len() == self.buffer.room() {
                poll_fn(|cx| self.poll_hand_over(cx)).await?;
            }
        }
        Ok(())
    }

    /// Writes what is left, awaits all of it, and sets the length of the file to its end, which it
    /// gives.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part of what was accepted is written.
    ///
    /// # Kernel
    ///
    /// As [`DirectFile::write_at`], and `IORING_OP_FTRUNCATE` (Linux 6.9) or `ftruncate(2)`.
    pub async fn finish(mut self) -> io::Result<u64> {
        let end = self.position();
        if !self.buffer.is_empty() {
            let whole = self.file.round_up(self.buffer.len());
            self.buffer.pad_to(whole);
            poll_fn(|cx| self.poll_hand_over(cx)).await?;
        }
        poll_fn(|cx| self.poll_room(cx, 0)).await?;
        self.file.file().set_len(end).await?;
        Ok(end)
    }

    /// Hands the buffer over once there is room for one more under way.
    fn poll_hand_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_room(cx, DEPTH - 1))?;
        let next = self.file.buffer(self.buffer.room());
        let full = std::mem::replace(&mut self.buffer, next);
        let offset = self.offset;
        self.offset += full.len() as u64;
        let mut under = BlockWrite::new(self.file, full, offset);
        // The kernel hears of it now.
        match under.poll(self.file, cx) {
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => self.under_way.push_back(under),
        }
        Poll::Ready(Ok(()))
    }

    /// Hears ends in order until at most `left` are under way.
    fn poll_room(&mut self, cx: &mut Context<'_>, left: usize) -> Poll<io::Result<()>> {
        while self.under_way.len() > left {
            let Some(first) = self.under_way.front_mut() else {
                break;
            };
            let ended = ready!(first.poll(self.file, cx));
            let end = first.offset + first.done as u64;
            self.under_way.pop_front();
            self.written = end;
            ended?;
        }
        Poll::Ready(Ok(()))
    }
}

impl BlockWrite {
    /// Of `memory` at `offset`, which both suit the device.
    pub(super) fn new(file: &DirectFile, memory: Registered, offset: u64) -> Self {
        Self {
            op: file.write_op(memory, 0, offset),
            offset,
            done: 0,
            ended: false,
        }
    }

    /// Goes on until all of its buffer is written.
    pub(super) fn poll(&mut self, file: &DirectFile, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended {
            let (written, memory) = match ready!(Pin::new(&mut self.op).poll(cx)) {
                Ok(written) => written,
                Err(failure) => {
                    self.ended = true;
                    return Poll::Ready(Err(failure.error));
                }
            };
            // The system may stop within a block; the block is written again.
            let whole = written - written % file.block_bytes;
            self.done += whole;
            if self.done >= memory.len() {
                self.ended = true;
            } else if whole == 0 {
                self.ended = true;
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            } else {
                let at = self.offset + self.done as u64;
                self.op = file.write_op(memory, self.done, at);
            }
        }
        Poll::Ready(Ok(()))
    }
}
