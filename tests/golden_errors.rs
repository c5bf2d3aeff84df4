//! One table of what every operation on a connection answers in every circumstance, the same on
//! every driver and without what sockets make use of.
//!
//! The table is `tests/golden/errors.txt`, a line for each pair that does not wait. A line that
//! changes is a change of what users see: with `ANNULET_GOLDEN=write` the test writes the table of
//! the first driver instead of comparing, for the difference to be looked at.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod refusing_stream;
    pub(crate) mod socket_variants;
    pub(crate) mod streams;
    pub(crate) mod variants;
}

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{
    Ipv4Addr, Shutdown, SocketAddr, TcpListener as StdListener, TcpStream as StdStream,
};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream, ZeroCopy, send_file};
use annulet::time::timeout;
use socket2::{Domain, SockRef, Socket, Type};
use support::refusing_stream::refusing_stream;
use support::socket_variants::socket_variants;
use support::streams::connected;

/// What does not answer within that waits, and has no line in the table.
const PATIENCE: Duration = Duration::from_secs(60);

type Answer<'a> = Pin<Box<dyn Future<Output = io::Result<String>> + 'a>>;

/// An operation, and whether it takes bytes from the peer or gives it some.
struct Operation {
    name: &'static str,
    side: Side,
    run: fn(&mut TcpStream) -> Answer<'_>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Receives,
    Sends,
    Neither,
}

fn bytes(read: usize) -> String {
    match read {
        0 => "the end".to_owned(),
        read => format!("{read} bytes"),
    }
}

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "recv",
        side: Side::Receives,
        run: |stream| {
            Box::pin(async {
                let lease = stream.recv().await?;
                Ok(bytes(lease.map_or(0, |lease| lease.len())))
            })
        },
    },
    Operation {
        name: "read",
        side: Side::Receives,
        run: |stream| Box::pin(async { Ok(bytes(stream.read(Vec::with_capacity(9)).await?.0)) }),
    },
    Operation {
        name: "poll_read",
        side: Side::Receives,
        run: |stream| {
            Box::pin(async {
                let mut buf = [0; 9];
                let read = futures_util::AsyncReadExt::read(stream, &mut buf).await?;
                Ok(bytes(read))
            })
        },
    },
    Operation {
        name: "read without room",
        side: Side::Neither,
        run: |stream| Box::pin(async { Ok(bytes(stream.read(Vec::new()).await?.0)) }),
    },
    Operation {
        name: "write",
        side: Side::Sends,
        run: |stream| Box::pin(async { Ok(bytes(stream.write("sent").await?.0)) }),
    },
    Operation {
        name: "write_all",
        side: Side::Sends,
        run: |stream| Box::pin(async { Ok(bytes(stream.write_all("sent").await?.1.len())) }),
    },
    Operation {
        name: "write_vectored",
        side: Side::Sends,
        run: |stream| Box::pin(async { Ok(bytes(stream.write_vectored(["se", "nt"]).await?.0)) }),
    },
    Operation {
        name: "write without a copy",
        side: Side::Sends,
        run: |stream| {
            stream.set_zero_copy(ZeroCopy::From(1));
            Box::pin(async { Ok(bytes(stream.write("sent").await?.0)) })
        },
    },
    Operation {
        name: "send_file",
        side: Side::Sends,
        run: |stream| {
            Box::pin(async {
                let mut file = tempfile::tempfile()?;
                file.write_all(b"sent")?;
                let sent = send_file(stream, &file, 0..4).await?;
                Ok(bytes(usize::try_from(sent).expect("few")))
            })
        },
    },
    Operation {
        name: "write_all of nothing",
        side: Side::Sends,
        run: |stream| {
            Box::pin(async {
                stream.write_all("").await?;
                Ok("nothing sent".to_owned())
            })
        },
    },
    Operation {
        name: "poll_write",
        side: Side::Sends,
        run: |stream| {
            Box::pin(async {
                let written = futures_util::AsyncWriteExt::write(stream, b"sent").await?;
                Ok(bytes(written))
            })
        },
    },
    Operation {
        name: "shutdown of writes",
        side: Side::Neither,
        run: |stream| {
            Box::pin(async {
                stream.shutdown(Shutdown::Write)?;
                Ok("done".to_owned())
            })
        },
    },
    Operation {
        name: "shutdown of reads",
        side: Side::Neither,
        run: |stream| {
            Box::pin(async {
                stream.shutdown(Shutdown::Read)?;
                Ok("done".to_owned())
            })
        },
    },
    Operation {
        name: "peer_addr",
        side: Side::Neither,
        run: |stream| {
            Box::pin(async {
                stream.peer_addr()?;
                Ok("an address".to_owned())
            })
        },
    },
];

