//! TCP on a shard of annulet.
//!
//! A [`TcpListener`] accepts, a [`TcpStream`] receives and sends; both belong to the shard that
//! made them. There are three ways to read, over the same stream and freely mixed: leases of the
//! shard's own buffers ([`TcpStream::recv`]), owned buffers ([`TcpStream::read`]), and the poll
//! traits of
//! `futures-io` (and, by feature, of tokio and hyper). Received bytes belong to the stream, not to the
//! future: dropping a read loses nothing.
#![forbid(unsafe_code)]

mod addr;
#[cfg(feature = "hyper")]
pub mod http;
mod listen;
#[macro_use]
mod stream;
mod tcp;
mod turns;

pub use addr::{Target, ToAddrs, lookup};
pub use annulet_runtime::buf::Lease;
pub use tcp::{Incoming, TcpListener, TcpStream};
