//! What sockets refuse: one table of errors for the standard library and every driver, and sends
//! into closed connections where `SIGPIPE` would end the process.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{
    Ipv4Addr, Shutdown, SocketAddr, TcpListener as StdListener, TcpStream as StdStream,
};
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::op::{Connect, Op, Shared};
use annulet::{Builder, Context};
use futures_util::AsyncWriteExt;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::support::child;
use crate::support::refusing_stream::refusing_stream;
use crate::support::sigpipe;
use crate::support::streams::connected;
use crate::{alone, on_each_driver};

type Answer = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// One thing that goes wrong, done by the standard library and by us.
struct Refusal {
    name: &'static str,
    kind: ErrorKind,
    std: fn() -> io::Result<()>,
    ours: fn() -> Answer,
}

/// Nobody connects to a group.
fn a_group() -> SocketAddr {
    (Ipv4Addr::new(224, 0, 0, 1), 80).into()
}

/// An address for documentation: no machine has it.
fn not_ours() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 0).into()
}

fn unconnected() -> StdStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.into()
}

fn not_listening() -> StdListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.into()
}

/// A stream whose peer has reset it.
fn reset() -> StdStream {
    let (peer, far) = connected().expect("loopback");
    let lingering = SockRef::from(&peer).set_linger(Some(Duration::ZERO));
    lingering.expect("set");
    far
}

fn told_of_the_reset() -> StdStream {
    let far = reset();
    (&far).read(&mut [0]).expect_err("a reset");
    far
}

fn shut() -> StdStream {
    // The peer's closing is no matter: the refusal is our own half's.
    let (_peer, far) = connected().expect("loopback");
    far.shutdown(Shutdown::Write).expect("connected");
    far
}

fn std_read(stream: StdStream) -> io::Result<()> {
    (&stream).read(&mut [0; 8]).map(drop)
}

fn std_write(stream: StdStream) -> io::Result<()> {
    (&stream).write(b"gone").map(drop)
}

fn recv(stream: StdStream) -> Answer {
    Box::pin(async { TcpStream::from_std(stream)?.recv().await.map(drop) })
}

fn read(stream: StdStream) -> Answer {
    Box::pin(async {
        let stream = TcpStream::from_std(stream)?;
        stream.read(Vec::with_capacity(8)).await?;
        Ok(())
    })
}

fn write(stream: StdStream) -> Answer {
    Box::pin(async {
        let stream = TcpStream::from_std(stream)?;
        let failure = stream.write_all(b"gone".to_vec()).await.expect_err("gone");
        assert_eq!((failure.done, &failure.buf[..]), (0, &b"gone"[..]));
        Err(failure.error)
    })
}

fn poll_write(stream: StdStream) -> Answer {
    Box::pin(async {
        let mut stream = TcpStream::from_std(stream)?;
        AsyncWriteExt::write_all(&mut stream, b"gone").await
    })
}

/// A second connect of a socket that has one.
fn connect_again(stream: StdStream) -> Answer {
    Box::pin(async {
        let context = Context::current();
        let driver = context.driver();
        stream.set_nonblocking(driver.wants_nonblocking())?;
        let socket = Shared::new(driver, Socket::from(stream));
        let (_bound, peer) = refusing_stream()?;
        let peer = SockAddr::from(peer);
        Op::new(driver, Connect::new(&socket, peer)).await
    })
}

fn connected_alone() -> StdStream {
    connected().expect("loopback").1
}

const fn refusal(
    name: &'static str,
    kind: ErrorKind,
    std: fn() -> io::Result<()>,
    ours: fn() -> Answer,
) -> Refusal {
    Refusal {
        name,
        kind,
        std,
        ours,
    }
}

const READS: &[Refusal] = &[
    refusal(
        "recv, unconnected",
        ErrorKind::NotConnected,
        || std_read(unconnected()),
        || recv(unconnected()),
    ),
    refusal(
        "read, unconnected",
        ErrorKind::NotConnected,
        || std_read(unconnected()),
        || read(unconnected()),
    ),
    refusal(
        "recv, reset",
        ErrorKind::ConnectionReset,
        || std_read(reset()),
        || recv(reset()),
    ),
    refusal(
        "read, reset",
        ErrorKind::ConnectionReset,
        || std_read(reset()),
        || read(reset()),
    ),
    refusal(
        "shutdown, unconnected",
        ErrorKind::NotConnected,
        || unconnected().shutdown(Shutdown::Both),
        || Box::pin(async { TcpStream::from_std(unconnected())?.shutdown(Shutdown::Both) }),
    ),
    refusal(
        "peer_addr, unconnected",
        ErrorKind::NotConnected,
        || unconnected().peer_addr().map(drop),
        || Box::pin(async { TcpStream::from_std(unconnected())?.peer_addr().map(drop) }),
    ),
];

const WRITES: &[Refusal] = &[
    refusal(
        "write, unconnected",
        ErrorKind::BrokenPipe,
        || std_write(unconnected()),
        || write(unconnected()),
    ),
    refusal(
        "write, reset",
        ErrorKind::ConnectionReset,
        || std_write(reset()),
        || write(reset()),
    ),
    refusal(
        "write, after the reset was told",
        ErrorKind::BrokenPipe,
        || std_write(told_of_the_reset()),
        || write(told_of_the_reset()),
    ),
    refusal(
        "write, shut down",
        ErrorKind::BrokenPipe,
        || std_write(shut()),
        || write(shut()),
    ),
    refusal(
        "poll_write, reset",
        ErrorKind::ConnectionReset,
        || std_write(reset()),
        || poll_write(reset()),
    ),
    refusal(
        "poll_write, shut down",
        ErrorKind::BrokenPipe,
        || std_write(shut()),
        || poll_write(shut()),
    ),
];