/// A stream in some state, and what must live as long as it.
type State = (StdStream, Option<StdStream>);

/// A state, and which sides of a connection do not wait in it.
struct Circumstance {
    name: &'static str,
    receives: bool,
    make: fn() -> io::Result<State>,
}

fn pair() -> io::Result<(StdStream, StdStream)> {
    let (peer, far) = connected()?;
    Ok((far, peer))
}

/// Ends the connection with a reset.
fn reset(peer: StdStream) -> io::Result<()> {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO))?;
    drop(peer);
    Ok(())
}

const CIRCUMSTANCES: &[Circumstance] = &[
    Circumstance {
        name: "bytes are there",
        receives: true,
        make: || {
            let (stream, mut peer) = pair()?;
            peer.write_all(b"bytes")?;
            Ok((stream, Some(peer)))
        },
    },
    Circumstance {
        name: "nothing is there",
        receives: false,
        make: || pair().map(|(stream, peer)| (stream, Some(peer))),
    },
    Circumstance {
        name: "not connected",
        receives: true,
        make: || Ok((Socket::new(Domain::IPV4, Type::STREAM, None)?.into(), None)),
    },
    Circumstance {
        name: "the peer has closed its half",
        receives: true,
        make: || {
            let (stream, peer) = pair()?;
            peer.shutdown(Shutdown::Write)?;
            Ok((stream, Some(peer)))
        },
    },
    Circumstance {
        name: "the peer has sent and closed its half",
        receives: true,
        make: || {
            let (stream, mut peer) = pair()?;
            peer.write_all(b"bytes")?;
            peer.shutdown(Shutdown::Write)?;
            Ok((stream, Some(peer)))
        },
    },
    Circumstance {
        name: "the peer has reset it",
        receives: true,
        make: || {
            let (stream, peer) = pair()?;
            reset(peer)?;
            Ok((stream, None))
        },
    },
    Circumstance {
        name: "the peer has sent and reset it",
        receives: true,
        make: || {
            let (stream, mut peer) = pair()?;
            peer.write_all(b"bytes")?;
            reset(peer)?;
            Ok((stream, None))
        },
    },
    Circumstance {
        name: "the peer has reset it and that was told",
        receives: true,
        make: || {
            let (stream, peer) = pair()?;
            reset(peer)?;
            let told = (&stream).read(&mut [0]);
            assert!(told.is_err(), "a reset");
            Ok((stream, None))
        },
    },
    Circumstance {
        name: "we have shut down writes",
        receives: false,
        make: || {
            let (stream, peer) = pair()?;
            stream.shutdown(Shutdown::Write)?;
            Ok((stream, Some(peer)))
        },
    },
    Circumstance {
        name: "we have shut down reads",
        receives: true,
        make: || {
            let (stream, peer) = pair()?;
            stream.shutdown(Shutdown::Read)?;
            Ok((stream, Some(peer)))
        },
    },
    Circumstance {
        name: "we have shut down both",
        receives: true,
        make: || {
            let (stream, peer) = pair()?;
            stream.shutdown(Shutdown::Both)?;
            Ok((stream, Some(peer)))
        },
    },
];

/// An address for documentation: no machine has it.
fn not_ours() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 0).into()
}

type Begin = fn() -> Answer<'static>;

