//! Sockets on a shard of annulet: TCP, UDP, Unix, and those of virtual machines.
//!
//! A [`TcpListener`] accepts, a [`TcpStream`] receives and sends; both belong to the shard that
//! made them, and a stream can be [handed](TcpStream::detach) to another. There are three ways to
//! read, over the same stream and freely mixed: leases of the shard's own buffers
//! ([`TcpStream::recv`]), owned buffers ([`TcpStream::read`]), and the poll traits of `futures-io`
//! (and, by feature, of tokio and hyper). Received bytes belong to the stream, not to the future:
//! dropping a read loses nothing.
#![forbid(unsafe_code)]

mod addr;
#[cfg(unix)]
mod ancillary;
mod connect;
mod datagram;
#[macro_use]
mod descriptor;
#[cfg(feature = "hyper")]
pub mod http;
#[macro_use]
mod listen;
#[cfg(unix)]
pub mod pipe;
mod resolve;
mod serve;
#[macro_use]
mod stream;
mod tcp;
mod transfer;
mod turns;
mod udp;
#[cfg(unix)]
pub mod unix;
#[cfg(target_os = "linux")]
pub mod vsock;

pub use addr::{Target, ToAddrs, lookup};
#[cfg(unix)]
pub use ancillary::Passed;
pub use annulet_runtime::buf::Lease;
pub use annulet_runtime::op::{Credentials, CutShort, Datagram, Meta};
pub use connect::{ConnectError, Connector};
pub use resolve::{
    CacheConfig, Early, Resolved, Resolver, Resolving, SystemResolver, set_name_cache, set_resolver,
};
#[cfg(feature = "hickory")]
pub use resolve::{DnsConfig, DnsResolver};
pub use serve::{
    Listener, Over, Running, Server, ServerStats, Serving, serve, serve_over, serve_with,
};
pub use stream::{
    BufferedWriter, Connection, Detached, OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError,
    SocketStream, WriteHalf, ZeroCopy,
};
pub use tcp::{Incoming, Keepalive, TcpInfo, TcpListener, TcpSocket, TcpStream};
pub use transfer::{
    AsFile, SendFileError, Side, Transfer, TransferError, copy_bidirectional, send_file,
};
pub use udp::{Transmit, UdpSocket};
#[cfg(unix)]
pub use unix::{UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream};
#[cfg(target_os = "linux")]
pub use vsock::{VsockAddr, VsockListener, VsockStream};
