//! A part of a file, sent to a stream.

use std::fs::File;
use std::future::poll_fn;
use std::ops::Range;
use std::{error, fmt, io};

use annulet_runtime::op::{Op, ReadAt, Shared, send_now};

use super::file::{AsFile, hold};
use super::road::send_by_road;
use crate::stream::{ByteStream, HeldTurn, SocketStream};

/// Bytes read at once where the kernel cannot move them itself.
const CHUNK_BYTES: usize = 128 * 1024;

/// Sending a file failed; here is how far it had come.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendFileError {
    /// What went wrong.
    pub error: io::Error,
    /// Bytes that the stream's kernel side took before.
    pub sent: u64,
}

impl fmt::Display for SendFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (after {} bytes)", self.error, self.sent)
    }
}

impl error::Error for SendFileError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<SendFileError> for io::Error {
    fn from(failure: SendFileError) -> Self {
        failure.error
    }
}

/// Sends the bytes of `range` of a file; fewer where the file ends before. Answers how many.
///
/// The position of the open file is neither used nor changed. Nobody else's bytes come between.
///
/// # Errors
///
/// The file's or the connection's, with how much was sent before.
///
/// # Cancel safety
///
/// Not cancel safe: an unknown prefix was sent.
///
/// # Kernel
///
/// `IORING_OP_SPLICE` (Linux 5.7) from the file to a pipe, or `splice(2)` on the blocking pool, and
/// `splice(2)` from there, which does not wait; with `splice` masked, for files that cannot, and on
/// systems other than Linux, reads and `send(2)`.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: annulet_net::TcpStream) -> std::io::Result<()> {
/// let file = std::fs::File::open("page.html")?;
/// let sent = annulet_net::send_file(&stream, &file, 0..u64::MAX).await?;
/// println!("{sent} bytes");
/// # Ok(())
/// # }
/// ```
pub async fn send_file<S: SocketStream, F: AsFile>(
    stream: &S,
    file: &F,
    range: Range<u64>,
) -> Result<u64, SendFileError> {
    let stream = stream.byte_stream();
    let _turn = HeldTurn::of(stream).await;
    let mut sent = 0;
    let outcome = match hold(file) {
        Ok(file) => send(stream, file, range, &mut sent).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => Ok(sent),
        Err(error) => Err(SendFileError { error, sent }),
    }
}

async fn send(
    stream: &ByteStream,
    file: File,
    range: Range<u64>,
    sent: &mut u64,
) -> io::Result<()> {
    let Some(file) = send_by_road(stream, file, range.clone(), sent).await? else {
        return Ok(());
    };
    let file = Shared::new(stream.socket.driver(), file);
    let mut buf = Vec::new();
    let mut room = None;
    while range.start + *sent < range.end {
        let offset = range.start + *sent;
        let left = usize::try_from(range.end - offset).unwrap_or(usize::MAX);
        buf.clear();
        buf.reserve_exact(CHUNK_BYTES);
        let read = Op::new(file.driver(), ReadAt::new(&file, buf, 0, offset, true));
        let (read, bytes) = read.await?;
        let mut rest = &bytes[..read.min(left)];
        if rest.is_empty() {
            break;
        }
        while !rest.is_empty() {
            let now =
                poll_fn(|cx| stream.poll_room(&mut room, cx, || send_now(&stream.socket, rest)));
            let now = now.await?;
            if now == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            *sent += now as u64;
            rest = &rest[now..];
        }
        buf = bytes;
    }
    Ok(())
}
