//! One row to an operation: how to have it wait, how to have it complete, how to have it fail.

use std::any::Any;
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener as StdListener, TcpStream as StdStream};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::op::{Accept, Backlog, Nop, Op, Ready, Recv, Shared, Spill};
use annulet::process::{Child, PipeReader, PipeWriter};
use annulet::time::{sleep, timeout};
use annulet::{Code, Context, Interest};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};

use super::{files, messages, sends};
use crate::support::refusing_stream::refusing_stream;
use crate::support::streams::connected;

pub(crate) type Answer = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// An operation that can be made again and again, and what it waits for.
pub(crate) struct Scene {
    pub(crate) operate: Box<dyn Fn() -> Answer>,
    /// Has one operation complete, whether it has begun or not. What it answers is to be kept: a
    /// peer that is gone would be an answer of its own.
    pub(crate) release: Box<dyn FnOnce() -> Box<dyn Any>>,
}

/// A failure: the operation, and the system's number for what it must say.
pub(crate) struct Failure {
    pub(crate) operate: Answer,
    pub(crate) errno: i32,
}

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Whether it waits until it is released.
    pub(crate) waits: bool,
    /// How many requests may stay armed with the socket when the operation is dropped.
    pub(crate) armed: usize,
    pub(crate) scene: fn() -> io::Result<Scene>,
    pub(crate) failure: Option<fn() -> io::Result<Failure>>,
}

impl Row {
    const fn new(name: &'static str, waits: bool, scene: fn() -> io::Result<Scene>) -> Self {
        Self {
            name,
            waits,
            armed: 0,
            scene,
            failure: None,
        }
    }

    const fn arming(mut self, armed: usize) -> Self {
        self.armed = armed;
        self
    }

    const fn failing(mut self, failure: fn() -> io::Result<Failure>) -> Self {
        self.failure = Some(failure);
        self
    }
}

/// Every operation of the runtime.
pub(crate) const ROWS: &[Row] = &[
    Row::new("nop", false, nop),
    Row::new("ready", true, ready),
    Row::new("accept", true, accept).arming(1),
    Row::new("accept one", true, accept_one).failing(accept_fails),
    Row::new("connect", false, connect).failing(connect_fails),
    Row::new("read", true, read).failing(read_fails),
    Row::new("recv into a boxed payload", true, recv_boxed),
    Row::new("recv a lease", true, recv)
        .arming(1)
        .failing(recv_fails),
    Row::new("send", true, sends::send).failing(sends::send_fails),
    Row::new("send several buffers", true, sends::vectored).failing(sends::vectored_fails),
    Row::new("send without a copy", false, sends::zero_copy).failing(sends::zero_copy_fails),
    Row::new(
        "send without a copy where one must be",
        true,
        sends::no_zero_copy,
    ),
    Row::new("send a file", false, sends::file).failing(sends::file_fails),
    Row::new("copy both ways", true, sends::both_ways)
        .arming(2)
        .failing(sends::both_ways_fails),
    Row::new("recv a datagram", true, messages::recv_datagram)
        .arming(1)
        .failing(messages::recv_datagram_fails),
    Row::new("recv a message", true, messages::recv_msg).failing(messages::recv_msg_fails),
    Row::new("send a message", true, messages::send_msg).failing(messages::send_msg_fails),
    Row::new("read_at", false, files::read_at).failing(files::read_at_fails),
    Row::new(
        "read several buffers of a file",
        false,
        files::vectored_read,
    )
    .failing(files::vectored_read_fails),
    Row::new("write_at", false, files::write_at).failing(files::write_at_fails),
    Row::new(
        "write several buffers of a file",
        false,
        files::vectored_write,
    )
    .failing(files::vectored_write_fails),
    Row::new("append", false, files::append).failing(files::append_fails),
    Row::new("sync_all", false, files::sync_all).failing(files::sync_all_fails),
    Row::new("sync_data", false, files::sync_data),
    Row::new("set_len", false, files::set_len).failing(files::set_len_fails),
    Row::new("open", false, files::open).failing(files::open_fails),
    Row::new("metadata", false, files::metadata),
    Row::new("read a pipe", true, read_pipe).failing(read_pipe_fails),
    Row::new("write a pipe", true, write_pipe).failing(write_pipe_fails),
    Row::new("wait for a child", true, wait_child).failing(wait_child_fails),
    Row::new("sleep", false, a_sleep),
    Row::new("timeout", false, a_timeout),
    Row::new("join", false, join),
    Row::new("spawn_blocking", true, blocking),
];

pub(super) fn scene<F, K: 'static>(
    operate: impl Fn() -> F + 'static,
    release: impl FnOnce() -> K + 'static,
) -> io::Result<Scene>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    Ok(Scene {
        operate: Box::new(move || Box::pin(operate())),
        release: Box::new(move || Box::new(release())),
    })
}

