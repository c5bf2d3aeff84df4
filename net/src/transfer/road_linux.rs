//! Linux: through a pipe, by `splice(2)`.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use annulet_runtime::op::{Op, Ready, SpliceFile, SplicePipe};
use annulet_runtime::{Code, Driver, DriverKind, Interest};

use crate::stream::ByteStream;

/// What came of taking the next bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// Some lie in the pipe.
    Some,
    /// The stream has ended.
    End,
    /// This kind of socket cannot be spliced.
    Closed,
}

/// A pipe with bytes in it, or a wait for them.
#[derive(Debug, Default)]
pub(super) struct Road {
    /// The stream is none of those that can be spliced.
    closed: bool,
    pipe: Option<SplicePipe>,
    arrival: Option<Box<Op<Ready>>>,
}

impl Road {
    /// Whether bytes of this stream may go by this road.
    pub(super) fn is_open(&self, from: &ByteStream) -> bool {
        !self.closed && may_splice(from.socket.driver())
    }

    /// Bytes on it.
    pub(super) fn bytes(&self) -> usize {
        self.pipe.as_ref().map_or(0, SplicePipe::bytes)
    }

    /// Takes the next bytes, once there are some.
    pub(super) fn poll_take(
        &mut self,
        from: &ByteStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Taken>> {
        loop {
            ready!(from.poll_wait(&mut self.arrival, cx))?;
            // One that stays empty goes back to the shard: it is for those who have bytes to move.
            let mut pipe = SplicePipe::take(from.socket.driver())?;
            match pipe.fill_now(&from.socket) {
                Ok(0) => return Poll::Ready(Ok(Taken::End)),
                Ok(_) => {
                    self.pipe = Some(pipe);
                    return Poll::Ready(Ok(Taken::Some));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.arrival = Some(from.wait_for(Interest::Readable)?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.closed = true;
                    return Poll::Ready(Ok(Taken::Closed));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Sends what the kernel takes of the bytes on it.
    pub(super) fn put(&mut self, to: &ByteStream) -> io::Result<usize> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(0);
        };
        let sent = pipe.drain_now(&to.socket)?;
        if pipe.bytes() == 0 {
            self.pipe = None;
        }
        Ok(sent)
    }
}

/// It is a call and needs no ring; a mask that hides it from the ring means it nevertheless.
fn may_splice(driver: &Driver) -> bool {
    driver.kind() != DriverKind::Uring || driver.has_code(Code::Splice)
}

/// Sends a part of a file by this road; gives the file back where it cannot go by it.
pub(super) async fn send_by_road(
    to: &ByteStream,
    file: File,
    range: Range<u64>,
    sent: &mut u64,
) -> io::Result<Option<File>> {
    let driver = to.socket.driver();
    if !may_splice(driver) {
        return Ok(Some(file));
    }
    let file = Arc::new(OwnedFd::from(file));
    let mut room = None;
    while range.start + *sent < range.end {
        let offset = range.start + *sent;
        let pipe = SplicePipe::take(driver)?;
        let splice = SpliceFile::new(&file, pipe, offset, range.end - offset);
        let (loaded, mut pipe) = match Op::new(driver, splice).await {
            Ok(loaded) => loaded,
            // Not every file system can.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return file.try_clone().map(|file| Some(File::from(file)));
            }
            Err(error) => return Err(error),
        };
        if loaded == 0 {
            break;
        }
        while pipe.bytes() > 0 {
            let now = poll_fn(|cx| to.poll_room(&mut room, cx, || pipe.drain_now(&to.socket)));
            *sent += match now.await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                now => now as u64,
            };
        }
    }
    Ok(None)
}
