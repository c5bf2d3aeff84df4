//! What every byte stream over a socket is made of, whatever its addresses look like.
//!
//! A [`ByteStream`] owns the socket, the [receiving half](receive) that all ways to read share, and
//! the wait of the poll traits for room to write. A public type is a shell around one: it makes and
//! names sockets, and takes its methods from [`stream_methods`](methods) and its poll traits from
//! [`poll_traits`](poll), so that all of them read and write alike.

mod connect;
#[macro_use]
mod handover;
#[macro_use]
mod methods;
#[macro_use]
mod poll;
mod flow;
mod kept;
mod receive;
#[macro_use]
pub(crate) mod split;
mod write;
mod write_buffered;
mod write_zero_copy;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulet_runtime::Driver;
use annulet_runtime::buf::{BufError, BufResult, IoBufMut, IoBufMutExt, Lease};
use annulet_runtime::op::{Op, Ready, Recv, Shared};
use socket2::Socket;

pub(crate) use self::flow::Flow;
pub use self::handover::Detached;
#[cfg(unix)]
pub(crate) use self::handover::expect_kind;
pub(crate) use self::handover::take_linger;
use self::receive::Receiver;
pub use self::split::{
    Connection, OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf,
};
pub(crate) use self::write::HeldTurn;
use self::write::Sender;
pub use self::write_buffered::BufferedWriter;
pub use self::write_zero_copy::ZeroCopy;

/// A byte stream over a socket, or a reference to one; only this crate's streams are.
pub trait SocketStream {
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "only this crate has byte streams")]
    fn byte_stream(&self) -> &ByteStream;
}

impl<S: SocketStream + ?Sized> SocketStream for &S {
    #[expect(private_interfaces, reason = "see the trait")]
    fn byte_stream(&self) -> &ByteStream {
        (**self).byte_stream()
    }
}

impl<S: SocketStream + ?Sized> SocketStream for Rc<S> {
    #[expect(private_interfaces, reason = "see the trait")]
    fn byte_stream(&self) -> &ByteStream {
        (**self).byte_stream()
    }
}

/// See the [module](self). On the heap, since a stream lies in the futures of its tasks, and often
/// in several places of one.
pub(crate) struct ByteStream {
    pub(crate) socket: Shared<Socket>,
    receiver: Receiver,
    pub(crate) sender: Sender,
    /// A wait of the poll traits for room to write.
    writable: Cell<Option<Box<Op<Ready>>>>,
    /// How long closing is to wait for the peer; see [`handover`].
    pub(crate) linger: Cell<Option<Duration>>,
}

impl ByteStream {
    /// Takes over a connected socket.
    pub(crate) fn new(driver: &Driver, socket: Socket) -> io::Result<Box<Self>> {
        socket.set_nonblocking(driver.wants_nonblocking())?;
        Ok(Box::new(Self {
            receiver: Receiver::new(driver, &socket),
            sender: Sender::new(driver),
            socket: Shared::new(driver, socket),
            writable: Cell::new(None),
            linger: Cell::new(None),
        }))
    }

    /// Whether a read has bytes of the stream, or has asked the kernel for them.
    #[cfg(unix)]
    pub(crate) fn is_engaged(&self) -> bool {
        self.receiver.is_engaged()
    }

    pub(crate) async fn recv(&self) -> io::Result<Option<Lease>> {
        let turn = self.receiver.turns.join();
        poll_fn(|cx| turn.note(self.receiver.poll_lease(&self.socket, cx), cx)).await
    }

    pub(crate) async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        if buf.bytes_total() == 0 {
            return Err(BufError::no_room(buf));
        }
        let room = buf.bytes_total();
        let receiver = &self.receiver;
        if receiver.is_engaged() {
            if !receiver.goes_direct(room) {
                return self.read_engaged(buf).await;
            }
            let turn = receiver.turns.join();
            match poll_fn(|cx| turn.note(receiver.poll_left_over(&self.socket, cx), cx)).await {
                None => receiver.leave(),
                Some(Ok(lease)) => {
                    // At the end there is none, and the next look finds that again.
                    if let Some(lease) = lease {
                        receiver.kept.put_back(lease);
                    }
                    return self.read_engaged(buf).await;
                }
                Some(Err(error)) => return Err(BufError::new(error, buf, 0)),
            }
        }
        let driver = self.socket.driver();
        let recv =
            Recv::new(&self.socket, buf, receiver.kept.spill()).after(receiver.drained.take());
        let (read, buf) = Op::new(driver, recv).await?;
        receiver.note_read(read, room, driver);
        Ok((read, buf))
    }

    async fn read_engaged<B: IoBufMut>(&self, mut buf: B) -> BufResult<usize, B> {
        let turn = self.receiver.turns.join();
        let read = poll_fn(|cx| {
            let receiver = &self.receiver;
            let read = buf.fill_with(|space| match receiver.poll_copy(&self.socket, cx, space) {
                Poll::Ready(Ok(read)) => (read, Poll::Ready(Ok(read))),
                other => (0, other),
            });
            turn.note(read, cx)
        });
        match read.await {
            Ok(read) => Ok((read, buf)),
            Err(error) => Err(BufError::new(error, buf, 0)),
        }
    }

    pub(crate) async fn peek(&self, space: &mut [u8]) -> io::Result<usize> {
        let turn = self.receiver.turns.join();
        poll_fn(|cx| turn.note(self.receiver.poll_peek(&self.socket, cx, space), cx)).await
    }
}
