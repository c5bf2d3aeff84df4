//! A stream of the current shard, and its peer outside of it.

use std::net::TcpStream as StdStream;

use annulet::net::TcpStream;

use super::streams::connected;

/// A peer that sends at once, and the shard's end of its connection.
pub(crate) fn adopted() -> (StdStream, TcpStream) {
    let (near, far) = connected().expect("loopback");
    near.set_nodelay(true).expect("TCP");
    (near, TcpStream::from_std(far).expect("taken over"))
}
