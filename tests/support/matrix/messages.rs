//! Rows of the operations on messages: UDP and local sockets.

use std::io;
use std::net::{Ipv4Addr, UdpSocket as StdSocket};
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::rc::Rc;

use annulet::net::{UdpSocket, UnixDatagram, UnixSeqpacket};

use super::rows::{Failure, Scene, failure, scene};
use crate::support::refusing_datagram::refusing_datagram;

/// One end of a pair, and a sender to it.
fn udp() -> io::Result<(Rc<UdpSocket>, impl FnOnce() -> StdSocket)> {
    let far = StdSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let peer = StdSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    peer.connect(far.local_addr()?)?;
    let release = move || {
        peer.send(b"!").expect("sent");
        peer
    };
    Ok((Rc::new(UdpSocket::from_std(far)?), release))
}

/// A connected socket whose peer refused what it sent, and is told so by what comes next.
fn refused() -> io::Result<UdpSocket> {
    let (_refusing, address) = refusing_datagram()?;
    let socket = StdSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(address)?;
    socket.send(b"anybody?")?;
    UdpSocket::from_std(socket)
}

pub(super) fn recv_datagram() -> io::Result<Scene> {
    let (socket, release) = udp()?;
    let operate = move || {
        let socket = Rc::clone(&socket);
        async move {
            assert_eq!(&*socket.recv().await?, b"!");
            Ok(())
        }
    };
    scene(operate, release)
}

pub(super) fn recv_datagram_fails() -> io::Result<Failure> {
    let socket = refused()?;
    failure(
        libc::ECONNREFUSED,
        async move { socket.recv().await.map(drop) },
    )
}

pub(super) fn recv_msg() -> io::Result<Scene> {
    let (socket, release) = udp()?;
    let operate = move || {
        let socket = Rc::clone(&socket);
        async move {
            let ((received, meta), buf) = socket.recv_msg(Vec::with_capacity(8)).await?;
            assert_eq!((received, &buf[..]), (1, &b"!"[..]));
            assert!(meta.source_addr().is_some());
            Ok(())
        }
    };
    scene(operate, release)
}

pub(super) fn recv_msg_fails() -> io::Result<Failure> {
    let socket = refused()?;
    failure(libc::ECONNREFUSED, async move {
        socket.recv_msg(Vec::with_capacity(8)).await?;
        Ok(())
    })
}

/// A local socket whose peer's queue is full.
pub(super) fn send_msg() -> io::Result<Scene> {
    let (peer, far) = StdDatagram::pair()?;
    far.set_nonblocking(true)?;
    let mut sent = 0;
    while far.send(b"?").is_ok() {
        sent += 1;
    }
    let socket = Rc::new(UnixDatagram::from_std(far)?);
    let operate = move || {
        let socket = Rc::clone(&socket);
        async move {
            socket.send_with_fds(b"!", &[]).await?;
            Ok(())
        }
    };
    scene(operate, move || {
        for _ in 0..sent {
            peer.recv(&mut [0; 8]).expect("it is full");
        }
        peer
    })
}

pub(super) fn send_msg_fails() -> io::Result<Failure> {
    let (near, far) = UnixSeqpacket::pair()?;
    drop(far);
    failure(libc::EPIPE, async move {
        near.send_with_fds(b"gone", &[]).await?;
        Ok(())
    })
}
