//! Small writes gathered into large ones.
//!
//! What is accepted stays in the writer until the kernel has taken it, and is sent from there by
//! calls that do not block. So there is no moment at which a dropped future takes bytes with it.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use annulet_runtime::op::send_now;

use super::write::HeldTurn;
use super::{ByteStream, SocketStream};

/// Gathers small writes to a stream, and sends them when a buffer is full or on
/// [`flush`](Self::flush).
///
/// It is made over a stream, a reference or an `Rc` of one. Bytes that it has accepted stay in it
/// until the kernel has taken them, whatever future is dropped. Should it be dropped itself with
/// bytes left, it tries once to send them, and says on standard error if some are lost.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: annulet_net::TcpStream) -> std::io::Result<()> {
/// let mut out = annulet_net::BufferedWriter::new(&stream);
/// for number in 0..1000 {
///     out.write(format!("{number}\n").as_bytes()).await?;
/// }
/// out.flush().await
/// # }
/// ```
pub struct BufferedWriter<S: SocketStream> {
    stream: S,
    buffer: Vec<u8>,
    /// Bytes of the buffer that the kernel has taken.
    sent: usize,
    bytes_max: usize,
}

impl<S: SocketStream> fmt::Debug for BufferedWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedWriter")
            .field("waiting", &self.buffered().len())
            .field("bytes_max", &self.bytes_max)
            .finish_non_exhaustive()
    }
}

impl<S: SocketStream> BufferedWriter<S> {
    /// A writer that gathers up to 8 KiB.
    pub fn new(stream: S) -> Self {
        Self::with_capacity(8 * 1024, stream)
    }

    /// A writer that gathers up to `bytes`, at least one.
    pub fn with_capacity(bytes: usize, stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            sent: 0,
            bytes_max: bytes.max(1),
        }
    }

    /// Bytes accepted and not yet taken by the kernel.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer[self.sent..]
    }

    /// The stream. What is written to it directly goes past the buffer.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Accepts all of `bytes`; sends what was gathered before whenever there is no room for more.
    ///
    /// # Errors
    ///
    /// The connection's, when something had to be sent. What had been accepted is still
    /// [`buffered`](Self::buffered).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown prefix of `bytes` is accepted. What was accepted is not lost.
    ///
    /// # Kernel
    ///
    /// `send(2)`, which does not block, and a wait for room where there is none.
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.buffer.len() >= self.bytes_max {
                self.flush().await?;
            }
            let room = self.bytes_max - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Sends all that was accepted. Completes when the kernel has taken the last byte. Nobody
    /// else's bytes come between.
    ///
    /// # Errors
    ///
    /// The connection's. What the kernel has not taken is still [`buffered`](Self::buffered).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: flushing again goes on where this was. In between others may send.
    ///
    /// # Kernel
    ///
    /// As [`write`](Self::write).
    pub async fn flush(&mut self) -> io::Result<()> {
        let stream = self.stream.byte_stream();
        if !self.buffer.is_empty() {
            let _turn = HeldTurn::of(stream).await;
            let mut wait = None;
            while self.sent < self.buffer.len() {
                let rest = &self.buffer[self.sent..];
                let sent = poll_fn(|cx| {
                    stream.poll_room(&mut wait, cx, || send_now(&stream.socket, rest))
                });
                self.sent += match sent.await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    sent => sent,
                };
            }
        }
        self.buffer.clear();
        self.sent = 0;
        Ok(())
    }

    /// Gives the stream back, and the bytes that it has not sent.
    pub fn into_parts(mut self) -> (S, Vec<u8>)
    where
        S: Clone,
    {
        let rest = self.buffer.split_off(self.sent);
        self.buffer.clear();
        self.sent = 0;
        (self.stream.clone(), rest)
    }

    /// One last try.
    fn send_at_once(&mut self) {
        let stream: &ByteStream = self.stream.byte_stream();
        let waker = std::task::Waker::noop();
        let idle = stream
            .sender
            .queue
            .poll_idle(&std::task::Context::from_waker(waker));
        while idle == Poll::Ready(()) && self.sent < self.buffer.len() {
            match send_now(&stream.socket, &self.buffer[self.sent..]) {
                Ok(sent) if sent > 0 => self.sent += sent,
                _ => return,
            }
        }
    }
}

impl<S: SocketStream> Drop for BufferedWriter<S> {
    fn drop(&mut self) {
        self.send_at_once();
        let lost = self.buffered().len();
        if lost > 0 {
            eprintln!("annulet: a buffered writer was dropped with {lost} bytes unsent");
        }
    }
}
