//! Descriptors and credentials that go with messages over local sockets.
//!
//! Descriptors that are sent are duplicated first: the message owns its own, so nobody can close or
//! replace them before the kernel has taken them. Descriptors that arrive are closed on exec, and
//! belong to the message they came with: to the receive that gets it, to the next if that one was
//! dropped, and to nobody, so closed, once the socket is gone.
//!
//! A byte stream carries descriptors with the first byte that they were sent with. A receive that
//! does not ask for them drops them, as does one that is armed all the time. So on a stream the
//! functions here wait for readiness and then take what is there by a call of their own: a wait takes
//! nothing, and dropping it loses nothing.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use annulet_runtime::Interest;
use annulet_runtime::buf::{BufError, BufResult, IoBuf, IoBufMut, IoBufMutExt};
use annulet_runtime::op::{
    Attach, Credentials, LOCAL_CONTROL_BYTES, Meta, Op, Ready, SendMsg, Shared, Whole,
    recv_msg_now,
};
use socket2::Socket;

/// What a receive with descriptors has got.
#[derive(Debug)]
#[non_exhaustive]
pub struct Passed {
    /// Bytes received; on a stream, zero at its end.
    pub bytes: usize,
    /// The descriptors.
    pub fds: Vec<OwnedFd>,
    /// Who sent them, where the socket was told to say.
    pub credentials: Option<Credentials>,
    /// The message was larger than the buffer: the rest is lost. Never on a stream.
    pub truncated: bool,
    /// The kernel has closed some of the descriptors: this process has as many open as it may.
    pub fds_lost: bool,
}

impl Passed {
    pub(crate) fn new(bytes: usize, meta: Meta) -> Self {
        Self {
            bytes,
            fds: meta.fds,
            credentials: meta.credentials,
            truncated: meta.truncated,
            fds_lost: meta.control_truncated,
        }
    }
}

/// The descriptors as a message of its own.
pub(crate) fn attach(fds: &[BorrowedFd<'_>]) -> io::Result<Attach> {
    let fds = fds
        .iter()
        .map(BorrowedFd::try_clone_to_owned)
        .collect::<io::Result<_>>()?;
    Ok(Attach {
        fds,
        ..Attach::default()
    })
}

/// Sends bytes over a connected local socket, and descriptors with the first of them.
///
/// # Errors
///
/// `InvalidInput` for no bytes, with which no descriptor would go over a stream; else the system's.
pub(crate) async fn send_with_fds<B: IoBuf>(
    socket: &Shared<Socket>,
    buf: B,
    fds: &[BorrowedFd<'_>],
) -> BufResult<usize, B> {
    if buf.bytes_init() == 0 && !fds.is_empty() {
        let error = io::Error::new(
            io::ErrorKind::InvalidInput,
            "descriptors go with a byte: there is none",
        );
        return Err(BufError::new(error, buf, 0));
    }
    let attach = match attach(fds) {
        Ok(attach) => attach,
        Err(error) => return Err(BufError::new(error, buf, 0)),
    };
    let unwrap = |failed: BufError<Whole<B>>| failed.map(|Whole(buf)| buf);
    let send = SendMsg::new(socket, Whole(buf), attach).map_err(unwrap)?;
    let (sent, Whole(buf)) = Op::new(socket.driver(), send).await.map_err(unwrap)?;
    Ok((sent, buf))
}

/// Receives what is next on a stream, with its descriptors.
///
/// `engaged` says that another kind of read has bytes of the stream, or has asked for them, and so
/// may have dropped the descriptors that belong here.
///
/// # Errors
///
/// `InvalidInput` if so, and for a buffer without room; else the system's.
pub(crate) async fn recv_with_fds<B: IoBufMut>(
    socket: &Shared<Socket>,
    engaged: bool,
    mut buf: B,
) -> BufResult<Passed, B> {
    if buf.bytes_total() == 0 {
        return Err(BufError::no_room(buf));
    }
    if engaged {
        let error = io::Error::new(
            io::ErrorKind::InvalidInput,
            "this stream is read without descriptors, which drops them: read it with recv_with_fds \
             alone",
        );
        return Err(BufError::new(error, buf, 0));
    }
    loop {
        let received = buf.fill_with(|space| {
            match recv_msg_now(socket, space, LOCAL_CONTROL_BYTES) {
                Ok((bytes, meta)) => (bytes, Ok((bytes, meta))),
                Err(error) => (0, Err(error)),
            }
        });
        match received {
            Ok((bytes, meta)) => return Ok((Passed::new(bytes, meta), buf)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(BufError::new(error, buf, 0)),
        }
        let Some(ready) = Ready::new(socket, Interest::Readable) else {
            return Err(BufError::new(io::ErrorKind::Unsupported.into(), buf, 0));
        };
        if let Err(error) = Op::new(socket.driver(), ready).await {
            return Err(BufError::new(error, buf, 0));
        }
    }
}