const BEGINNINGS: &[Refusal] = &[
    refusal(
        "connect, nobody listens",
        ErrorKind::ConnectionRefused,
        || {
            let (_bound, peer) = refusing_stream()?;
            StdStream::connect(peer).map(drop)
        },
        || {
            Box::pin(async {
                let (_bound, peer) = refusing_stream()?;
                TcpStream::connect(peer).await.map(drop)
            })
        },
    ),
    refusal(
        "connect, to a group",
        ErrorKind::NetworkUnreachable,
        || StdStream::connect(a_group()).map(drop),
        || Box::pin(async { TcpStream::connect(a_group()).await.map(drop) }),
    ),
    refusal(
        "connect, connected",
        // `EISCONN`, for which there is no kind: the number below tells.
        ErrorKind::Other,
        || {
            let (_bound, peer) = refusing_stream()?;
            Socket::from(connected_alone()).connect(&peer.into())
        },
        || connect_again(connected_alone()),
    ),
    refusal(
        "bind, in use",
        ErrorKind::AddrInUse,
        || {
            let taken = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            StdListener::bind(taken.local_addr()?).map(drop)
        },
        || {
            Box::pin(async {
                let taken = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                TcpListener::bind(taken.local_addr()?).await.map(drop)
            })
        },
    ),
    refusal(
        "bind, not ours",
        ErrorKind::AddrNotAvailable,
        || StdListener::bind(not_ours()).map(drop),
        || Box::pin(async { TcpListener::bind(not_ours()).await.map(drop) }),
    ),
    refusal(
        "accept, not listening",
        ErrorKind::InvalidInput,
        || not_listening().accept().map(drop),
        || {
            Box::pin(async {
                let listener = TcpListener::from_std(not_listening())?;
                listener.accept().await.map(drop)
            })
        },
    ),
];

#[test]
fn what_goes_wrong_is_the_same_error_on_every_driver_as_in_the_standard_library() {
    on_each_driver(async |kind| {
        for row in [READS, WRITES, BEGINNINGS].into_iter().flatten() {
            let name = row.name;
            let theirs = (row.std)().expect_err(name);
            let ours = (row.ours)().await.expect_err(name);
            assert_eq!(ours.kind(), theirs.kind(), "{kind}: {name}: {ours}");
            assert_eq!(ours.raw_os_error(), theirs.raw_os_error(), "{kind}: {name}");
            if row.kind != ErrorKind::Other {
                assert_eq!(ours.kind(), row.kind, "{kind}: {name}");
            }
        }
    });
}

/// Every way to send, into a connection whose peer has gone.
async fn send_in_vain() -> io::Result<()> {
    for gone in [told_of_the_reset, shut] {
        let stream = TcpStream::from_std(gone())?;
        let error = stream.write(b"1").await.expect_err("gone").error;
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "write");
        let error = stream.write_all(b"2").await.expect_err("gone").error;
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "write_all");
        let mut stream = stream;
        let error = AsyncWriteExt::write(&mut stream, b"3").await;
        assert_eq!(error.expect_err("gone").kind(), ErrorKind::BrokenPipe);
    }
    // One that waits for room when its peer goes.
    let (peer, far) = connected()?;
    let stream = TcpStream::from_std(far)?;
    let writing = annulet::spawn(async move {
        loop {
            stream.write_all(vec![0; 1 << 20]).await?;
        }
    });
    let peer = TcpStream::from_std(peer)?;
    peer.read(Vec::with_capacity(8)).await?;
    drop(peer);
    let ended: io::Result<()> = writing.await.expect("no panic");
    let kind = ended.expect_err("gone").kind();
    assert!(
        matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
        "{kind}"
    );
    Ok(())
}

#[test]
fn a_send_into_a_closed_connection_is_an_error_and_never_a_signal() {
    const NAME: &str =
        "hazard::refusals::a_send_into_a_closed_connection_is_an_error_and_never_a_signal";
    if let Some(part) = child::part() {
        sigpipe::restore();
        if part == "raw" {
            // The signal does end this process.
            let _ended = nix::unistd::write(shut(), b"!");
            return;
        }
        let runtime = Builder::new().build().expect("a runtime");
        runtime.block_on(send_in_vain()).expect("answers");
        println!("it lives, on {}", runtime.driver().kind);
        return;
    }
    let _alone = alone();
    let raw = child::command(NAME, "raw").output().expect("it starts");
    assert_eq!(raw.status.signal(), Some(libc::SIGPIPE), "{raw:?}");
    annulet::for_each_driver(|runtime| {
        let kind = runtime.driver().kind.to_string();
        let mut sending = child::command(NAME, "sends");
        let sent = sending.env("ANNULET_DRIVER", &kind).output();
        let sent = sent.expect("it starts");
        let said = String::from_utf8_lossy(&sent.stdout);
        assert!(sent.status.success(), "{kind}: {sent:?}");
        assert!(said.contains(&format!("it lives, on {kind}")), "{said}");
    });
}
