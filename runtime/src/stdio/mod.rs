//! The standard streams, without blocking a shard and without changing their mode.
//!
//! A terminal, or whatever else stands behind them, is shared with other processes: `O_NONBLOCK`
//! would be set for the shell, too. So it is never set. Input is first waited for like any
//! readiness; then it is read by a call that does not wait, where the system has one for what
//! stands there, and else by the blocking pool, where it does not wait either, unless another
//! process was faster. Output is written by a call that does not wait, and the rest by the pool.
//!
//! Each stream is one for the whole process: bytes that were read for nobody go to the next reader,
//! and a [`Stdout::write_all`] is not mixed with another.
//!
//! # The end of the program
//!
//! `write_all` is done when the system has the bytes; nothing is kept here, and there is nothing to
//! flush. What `poll_write` (of `AsyncWrite`) has taken is written by the pool: flush it before the
//! program ends, as with any writer, or it may be lost.
//!
//! Std's own handles have buffers of their own. `println!` writes whole lines at once, and so comes
//! in order with what is written here; but do not read from both.

#[cfg_attr(unix, path = "side_unix.rs")]
#[cfg_attr(windows, path = "side_windows.rs")]
mod side;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context as TaskContext, Poll, ready};

use futures_core::Stream;

use self::side::{Input, InputWait, Output, OutputWait};
use crate::buf::{BufError, BufResult, IoBuf, IoBufMut, IoBufMutExt};
use crate::sync::shared::Mutex;

/// The standard input of the process.
///
/// # Panics
///
/// Outside a runtime.
#[must_use]
pub fn stdin() -> Stdin {
    static INPUT: OnceLock<Input> = OnceLock::new();
    let input = INPUT.get_or_init(Input::open);
    Stdin {
        input,
        wait: InputWait::new(input),
    }
}

/// The standard output of the process.
///
/// # Panics
///
/// Outside a runtime.
#[must_use]
pub fn stdout() -> Stdout {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    Stdout(Writer::new(
        SHARED.get_or_init(|| Shared::new(Output::stdout())),
    ))
}

/// The standard error of the process.
///
/// # Panics
///
/// Outside a runtime.
#[must_use]
pub fn stderr() -> Stderr {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    Stderr(Writer::new(
        SHARED.get_or_init(|| Shared::new(Output::stderr())),
    ))
}

/// Reads the standard input. Made by [`stdin`].
#[derive(Debug)]
pub struct Stdin {
    input: &'static Input,
    wait: InputWait,
}

impl Stdin {
    /// Reads what comes next into `buf` from its first byte, at most its capacity, and sets its
    /// length to what was read; zero at the end. A terminal may go on after its end.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer; `InvalidInput` for a buffer without room, which could not be
    /// told from the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes that were read for nobody go to the next reader.
    ///
    /// # Kernel
    ///
    /// A wait for readiness by the driver, then `preadv2(2)` with `RWF_NOWAIT`, or `read(2)` on the
    /// blocking pool.
    pub async fn read<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<usize, B> {
        if buf.bytes_total() == 0 {
            return Err(BufError::no_room(buf));
        }
        let read = poll_fn(|cx| {
            buf.fill_with(|space| match self.poll_copy(cx, space) {
                Poll::Ready(Ok(read)) => (read, Poll::Ready(Ok(read))),
                other => (0, other),
            })
        });
        match read.await {
            Ok(read) => Ok((read, buf)),
            Err(error) => Err(BufError::new(error, buf, 0)),
        }
    }

    /// The lines of the input, as a stream.
    ///
    /// # Cancel safety
    ///
    /// As [`next_line`](Lines::next_line).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// let mut lines = annulet_runtime::stdio::stdin().lines();
    /// while let Some(line) = lines.next_line().await? {
    ///     annulet_runtime::stdio::stdout().write_all(format!("{line}!\n").into_bytes()).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn lines(self) -> Lines {
        Lines {
            stdin: self,
            bytes: Vec::new(),
            searched: 0,
        }
    }

    fn poll_copy(&mut self, cx: &mut TaskContext<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        if space.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            if let Some(read) = ready!(self.input.reader().poll_left(cx, space)) {
                return Poll::Ready(read);
            }
            ready!(self.wait.poll(cx));
            match self.input.read_now(space) {
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Some(read) => return Poll::Ready(read),
                None => self.input.reader().start(),
            }
        }
    }
}

impl futures_io::AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_copy(cx, space)
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        space: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.get_mut().poll_copy(cx, space.initialize_unfilled()))?;
        space.advance(read);
        Poll::Ready(Ok(()))
    }
}

/// The lines of the standard input, without their ends. Made by [`Stdin::lines`].
///
/// As a [`Stream`] it ends with the input. What was read beyond the last line taken goes with it
/// when it is dropped: use one for all lines.
#[derive(Debug)]
pub struct Lines {
    stdin: Stdin,
    bytes: Vec<u8>,
    /// Bytes in which there is no end of a line.
    searched: usize,
}