pub(super) fn failure(
    errno: i32,
    operate: impl Future<Output = io::Result<()>> + 'static,
) -> io::Result<Failure> {
    Ok(Failure {
        operate: Box::pin(operate),
        errno,
    })
}

fn shared_pair() -> io::Result<(Shared<Socket>, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    let driver = Context::current().driver().clone();
    near.set_nonblocking(driver.wants_nonblocking())?;
    Ok((Shared::new(&driver, Socket::from(near)), far))
}

/// Sends a byte, and keeps the peer.
fn written<S: Write>(mut peer: S) -> S {
    peer.write_all(b"!").expect("room for a byte");
    peer
}

fn nop() -> io::Result<Scene> {
    scene(|| Op::new(Context::current().driver(), Nop), || {})
}

fn has_bytes(socket: &Socket) -> io::Result<bool> {
    let mut byte = [MaybeUninit::uninit()];
    match socket.recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn ready() -> io::Result<Scene> {
    let (near, far) = shared_pair()?;
    let operate = move || {
        let near = near.clone();
        async move {
            // Readiness is waited for after an attempt, never before.
            while !has_bytes(&near)? {
                let ready = Ready::new(&near, Interest::Readable).expect("it can be watched");
                Op::new(near.driver(), ready).await?;
            }
            Ok(())
        }
    };
    scene(operate, move || written(far))
}

fn accept() -> io::Result<Scene> {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let listener = Rc::new(TcpListener::from_std(listener)?);
    let operate = move || {
        let listener = Rc::clone(&listener);
        async move { listener.accept().await.map(drop) }
    };
    scene(operate, move || {
        StdStream::connect(address).expect("somebody listens")
    })
}

fn accept_one() -> io::Result<Scene> {
    let driver = Context::current().driver().clone();
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(driver.attempts(Code::Accept))?;
    let listener = Shared::new(&driver, Socket::from(listener));
    let backlog = Rc::<Backlog>::default();
    let operate = move || {
        let accept = Op::new(listener.driver(), Accept::new(&listener, &backlog));
        let backlog = Rc::clone(&backlog);
        async move {
            match backlog.take() {
                Some(_) => Ok(()),
                None => accept.await.map(drop),
            }
        }
    };
    scene(operate, move || {
        StdStream::connect(address).expect("somebody listens")
    })
}

fn accept_fails() -> io::Result<Failure> {
    let driver = Context::current().driver().clone();
    let deaf = Shared::new(&driver, Socket::new(Domain::IPV4, Type::STREAM, None)?);
    let accept = Op::new(&driver, Accept::new(&deaf, &Rc::default()));
    failure(libc::EINVAL, async move { accept.await.map(drop) })
}

fn connect() -> io::Result<Scene> {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let operate = move || {
        let _open = &listener;
        async move { TcpStream::connect(address).await.map(drop) }
    };
    scene(operate, || {})
}

fn connect_fails() -> io::Result<Failure> {
    let (refusing, address) = refusing_stream()?;
    failure(libc::ECONNREFUSED, async move {
        let _bound = refusing;
        TcpStream::connect(address).await.map(drop)
    })
}

fn read() -> io::Result<Scene> {
    let (peer, far) = connected()?;
    let stream = Rc::new(TcpStream::from_std(far)?);
    let operate = move || {
        let stream = Rc::clone(&stream);
        async move {
            let (read, buf) = stream.read(Vec::with_capacity(8)).await?;
            assert_eq!((read, &buf[..]), (1, &b"!"[..]));
            Ok(())
        }
    };
    scene(operate, move || written(peer))
}

fn recv_boxed() -> io::Result<Scene> {
    let (near, far) = shared_pair()?;
    let spill = Rc::<Spill>::default();
    let operate = move || {
        let recv = Recv::new(&near, vec![0; 64].into_boxed_slice(), &spill);
        let op = Op::new(near.driver(), recv);
        let spill = Rc::clone(&spill);
        async move {
            let mut byte = [0];
            if spill.take(&mut byte) == 0 {
                let (read, buf) = op.await?;
                assert_eq!((read, buf[0]), (1, b'!'));
            }
            Ok(())
        }
    };
    scene(operate, move || written(far))
}

/// A stream whose peer has reset it.
pub(super) fn reset() -> io::Result<TcpStream> {
    let (peer, far) = connected()?;
    let peer = Socket::from(peer);
    peer.set_linger(Some(Duration::ZERO))?;
    drop(peer);
    TcpStream::from_std(far)
}

fn read_fails() -> io::Result<Failure> {
    let stream = reset()?;
    failure(libc::ECONNRESET, async move {
        stream.read(Vec::with_capacity(8)).await?;
        Ok(())
    })
}

fn recv() -> io::Result<Scene> {
    let (peer, far) = connected()?;
    let stream = Rc::new(TcpStream::from_std(far)?);
    let operate = move || {
        let stream = Rc::clone(&stream);
        async move {
            let lease = stream.recv().await?.expect("not the end");
            assert_eq!(&*lease, b"!");
            Ok(())
        }
    };
    scene(operate, move || written(peer))
}

fn recv_fails() -> io::Result<Failure> {
    let stream = reset()?;
    failure(
        libc::ECONNRESET,
        async move { stream.recv().await.map(drop) },
    )
}

#[expect(
    clippy::await_holding_refcell_ref,
    reason = "one operation at a time, which is dropped before the next"
)]
fn read_pipe() -> io::Result<Scene> {
    let (read, write) = io::pipe()?;
    let read = Rc::new(RefCell::new(PipeReader::from_owned_fd(read.into())?));
    let operate = move || {
        let read = Rc::clone(&read);
        async move {
            let (count, buf) = read.borrow_mut().read(Vec::with_capacity(8)).await?;
            assert_eq!((count, &buf[..]), (1, &b"!"[..]));
            Ok(())
        }
    };
    scene(operate, move || written(write))
}

