//! The standard streams of Unix: second descriptors of the same open files, which are never
//! changed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use crate::async_fd::AsyncFd;
use crate::context::Context;
use crate::driver::Interest;
use crate::op::{Op, Ready, Shared};
use crate::pooled::{PooledReader, PooledWriter};
use crate::sys::nowait;
use crate::sys::ready::is_ready;

/// A second descriptor; `None` where the first is closed.
fn second(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    fd.try_clone_to_owned().ok()
}

/// The standard input.
#[derive(Debug)]
pub(super) struct Input {
    reader: PooledReader,
    /// `None` where it is closed, which reads as empty.
    file: Option<File>,
}

impl Input {
    pub(super) fn open() -> Self {
        let file = second(io::stdin().as_fd()).map(File::from);
        let reader = match file.as_ref().and_then(|file| file.try_clone().ok()) {
            Some(file) => PooledReader::new(file),
            None => PooledReader::new(io::empty()),
        };
        Self { reader, file }
    }

    pub(super) fn reader(&self) -> &PooledReader {
        &self.reader
    }

    /// Reads what is there; `None` where only a call that may wait can tell.
    pub(super) fn read_now(&self, space: &mut [u8]) -> Option<io::Result<usize>> {
        match nowait::read(self.file.as_ref()?, space) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Unsupported | io::ErrorKind::WouldBlock
                ) =>
            {
                None
            }
            other => Some(other),
        }
    }
}

/// A shard's wait for input.
#[derive(Debug)]
pub(super) struct InputWait {
    /// `None` where nothing is to be waited for: a regular file, a null device.
    source: Option<Shared<OwnedFd>>,
    wait: Option<Op<Ready>>,
}

impl InputWait {
    pub(super) fn new(input: &Input) -> Self {
        let context = Context::current();
        let fd = input.file.as_ref().and_then(|file| second(file.as_fd()));
        Self {
            source: fd.map(|fd| Shared::new(context.driver(), fd)),
            wait: None,
        }
    }

    /// Ready once a read finds something, or cannot be waited for.
    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            let Some(source) = &self.source else {
                return Poll::Ready(());
            };
            if let Some(wait) = &mut self.wait {
                let waited = std::task::ready!(Pin::new(wait).poll(cx));
                self.wait = None;
                if waited.is_err() {
                    self.source = None;
                }
                continue;
            }
            if is_ready(source.as_raw_fd(), false) {
                return Poll::Ready(());
            }
            let ready = Ready::new(source, Interest::Readable);
            self.wait = ready.map(|ready| Op::new(source.driver(), ready));
            if self.wait.is_none() {
                return Poll::Ready(());
            }
        }
    }
}

/// The standard output, or error.
#[derive(Debug)]
pub(super) struct Output {
    writer: PooledWriter,
    /// `None` where it is closed, which takes everything.
    file: Option<File>,
}

impl Output {
    fn open(fd: BorrowedFd<'_>) -> Self {
        let file = second(fd).map(File::from);
        let writer = match file.as_ref().and_then(|file| file.try_clone().ok()) {
            Some(file) => PooledWriter::new(file),
            None => PooledWriter::new(io::sink()),
        };
        Self { writer, file }
    }

    pub(super) fn stdout() -> Self {
        Self::open(io::stdout().as_fd())
    }

    pub(super) fn stderr() -> Self {
        Self::open(io::stderr().as_fd())
    }

    pub(super) fn writer(&self) -> &PooledWriter {
        &self.writer
    }

    /// Writes what there is room for; `None` where only a call that may wait can tell.
    pub(super) fn write_now(&self, bytes: &[u8]) -> Option<io::Result<usize>> {
        match nowait::write(self.file.as_ref()?, bytes) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
            other => Some(other),
        }
    }
}

/// A shard's wait for room.
#[derive(Debug)]
pub(super) struct OutputWait(Option<AsyncFd<OwnedFd>>);

impl OutputWait {
    pub(super) fn new(output: &Output) -> Self {
        let fd = output.file.as_ref().and_then(|file| second(file.as_fd()));
        Self(fd.and_then(|fd| AsyncFd::new(fd).ok()))
    }

    /// Waits for room. False if that is not what it lacks, or cannot be waited for.
    pub(super) async fn until_writable(&self) -> bool {
        match &self.0 {
            Some(fd) if !is_ready(fd.get_ref().as_raw_fd(), true) => fd.writable().await.is_ok(),
            _ => false,
        }
    }
}