/// How connections and listeners begin, or do not.
const BEGINNINGS: &[(&str, Begin)] = &[
    ("connect, nobody listens", || {
        Box::pin(async {
            let (_bound, address) = refusing_stream()?;
            beginning(TcpStream::connect(address).await)
        })
    }),
    ("connect, to a group", || {
        let group = SocketAddr::from((Ipv4Addr::new(224, 0, 0, 1), 80));
        Box::pin(async move { beginning(TcpStream::connect(group).await) })
    }),
    ("connect, an address without a port", || {
        Box::pin(async { beginning(TcpStream::connect("127.0.0.1").await) })
    }),
    ("bind, a port in use", || {
        Box::pin(async {
            let taken = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            beginning(TcpListener::bind(taken.local_addr()?).await)
        })
    }),
    ("bind, an address not ours", || {
        Box::pin(async { beginning(TcpListener::bind(not_ours()).await) })
    }),
    ("bind_shared, an address not ours", || {
        Box::pin(async { beginning(TcpListener::bind_shared(not_ours())) })
    }),
    (
        "bind_shared, a port in use by one who does not share",
        || {
            Box::pin(async {
                let taken = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                beginning(TcpListener::bind_shared(taken.local_addr()?))
            })
        },
    ),
    ("accept, not listening", || {
        Box::pin(async {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            let listener = TcpListener::from_std(socket.into())?;
            beginning(listener.accept().await)
        })
    }),
];

fn beginning<T>(begun: io::Result<T>) -> io::Result<String> {
    begun.map(|_| "done".to_owned())
}

/// What came, or the kind of error.
fn said(answer: io::Result<String>) -> String {
    match answer {
        Ok(done) => done,
        // What the standard library has no kind for, it names by its number.
        Err(error) => match error.kind() {
            kind if format!("{kind:?}") == "Uncategorized" => format!("{:?}", error.raw_os_error()),
            kind => format!("{kind:?}"),
        },
    }
}

/// Writes down an answer.
async fn line(table: &mut String, name: &str, answer: Answer<'_>) {
    let answer = timeout(PATIENCE, answer).await;
    let answer = answer.unwrap_or_else(|_| panic!("{name}: it waits"));
    let answer = said(answer);
    writeln!(table, "{name}: {answer}").expect("a string takes all");
}

/// What one driver answers.
async fn table() -> String {
    let mut table = String::new();
    for circumstance in CIRCUMSTANCES {
        for operation in OPERATIONS {
            if operation.side == Side::Receives && !circumstance.receives {
                continue;
            }
            let name = format!("{}, {}", operation.name, circumstance.name);
            let (stream, peer) = (circumstance.make)().expect("a connection");
            let mut stream = TcpStream::from_std(stream).expect("taken over");
            line(&mut table, &name, (operation.run)(&mut stream)).await;
            if operation.side == Side::Receives {
                // The same again: what was told once, and what stays.
                if !matches!(circumstance.name, "bytes are there") {
                    let name = format!("{name}, again");
                    line(&mut table, &name, (operation.run)(&mut stream)).await;
                }
            }
            drop(peer);
        }
    }
    for (name, begin) in BEGINNINGS {
        line(&mut table, name, begin()).await;
    }
    table
}

#[test]
fn every_driver_answers_every_operation_alike_in_every_circumstance() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/errors.txt");
    let mut writes = std::env::var("ANNULET_GOLDEN").is_ok_and(|what| what == "write");
    let mut golden = include_str!("golden/errors.txt").to_owned();
    let mut failed = Vec::new();
    for variant in socket_variants() {
        let runtime = variant.builder().build().expect("a runtime");
        let table = runtime.block_on(table());
        if std::mem::take(&mut writes) {
            std::fs::write(&path, &table).expect("written");
            golden.clone_from(&table);
        }
        let other = table.lines().zip(golden.lines());
        let other = other.filter(|(ours, theirs)| ours != theirs);
        failed.extend(other.map(|(is, was)| format!("{}: {is}; the table: {was}", variant.name)));
        let (lines, expected) = (table.lines().count(), golden.lines().count());
        if lines != expected {
            failed.push(format!("{}: {lines} lines of {expected}", variant.name));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// So the table holds what the system says, and not what the first driver made of it.
#[test]
fn each_way_to_send_is_answered_as_the_plain_call_is() {
    let golden = include_str!("golden/errors.txt");
    for circumstance in CIRCUMSTANCES {
        let (stream, _peer) = (circumstance.make)().expect("a connection");
        let plain = said((&stream).write(b"sent").map(bytes));
        for way in [
            "write",
            "write_vectored",
            "write without a copy",
            "send_file",
        ] {
            let expected = format!("{way}, {}: {plain}", circumstance.name);
            assert!(golden.lines().any(|line| line == expected), "{expected}");
        }
    }
}
