//! The lines of a file, and its parts between other bytes.
//!
//! What was read of a part that is not whole yet is kept here, so a dropped future loses nothing.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::BufReader;

/// The parts of a file between delimiters; a stream, and a method that is awaited.
#[derive(Debug)]
#[must_use = "nothing is read before it is polled"]
pub struct Split {
    reader: BufReader,
    delimiter: u8,
    part: Vec<u8>,
}

impl Split {
    pub(super) fn new(reader: BufReader, delimiter: u8) -> Self {
        Self {
            reader,
            delimiter,
            part: Vec::new(),
        }
    }

    /// The next part; `None` at the end. After a delimiter at the very end nothing follows.
    ///
    /// # Errors
    ///
    /// The system's; the next call goes on where this was.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was read of the part is kept for the next call.
    ///
    /// # Kernel
    ///
    /// As [`File::read_at`](crate::File::read_at).
    pub async fn next_part(&mut self) -> io::Result<Option<Vec<u8>>> {
        poll_fn(|cx| self.poll_part(cx)).await
    }

    /// The reader, with what it has read ahead. A part that is not whole yet is lost.
    #[must_use]
    pub fn into_reader(self) -> BufReader {
        self.reader
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        loop {
            ready!(self.reader.poll_filled(cx))?;
            let bytes = self.reader.buffered();
            if bytes.is_empty() {
                let last = std::mem::take(&mut self.part);
                return Poll::Ready(Ok((!last.is_empty()).then_some(last)));
            }
            let found = bytes.iter().position(|&byte| byte == self.delimiter);
            let len = found.unwrap_or(bytes.len());
            self.part.extend_from_slice(&bytes[..len]);
            self.reader.consume(len + usize::from(found.is_some()));
            if found.is_some() {
                return Poll::Ready(Ok(Some(std::mem::take(&mut self.part))));
            }
        }
    }
}

impl Stream for Split {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_part(cx).map(Result::transpose)
    }
}

/// The lines of a file; a stream, and a method that is awaited.
#[derive(Debug)]
#[must_use = "nothing is read before it is polled"]
pub struct Lines(Split);

impl Lines {
    pub(super) fn new(reader: BufReader) -> Self {
        Self(Split::new(reader, b'\n'))
    }

    /// The next line, without `\n` or `\r\n`; `None` at the end.
    ///
    /// # Errors
    ///
    /// The system's; `InvalidData` for a line that is not UTF-8, and then the next call has the
    /// line after it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was read of the line is kept for the next call.
    ///
    /// # Kernel
    ///
    /// As [`File::read_at`](crate::File::read_at).
    pub async fn next_line(&mut self) -> io::Result<Option<String>> {
        poll_fn(|cx| self.poll_line(cx)).await
    }

    /// The reader, with what it has read ahead. A line that is not whole yet is lost.
    #[must_use]
    pub fn into_reader(self) -> BufReader {
        self.0.into_reader()
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<String>>> {
        let Some(mut line) = ready!(self.0.poll_part(cx))? else {
            return Poll::Ready(Ok(None));
        };
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let line = String::from_utf8(line)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error.utf8_error()))?;
        Poll::Ready(Ok(Some(line)))
    }
}

impl Stream for Lines {
    type Item = io::Result<String>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_line(cx).map(Result::transpose)
    }
}
