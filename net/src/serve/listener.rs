//! What a server needs of a listener, whatever its connections are.

use std::io;
use std::net::SocketAddr;

use crate::tcp::{TcpListener, TcpStream};

/// A listener that a [`Server`](super::Server) can accept from.
///
/// A server starts on one shard and listens on all: what crosses to the others is a seed, a
/// listening socket that no shard has taken over yet.
pub trait Listener: Sized + 'static {
    /// A connection.
    type Stream: 'static;
    /// Who is at its other end.
    type Peer: 'static;
    /// A listening socket on its way to its shard.
    type Seed: Send + 'static;

    /// Takes a seed over on the shard that is to accept from it.
    ///
    /// # Errors
    ///
    /// The system's.
    fn adopt(seed: Self::Seed) -> io::Result<Self>;

    /// The next connection. An error is one of the listener: those that pass by themselves are
    /// waited out.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a connection that arrives for a dropped accept goes to the next one.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>>;

    /// Takes no more connections from the kernel before the next [`accept`](Self::accept).
    fn pause(&self);

    /// Closes it, and gives the connections that nobody took.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is dropping the listener.
    fn close(self) -> impl Future<Output = Vec<(Self::Stream, Self::Peer)>>;

    /// Has small writes sent at once, where there is a difference.
    fn send_at_once(_stream: &Self::Stream) {}
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;
    type Seed = std::net::TcpListener;

    fn adopt(seed: Self::Seed) -> io::Result<Self> {
        Self::from_std(seed)
    }

    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> {
        Self::accept(self)
    }

    fn pause(&self) {
        self.pause();
    }

    fn close(self) -> impl Future<Output = Vec<(TcpStream, SocketAddr)>> {
        Self::close(self)
    }

    fn send_at_once(stream: &TcpStream) {
        // Where it fails, answers may only be slower.
        let _slower = stream.set_nodelay(true);
    }
}
