//! A file, one write under way to it behind its writer, and what is still to be heard of that.
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

use std::future::poll_fn;
use std::io;
use std::mem;
use std::task::{Context, Poll, ready};

use annulet_runtime::{spawn, try_current};

use crate::file::{File, Write};

/// A write and what it is about.
struct UnderWay {
    write: Write<Vec<u8>>,
    /// Bytes of the buffer written before.
    done: usize,
    /// Where the buffer goes; `None` at the end of a file that was opened to append.
    offset: Option<u64>,
}

/// What a writer has of its file.
struct Inner {
    file: File,
    write: Option<UnderWay>,
    /// How the last one failed, until somebody asks.
    failed: Option<io::Error>,
    /// An empty buffer, to be used again.
    spare: Vec<u8>,
}

/// A file with a write behind its writer.
pub(super) struct Behind(
    /// There until the file is given back, or a task has taken it over.
    Option<Inner>,
);

impl Behind {
    pub(super) fn new(file: File) -> Self {
        Self(Some(Inner {
            file,
            write: None,
            failed: None,
            spare: Vec::new(),
        }))
    }

    pub(super) fn file(&self) -> &File {
        &self.0.as_ref().expect("there until it is gone").file
    }

    /// Gives the file back; nothing may be under way, and nothing else is called any more.
    pub(super) fn take_file(&mut self) -> File {
        self.0.take().expect("there until it is gone").file
    }

    /// Waits until nothing is under way, and tells how that went.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_idle(cx)
    }

    /// Begins to write a buffer, in a file that was opened to append to its end. Nothing may be
    /// under way.
    pub(super) fn begin(&mut self, buf: Vec<u8>, position: u64, cx: &mut Context<'_>) {
        let inner = self.inner();
        debug_assert!(inner.write.is_none(), "writes reach the file in order");
        if buf.is_empty() {
            inner.spare = buf;
            return;
        }
        let offset = inner.offset(position);
        inner.write = Some(UnderWay {
            write: Write::new(&inner.file, buf, 0, offset),
            done: 0,
            offset,
        });
        // The kernel hears of it now. What it answers at once is kept for whoever asks.
        if let Poll::Ready(Err(error)) = inner.poll_idle(cx) {
            inner.failed = Some(error);
        }
    }

    /// An empty buffer, if possible one that was used before.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        mem::take(&mut self.inner().spare)
    }

    /// Sees to the end what is under way, and then writes `rest`, by a task of its own. For whoever
    /// is dropped.
    pub(super) fn finish(&mut self, rest: Vec<u8>, position: u64) {
        let Some(mut inner) = self.0.take() else {
            return;
        };
        if inner.write.is_none() && inner.failed.is_none() && rest.is_empty() {
            return;
        }
        if try_current().is_err() {
            eprintln!(
                "annulet: a file was written to and dropped outside its runtime; its last bytes are lost"
            );
            return;
        }
        spawn(async move {
            let mut written = poll_fn(|cx| inner.poll_idle(cx)).await;
            if written.is_ok() && !rest.is_empty() {
                let whole = match inner.offset(position) {
                    Some(offset) => inner.file.write_all_at(rest, offset).await,
                    None => inner.file.append(rest).await,
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

    fn inner(&mut self) -> &mut Inner {
        self.0.as_mut().expect("there until it is gone")
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.finish(Vec::new(), 0);
    }
}

impl Inner {
    /// Where to write what belongs at a position.
    fn offset(&self, position: u64) -> Option<u64> {
        (!self.file.appends()).then_some(position)
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        while let Some(under) = &mut self.write {
            let (written, mut buf) = match ready!(under.write.poll(&self.file, cx)) {
                Ok(written) => written,
                Err(failure) => {
                    self.write = None;
                    return Poll::Ready(Err(failure.error));
                }
            };
            under.done += written;
            if written == 0 {
                self.write = None;
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if under.done < buf.len() {
                let at = under.offset.map(|at| at.saturating_add(under.done as u64));
                under.write = Write::new(&self.file, buf, under.done, at);
            } else {
                self.write = None;
                buf.clear();
                self.spare = buf;
            }
        }
        Poll::Ready(Ok(()))
    }
}
