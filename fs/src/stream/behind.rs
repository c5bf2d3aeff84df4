//! One write under way behind its writer, and what is still to be heard of it.
//!
//! | state | left by |
//! |---|---|
//! | idle | `begin`, which takes over a full buffer |
//! | under way | its end, which `poll_idle` awaits: idle again, or failed |
//! | failed | the next `poll_idle`, which tells the error and gives up the rest of the buffer |
//!
//! A short write is resumed. Dropped with a write under way, a task of its own sees it to its end,
//! so what was accepted is not lost while the runtime lives; a failure that nobody else can hear of
//! is said on standard error.

use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulet_runtime::op::{Op, WriteAt};
use annulet_runtime::{spawn, try_current};

use crate::file::File;

/// A write and what it is about.
struct Write {
    op: Op<WriteAt<Vec<u8>>>,
    /// Bytes of the buffer written before.
    done: usize,
    /// Where the buffer goes; `None` at the end of a file that was opened to append.
    offset: Option<u64>,
}

#[derive(Default)]
pub(super) struct Behind {
    write: Option<Write>,
    /// How the last one failed, until somebody asks.
    failed: Option<io::Error>,
    /// An empty buffer, to be used again.
    spare: Vec<u8>,
}

impl Behind {
    /// Waits until nothing is under way, and tells how that went.
    pub(super) fn poll_idle(&mut self, file: &File, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        while let Some(write) = &mut self.write {
            let (written, mut buf) = match ready!(Pin::new(&mut write.op).poll(cx)) {
                Ok(written) => written,
                Err(failure) => {
                    self.write = None;
                    return Poll::Ready(Err(failure.error));
                }
            };
            write.done += written;
            if written == 0 {
                self.write = None;
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if write.done < buf.len() {
                write.op = op(file, buf, write.done, write.offset);
            } else {
                self.write = None;
                buf.clear();
                self.spare = buf;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Begins to write a buffer. Nothing may be under way.
    pub(super) fn begin(
        &mut self,
        file: &File,
        buf: Vec<u8>,
        offset: Option<u64>,
        cx: &mut Context<'_>,
    ) {
        debug_assert!(self.write.is_none(), "writes reach the file in order");
        if buf.is_empty() {
            self.spare = buf;
            return;
        }
        self.write = Some(Write {
            op: op(file, buf, 0, offset),
            done: 0,
            offset,
        });
        // The kernel hears of it now. What it answers at once is kept for whoever asks.
        if let Poll::Ready(Err(error)) = self.poll_idle(file, cx) {
            self.failed = Some(error);
        }
    }

    fn is_idle(&self) -> bool {
        self.write.is_none() && self.failed.is_none()
    }

    /// An empty buffer, if possible one that was used before.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        mem::take(&mut self.spare)
    }

    /// Sees to the end what is under way, and then writes `rest`, by a task of its own.
    pub(super) fn finish(mut self, file: File, rest: Vec<u8>, offset: Option<u64>) {
        if self.is_idle() && rest.is_empty() {
            return;
        }
        if try_current().is_err() {
            eprintln!(
                "annulet: a file was written to and dropped outside its runtime; its last bytes are lost"
            );
            return;
        }
        spawn(async move {
            let mut written = poll_fn(|cx| self.poll_idle(&file, cx)).await;
            if written.is_ok() && !rest.is_empty() {
                let whole = match offset {
                    Some(offset) => file.write_all_at(rest, offset).await,
                    None => file.append(rest).await,
                };
                written = whole.map(drop).map_err(io::Error::from);
            }
            if let Err(error) = written {
                eprintln!(
                    "annulet: a file was dropped before it was flushed, and then not written: {error}"
                );
            }
        });
    }
}

fn op(file: &File, buf: Vec<u8>, from: usize, offset: Option<u64>) -> Op<WriteAt<Vec<u8>>> {
    let write = match offset {
        Some(offset) => WriteAt::new(file.shared(), buf, from, offset.saturating_add(from as u64)),
        None => WriteAt::append(file.shared(), buf, from),
    };
    Op::new(file.shared().driver(), write)
}
