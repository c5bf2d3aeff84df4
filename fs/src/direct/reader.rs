//! From front to back, with several reads under way ahead of the reader.
//!
//! The reads are answered in any order and given out in the file's. One that was short ends the
//! file if it ends within a block, or has what follows asked for anew from where it ended.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use annulet_runtime::buf::{BufResult, Registered};
use annulet_runtime::op::{Op, ReadAt};
use futures_core::Stream;

use super::{CHUNK_BYTES, DEPTH, DirectBuf, DirectFile};

/// A read, or its answer if that came before its turn.
enum Ahead {
    Asked(Op<ReadAt<Registered>>),
    Told(BufResult<usize, Registered>),
}

/// Reads a [`DirectFile`] from front to back; a stream, and a method that is awaited.
///
/// It has four reads of 256 KiB under way. See [`DirectFile::reader`].
#[must_use = "nothing is read before it is polled"]
pub struct DirectReader<'a> {
    file: &'a DirectFile,
    ahead: VecDeque<Ahead>,
    /// Where the next read begins that is asked for, and that is given out.
    asked: u64,
    given: u64,
    /// Bytes of the first block that were not asked for.
    skip: usize,
    ended: bool,
}

impl std::fmt::Debug for DirectReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectReader")
            .field("file", &self.file)
            .field("position", &(self.given + self.skip as u64))
            .field("under_way", &self.ahead.len())
            .finish_non_exhaustive()
    }
}

impl DirectFile {
    /// Reads from `offset` to the end, in pieces of up to 256 KiB, a few of them ahead.
    ///
    /// # Cancel safety
    ///
    /// See [`DirectReader::next_piece`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use annulet_fs::direct::DirectFile;
    ///
    /// let image = DirectFile::open("image").await?;
    /// let mut reader = image.reader(0);
    /// let mut sum = 0_u64;
    /// while let Some(piece) = reader.next_piece().await? {
    ///     sum += piece.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn reader(&self, offset: u64) -> DirectReader<'_> {
        let skip = self.within_block(offset);
        let first = offset - skip as u64;
        DirectReader {
            file: self,
            ahead: VecDeque::with_capacity(DEPTH),
            asked: first,
            given: first,
            skip,
            ended: false,
        }
    }
}

impl DirectReader<'_> {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// The system's. The next call asks anew for what was missed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what is under way is there for the next call.
    ///
    /// # Kernel
    ///
    /// As [`DirectFile::read_at`].
    pub async fn next_piece(&mut self) -> io::Result<Option<DirectBuf>> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirectBuf>>> {
        loop {
            self.ask(cx);
            let answer = match self.ahead.pop_front() {
                None => return Poll::Ready(Ok(None)),
                Some(Ahead::Told(answer)) => answer,
                Some(Ahead::Asked(mut op)) => match Pin::new(&mut op).poll(cx) {
                    Poll::Ready(answer) => answer,
                    Poll::Pending => {
                        self.ahead.push_front(Ahead::Asked(op));
                        return Poll::Pending;
                    }
                },
            };
            let (read, memory) = match answer {
                Ok(read) => read,
                Err(failure) => {
                    self.again();
                    return Poll::Ready(Err(failure.error));
                }
            };
            self.given += read as u64;
            if read % self.file.block_bytes != 0 || read == 0 {
                self.ended = true;
                self.ahead.clear();
            } else if read < memory.room() {
                self.again();
            }
            let skip = std::mem::take(&mut self.skip);
            let piece = DirectBuf::new(memory, skip..read);
            if !piece.is_empty() {
                return Poll::Ready(Ok(Some(piece)));
            }
        }
    }

    /// Has as many reads under way as there may be.
    fn ask(&mut self, cx: &mut Context<'_>) {
        let chunk = self.file.round_up(CHUNK_BYTES);
        while !self.ended && self.ahead.len() < DEPTH {
            let mut op = self.file.read_op(self.file.buffer(chunk), 0, self.asked);
            self.asked += chunk as u64;
            // The kernel hears of it now; an answer that comes at once is kept for its turn.
            let ahead = match Pin::new(&mut op).poll(cx) {
                Poll::Ready(answer) => Ahead::Told(answer),
                Poll::Pending => Ahead::Asked(op),
            };
            self.ahead.push_back(ahead);
        }
    }

    /// Goes back to where the next byte is that was not given out.
    fn again(&mut self) {
        self.ahead.clear();
        self.asked = self.given;
    }
}

impl Stream for DirectReader<'_> {
    type Item = io::Result<DirectBuf>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_piece(cx).map(Result::transpose)
    }
}
