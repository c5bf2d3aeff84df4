//! The standard streams of Windows: std's own, by the pool. A read that waits holds a thread of it.

use std::io;
use std::task::{Context as TaskContext, Poll};

use crate::pooled::{PooledReader, PooledWriter};

/// The standard input.
#[derive(Debug)]
pub(super) struct Input(PooledReader);

impl Input {
    pub(super) fn open() -> Self {
        Self(PooledReader::new(io::stdin()))
    }

    pub(super) fn reader(&self) -> &PooledReader {
        &self.0
    }

    /// Nothing can be read without a call that may wait.
    pub(super) fn read_now(&self, _space: &mut [u8]) -> Option<io::Result<usize>> {
        None
    }
}

/// A shard's wait for input: none.
#[derive(Debug)]
pub(super) struct InputWait;

impl InputWait {
    pub(super) fn new(_input: &Input) -> Self {
        Self
    }

    pub(super) fn poll(&mut self, _cx: &mut TaskContext<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// The standard output, or error.
#[derive(Debug)]
pub(super) struct Output(PooledWriter);

impl Output {
    pub(super) fn stdout() -> Self {
        Self(PooledWriter::new(io::stdout()))
    }

    pub(super) fn stderr() -> Self {
        Self(PooledWriter::new(io::stderr()))
    }

    pub(super) fn writer(&self) -> &PooledWriter {
        &self.0
    }

    /// Nothing can be written without a call that may wait.
    pub(super) fn write_now(&self, _bytes: &[u8]) -> Option<io::Result<usize>> {
        None
    }
}

/// A shard's wait for room: none.
#[derive(Debug)]
pub(super) struct OutputWait;

impl OutputWait {
    pub(super) fn new(_output: &Output) -> Self {
        Self
    }

    pub(super) async fn until_writable(&self) -> bool {
        false
    }
}
