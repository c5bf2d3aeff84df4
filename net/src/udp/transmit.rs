//! Datagrams sent with more than an address: cut by the kernel, marked, from a chosen source.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;

use annulet_runtime::buf::{BufError, BufResult, IoBuf};
use annulet_runtime::op::{Attach, Op, SendMsg};

use super::socket::UdpSocket;
use crate::datagram::alone;

/// What [`UdpSocket::send_msg`] sends, and how.
///
/// # Examples
///
/// ```
/// use annulet_net::Transmit;
///
/// // Four datagrams of 1200 bytes by one call, capable of congestion marks.
/// let transmit = Transmit::new(vec![0; 4800])
///     .to("127.0.0.1:4433".parse()?)
///     .segments(1200)
///     .ecn(0b10);
/// assert_eq!(transmit.contents.len(), 4800);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transmit<B> {
    /// The bytes.
    pub contents: B,
    /// Where to; `None` on a connected socket.
    pub to: Option<SocketAddr>,
    /// Bytes of each datagram that the kernel cuts the contents into.
    pub segment_bytes: Option<u16>,
    /// The traffic class (TOS) byte, whose low two bits are the congestion mark.
    pub traffic_class: Option<u8>,
    /// The address to send from.
    pub source: Option<IpAddr>,
    /// The index of the interface to send by.
    pub interface: Option<u32>,
}

impl<B> Transmit<B> {
    /// These bytes as one datagram, to whom the socket is connected.
    pub fn new(contents: B) -> Self {
        Self {
            contents,
            to: None,
            segment_bytes: None,
            traffic_class: None,
            source: None,
            interface: None,
        }
    }

    /// Sends it there.
    #[must_use]
    pub fn to(mut self, to: SocketAddr) -> Self {
        self.to = Some(to);
        self
    }

    /// Has the kernel cut the contents into datagrams of so many bytes, the last perhaps shorter:
    /// generic segmentation offload. At most 64 of them, and 65,507 bytes.
    #[must_use]
    pub fn segments(mut self, bytes: u16) -> Self {
        self.segment_bytes = Some(bytes);
        self
    }

    /// Marks it with these two bits.
    #[must_use]
    pub fn ecn(mut self, bits: u8) -> Self {
        let others = self.traffic_class.unwrap_or(0) & !0b11;
        self.traffic_class = Some(others | (bits & 0b11));
        self
    }

    /// Sends it from this address, one of the machine's.
    #[must_use]
    pub fn from(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// The bytes, and what is to go with them.
    fn apart(self) -> (B, Attach) {
        let attach = Attach {
            to: self.to.map(Into::into),
            segment_bytes: self.segment_bytes,
            traffic_class: self.traffic_class,
            source: self.source,
            interface: self.interface,
            ..Attach::default()
        };
        (self.contents, attach)
    }
}

impl Transmit<&[u8]> {
    pub(super) fn attach(&self) -> Attach {
        self.clone().apart().1
    }
}

impl UdpSocket {
    /// Sends contents with all that a [`Transmit`] says.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer: `InvalidInput` for more segments than it cuts, `Unsupported`
    /// where it has no such thing.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send): all of the datagrams are sent, or none.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_SENDMSG` (Linux 5.3); on the `poll` driver `sendmsg(2)` when the socket is
    /// writable. Segments need Linux 4.18.
    pub async fn send_msg<B: IoBuf>(&self, transmit: Transmit<B>) -> BufResult<usize, B> {
        let (contents, attach) = transmit.apart();
        self.0.send_msg(contents, attach).await
    }

    /// Sends several at once, and says of each how it went, in the same order.
    ///
    /// # Errors
    ///
    /// Of each its own; a failure does not keep the others from being sent.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send), of each. The order in which they are sent is the order given as
    /// long as the socket has room for all.
    ///
    /// # Kernel
    ///
    /// As [`send_msg`](Self::send_msg): on a ring, all of them are submitted by one system call.
    pub async fn send_many<B: IoBuf>(
        &self,
        transmits: impl IntoIterator<Item = Transmit<B>>,
    ) -> Vec<BufResult<usize, B>> {
        let socket = &self.0.socket;
        let mut sends: Vec<Sending<B>> = transmits
            .into_iter()
            .map(|transmit| {
                let (contents, attach) = transmit.apart();
                match SendMsg::new(socket, [contents], attach) {
                    Ok(send) => Sending::Open(Op::new(socket.driver(), send)),
                    Err(failed) => Sending::Done(alone(Err(failed))),
                }
            })
            .collect();
        poll_fn(|cx| {
            let mut open = false;
            for send in &mut sends {
                if let Sending::Open(op) = send {
                    match Pin::new(op).poll(cx) {
                        Poll::Ready(answer) => *send = Sending::Done(alone(answer)),
                        Poll::Pending => open = true,
                    }
                }
            }
            if open { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        sends.into_iter().filter_map(Sending::answer).collect()
    }
}

/// One send of several.
enum Sending<B: IoBuf> {
    Open(Op<SendMsg<[B; 1]>>),
    Done(Result<(usize, B), BufError<B>>),
}

impl<B: IoBuf> Sending<B> {
    fn answer(self) -> Option<BufResult<usize, B>> {
        match self {
            Self::Open(_) => None,
            Self::Done(answer) => Some(answer),
        }
    }
}

/// The error of a call that only a system with more than addresses can do.
pub(super) fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