fn read_pipe_fails() -> io::Result<Failure> {
    let (_read, write) = io::pipe()?;
    let mut wrong = PipeReader::from_owned_fd(write.into())?;
    failure(libc::EBADF, async move {
        wrong.read(Vec::with_capacity(8)).await?;
        Ok(())
    })
}

/// A pipe that takes nothing until it is read.
#[expect(
    clippy::await_holding_refcell_ref,
    reason = "one operation at a time, which is dropped before the next"
)]
fn write_pipe() -> io::Result<Scene> {
    /// What a pipe holds.
    const BYTES: usize = 64 * 1024;
    let (mut read, mut write) = io::pipe()?;
    write.write_all(&[0; BYTES])?;
    let write = Rc::new(RefCell::new(PipeWriter::from_owned_fd(write.into())?));
    let operate = move || {
        let write = Rc::clone(&write);
        async move {
            write.borrow_mut().write(b"!").await?;
            Ok(())
        }
    };
    scene(operate, move || {
        read.read_exact(&mut [0; BYTES])
            .expect("all that was written");
        read
    })
}

fn write_pipe_fails() -> io::Result<Failure> {
    let (_, write) = io::pipe()?;
    let mut write = PipeWriter::from_owned_fd(write.into())?;
    failure(libc::EPIPE, async move {
        match write.write(b"kept".to_vec()).await {
            Ok(_) => Ok(()),
            Err(failure) => {
                assert_eq!(failure.buf, b"kept");
                Err(failure.error)
            }
        }
    })
}

#[expect(
    clippy::await_holding_refcell_ref,
    reason = "one operation at a time, which is dropped before the next"
)]
fn wait_child() -> io::Result<Scene> {
    let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    let stdin = cat.stdin.take();
    let child = Rc::new(RefCell::new(Child::from_std(cat)?));
    let operate = move || {
        let child = Rc::clone(&child);
        async move {
            assert!(child.borrow_mut().wait().await?.success());
            Ok(())
        }
    };
    scene(operate, move || drop(stdin))
}

fn wait_child_fails() -> io::Result<Failure> {
    let child = Command::new("true").spawn()?;
    let number = Pid::from_raw(i32::try_from(child.id()).expect("the system's own"));
    let mut child = Child::from_std(child)?;
    waitpid(number, None)?;
    failure(libc::ECHILD, async move { child.wait().await.map(drop) })
}

fn a_sleep() -> io::Result<Scene> {
    let operate = || async {
        sleep(Duration::from_millis(3)).await;
        Ok(())
    };
    scene(operate, || {})
}

fn a_timeout() -> io::Result<Scene> {
    let operate = || async {
        let never = std::future::pending::<()>();
        let elapsed = timeout(Duration::from_millis(3), never).await;
        assert!(elapsed.is_err());
        Ok(())
    };
    scene(operate, || {})
}

fn join() -> io::Result<Scene> {
    let operate = || async {
        let task = annulet::spawn(async {
            annulet::yield_now().await;
            7
        });
        assert_eq!(task.await.map_err(io::Error::other)?, 7);
        Ok(())
    };
    scene(operate, || {})
}

fn blocking() -> io::Result<Scene> {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let opened = Arc::clone(&gate);
    let operate = move || {
        let gate = Arc::clone(&gate);
        async move {
            let call = annulet::spawn_blocking(move || {
                let closed = gate.0.lock().expect("nobody panics");
                let open = gate.1.wait_while(closed, |open| !*open);
                *open.expect("nobody panics")
            });
            assert!(call.await.map_err(io::Error::other)?);
            Ok(())
        }
    };
    scene(operate, move || {
        *opened.0.lock().expect("nobody panics") = true;
        opened.1.notify_all();
    })
}
