//! Linux: through a pipe, by `splice(2)`.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use annulet_runtime::op::{Op, Ready, SpliceFile, SplicePipe};
use annulet_runtime::{Code, DriverKind, Interest};

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

/// A pipe while bytes move, or a wait for them.
#[derive(Debug, Default)]
pub(super) struct Road {
    pipe: Option<SplicePipe>,
    arrival: Option<Box<Op<Ready>>>,
}

impl Road {
    /// Whether bytes of this stream go by this road.
    pub(super) fn is_open(from: &ByteStream) -> bool {
        let driver = from.socket.driver();
        // It is a call and needs no ring; a mask that hides it from the ring means it nevertheless.
        driver.kind() != DriverKind::Uring || driver.has_code(Code::Splice)
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
            let pipe = match &mut self.pipe {
                Some(pipe) => pipe,
                none => none.insert(SplicePipe::take(from.socket.driver())?),
            };
            match pipe.fill_now(&from.socket) {
                Ok(0) => {
                    self.pipe = None;
                    return Poll::Ready(Ok(Taken::End));
                }
                Ok(_) => return Poll::Ready(Ok(Taken::Some)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The pipe is for those who have bytes to move.
                    self.pipe = None;
                    self.arrival = Some(from.wait_for(Interest::Readable)?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.pipe = None;
                    return Poll::Ready(Ok(Taken::Closed));
                }
                Err(error) => {
                    self.pipe = None;
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// Sends what the kernel takes of the bytes on it.
    pub(super) fn put(&mut self, to: &ByteStream) -> io::Result<usize> {
        match &mut self.pipe {
            Some(pipe) => pipe.drain_now(&to.socket),
            None => Ok(0),
        }
    }
}

/// Sends a part of a file by this road; gives the file back where it cannot go by it.
pub(super) async fn send_by_road(
    to: &ByteStream,
    file: File,
    range: Range<u64>,
    sent: &mut u64,
) -> io::Result<Option<File>> {
    if !Road::is_open(to) {
        return Ok(Some(file));
    }
    let driver = to.socket.driver();
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