impl Lines {
    /// The next line, or `None` at the end of the input. A last line without an end counts.
    ///
    /// # Errors
    ///
    /// The system's; `InvalidData` for a line that is not UTF-8, which is skipped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was read of a line is kept for the next call.
    pub async fn next_line(&mut self) -> io::Result<Option<String>> {
        poll_fn(|cx| self.poll_line(cx)).await.transpose()
    }

    fn poll_line(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<io::Result<String>>> {
        /// Bytes read at once.
        const CHUNK_BYTES: usize = 4096;
        loop {
            let end = self.bytes[self.searched..]
                .iter()
                .position(|&byte| byte == b'\n');
            if let Some(end) = end {
                let rest = self.bytes.split_off(self.searched + end + 1);
                let line = mem::replace(&mut self.bytes, rest);
                self.searched = 0;
                return Poll::Ready(Some(text(line)));
            }
            self.searched = self.bytes.len();
            let mut space = [0; CHUNK_BYTES];
            match ready!(self.stdin.poll_copy(cx, &mut space)) {
                Ok(0) if self.bytes.is_empty() => return Poll::Ready(None),
                Ok(0) => {
                    self.searched = 0;
                    return Poll::Ready(Some(text(mem::take(&mut self.bytes))));
                }
                Ok(read) => self.bytes.extend_from_slice(&space[..read]),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

/// A line as text, without its end.
fn text(mut line: Vec<u8>) -> io::Result<String> {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    String::from_utf8(line)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line that is not UTF-8"))
}

impl Stream for Lines {
    type Item = io::Result<String>;

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<io::Result<String>>> {
        self.get_mut().poll_line(cx)
    }
}

/// A stream that is written to, for the whole process, and whose turn it is.
#[derive(Debug)]
struct Shared {
    output: Output,
    turn: Mutex<()>,
}

impl Shared {
    fn new(output: Output) -> Self {
        Self {
            output,
            turn: Mutex::new(()),
        }
    }
}

/// A shard's way to one of the two outputs.
struct Writer {
    shared: &'static Shared,
    wait: OutputWait,
}

impl Writer {
    fn new(shared: &'static Shared) -> Self {
        Self {
            shared,
            wait: OutputWait::new(&shared.output),
        }
    }

    async fn write_all<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        let mut done = 0;
        match self.write_from(buf.as_init(), &mut done).await {
            Ok(()) => Ok(((), buf)),
            Err(error) => Err(BufError::new(error, buf, done)),
        }
    }

    async fn write_from(&self, bytes: &[u8], done: &mut usize) -> io::Result<()> {
        // Nobody else writes meanwhile.
        let _turn = self.shared.turn.lock().await;
        let output = &self.shared.output;
        // What a poll trait has left comes first.
        poll_fn(|cx| output.writer().poll_flush(cx)).await?;
        while *done < bytes.len() {
            let rest = &bytes[*done..];
            *done += match output.write_now(rest) {
                Some(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Some(Ok(written)) => written,
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => 0,
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.wait.until_writable().await {
                        0
                    } else {
                        output.writer().write_now(rest).await?
                    }
                }
                Some(Err(error)) => return Err(error),
                None => output.writer().write_now(rest).await?,
            };
        }
        Ok(())
    }
}

/// Declares one of the two outputs.
macro_rules! output {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(Writer);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl $name {
            /// Writes all of `buf` and gives it back. The bytes of one call are not mixed with
            /// those of another, whatever shard it comes from.
            ///
            /// # Errors
            ///
            /// The system's, with the buffer and the bytes written before: `BrokenPipe` once nobody
            /// reads.
            ///
            /// # Cancel safety
            ///
            /// Not cancel safe: an unknown prefix of `buf` is written.
            ///
            /// # Kernel
            ///
            /// `pwritev2(2)` with `RWF_NOWAIT`, and a wait for room by the driver where there is
            /// none; or `write(2)` on the blocking pool.
            pub async fn write_all<B: IoBuf>(&mut self, buf: B) -> BufResult<(), B> {
                self.0.write_all(buf).await
            }
        }

        impl futures_io::AsyncWrite for $name {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.shared.output.writer().poll_write(cx, bytes)
            }

            fn poll_flush(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.shared.output.writer().poll_flush(cx)
            }

            /// Flushes; the stream stays open.
            fn poll_close(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.shared.output.writer().poll_flush(cx)
            }
        }

        #[cfg(feature = "tokio-io")]
        impl tokio::io::AsyncWrite for $name {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.shared.output.writer().poll_write(cx, bytes)
            }

            fn poll_flush(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.shared.output.writer().poll_flush(cx)
            }

            fn poll_shutdown(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.shared.output.writer().poll_flush(cx)
            }
        }
    };
}

output! {
    /// Writes to the standard output. Made by [`stdout`].
    Stdout
}
output! {
    /// Writes to the standard error. Made by [`stderr`].
    Stderr
}
