//! Descriptors and credentials that go with messages over local sockets.
//!
//! Descriptors that are sent are duplicated first: the message owns its own, so nobody can close or
//! replace them before the kernel has taken them. Descriptors that arrive are closed on exec, and
//! belong to the message they came with: to the receive that gets it, to the next if that one was
//! dropped, and to nobody, so closed, once the socket is gone.
//!
//! A byte stream carries descriptors with the first byte that they were sent with. A receive that
//! does not ask for them drops them, as does one that is armed all the time. So on a stream the
//! functions here wait for readiness and then take what is there by a call of their own: a wait
//! takes nothing, and dropping it loses nothing.

use std::future::poll_fn;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use annulet_runtime::Interest;
use annulet_runtime::buf::{BufError, BufResult, IoBuf, IoBufMut, IoBufMutExt};
use annulet_runtime::op::{
    Attach, Credentials, Direct, LOCAL_CONTROL_BYTES, Meta, Op, Ready, Shared, recv_msg_now,
};
use socket2::Socket;

use crate::datagram::{alone, send_msg};

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

/// Sends bytes over a connected local stream, and descriptors with the first of them.
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
    alone(send_msg(socket, [buf], attach).await)
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
    let direct = Direct::default();
    loop {
        let received = poll_fn(|cx| {
            direct.poll(socket.driver(), cx, || {
                buf.fill_with(
                    |space| match recv_msg_now(socket, space, LOCAL_CONTROL_BYTES) {
                        Ok((bytes, meta)) => (bytes, Ok((bytes, meta))),
                        Err(error) => (0, Err(error)),
                    },
                )
            })
        })
        .await;
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::io::{ErrorKind, Write};
    use std::os::fd::AsFd;
    use std::pin::pin;
    use std::task::Poll;

    use annulet_runtime::op::Shared;
    use annulet_runtime::{Builder, Choice, Context, yield_now};
    use socket2::{Domain, Socket, Type};

    use super::{recv_with_fds, send_with_fds};

    fn on_each_driver(body: impl AsyncFn(Shared<Socket>, Shared<Socket>)) {
        let offered = [Choice::Poll, Choice::Auto];
        for choice in offered {
            let builder = Builder::new().ignore_environment().driver(choice);
            builder.build().expect("a runtime").block_on(async {
                let driver = Context::current().driver().clone();
                let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("a pair");
                for end in [&near, &far] {
                    end.set_nonblocking(driver.wants_nonblocking())
                        .expect("set");
                }
                body(Shared::new(&driver, near), Shared::new(&driver, far)).await;
            });
        }
    }

    fn room() -> Vec<u8> {
        Vec::with_capacity(64)
    }

    #[test]
    fn descriptors_come_with_the_first_of_the_bytes_they_were_sent_with() {
        on_each_driver(async |near, far| {
            let file = File::open("/").expect("open");
            send_with_fds(&near, b"plain", &[]).await.expect("sent");
            send_with_fds(&near, b"with one", &[file.as_fd()])
                .await
                .expect("sent");
            send_with_fds(&near, b"with two", &[file.as_fd(); 2])
                .await
                .expect("sent");
            let (passed, buf) = recv_with_fds(&far, false, Vec::with_capacity(5))
                .await
                .expect("got");
            assert_eq!((&buf[..], passed.fds.len()), (&b"plain"[..], 0));
            let (passed, buf) = recv_with_fds(&far, false, room()).await.expect("got");
            assert_eq!((&buf[..], passed.fds.len()), (&b"with one"[..], 1));
            let (passed, _) = recv_with_fds(&far, false, Vec::with_capacity(4))
                .await
                .expect("got");
            assert_eq!((passed.bytes, passed.fds.len()), (4, 2));
            let (passed, buf) = recv_with_fds(&far, false, room()).await.expect("got");
            assert_eq!((&buf[..], passed.fds.len()), (&b" two"[..], 0));
            drop(near);
            let (passed, _) = recv_with_fds(&far, false, room()).await.expect("the end");
            assert_eq!((passed.bytes, passed.fds.len()), (0, 0));
        });
    }

    #[test]
    fn a_dropped_receive_takes_nothing() {
        on_each_driver(async |near, far| {
            let file = File::open("/").expect("open");
            {
                let mut receive = pin!(recv_with_fds(&far, false, room()));
                std::future::poll_fn(|cx| {
                    assert!(receive.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                yield_now().await;
                send_with_fds(&near, b"kept", &[file.as_fd()])
                    .await
                    .expect("sent");
                yield_now().await;
            }
            let (passed, buf) = recv_with_fds(&far, false, room()).await.expect("got");
            assert_eq!((&buf[..], passed.fds.len()), (&b"kept"[..], 1));
        });
    }

    #[test]
    fn what_would_lose_descriptors_is_refused() {
        on_each_driver(async |near, far| {
            let file = File::open("/").expect("open");
            let failed = send_with_fds(&near, b"", &[file.as_fd()])
                .await
                .expect_err("no byte");
            assert_eq!(failed.error.kind(), ErrorKind::InvalidInput);
            (&*near).write_all(b"!").expect("sent");
            let failed = recv_with_fds(&far, true, room())
                .await
                .expect_err("engaged");
            assert_eq!(failed.error.kind(), ErrorKind::InvalidInput);
            let failed = recv_with_fds(&far, false, Vec::new())
                .await
                .expect_err("no room");
            assert_eq!(failed.error.kind(), ErrorKind::InvalidInput);
        });
    }
}
