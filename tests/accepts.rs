//! Accepts that are given up: every client is served or is told, and no descriptor is lost.
//!
//! Clients come from threads of their own, some at a time, and each asks with one byte and wants
//! one byte, or the end. Meanwhile accepts are given up at points drawn by lot, and now and then
//! the listener is dropped with its accept armed and bound again to its port at once.
//!
//! A client that said nothing could wait for ever, whoever listens: where a listener closes in the
//! middle of a handshake, Linux may leave the client connected to nobody, and only what it sends
//! brings the reset.
//!
//! `ANNULET_LONG` makes it a hundred thousand accepts on each driver; `ANNULET_TEST_SEED` repeats
//! the lots.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod fds;
    pub(crate) mod fds_back;
    pub(crate) mod long;
    pub(crate) mod random;
    pub(crate) mod socket_variants;
    pub(crate) mod variants;
}

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use annulet::net::{TcpListener, TcpStream};
use annulet::time::timeout;
use annulet::{select, spawn, yield_now};
use socket2::SockRef;
use support::fds::open_fds;
use support::fds_back::fds_are_back_to;
use support::long;
use support::random::{Random, seed};
use support::socket_variants::socket_variants;

/// How long anything may take that does not wait for us, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Threads of clients, and how many connections each has at a time.
const CLIENTS: usize = 2;
const AT_ONCE: usize = 12;

/// What became of the connections.
#[derive(Clone, Copy, Debug, Default)]
struct Fates {
    served: u64,
    /// The end, a reset or a refusal: the listener went.
    told: u64,
    /// Gave up by themselves, answered or not.
    gone: u64,
}

/// Connects until told to stop. A client that hears nothing fails the test.
fn clients(address: SocketAddr, stop: &AtomicBool) -> Fates {
    let mut fates = Fates::default();
    let connect = |_| StdStream::connect(address);
    while !stop.load(Ordering::Relaxed) {
        let under_way: Vec<_> = (0..AT_ONCE).map(connect).collect();
        for client in under_way {
            match client.and_then(hears) {
                // A machine that is stopped and goes on ends the waits of whoever set a limit.
                Err(error) if error.kind() == ErrorKind::Interrupted => fates.gone += 1,
                Ok(true) => fates.served += 1,
                Ok(false) => fates.told += 1,
                Err(error) if is_telling(&error) => fates.told += 1,
                Err(error) => panic!("a client hangs: {error}"),
            }
        }
    }
    fates
}

fn is_telling(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused | ErrorKind::BrokenPipe
    )
}

/// Whether an answer came before the end.
fn hears(mut client: StdStream) -> io::Result<bool> {
    client.set_read_timeout(Some(PATIENCE))?;
    // Closes with a reset: no port waits for late packets, and so none runs out.
    SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
    client.write_all(b"?")?;
    client.read(&mut [0; 1]).map(|read| read == 1)
}

/// One accept, which may be given up: `None`.
async fn accept(listener: &TcpListener, lots: &mut Random) -> io::Result<Option<TcpStream>> {
    let accepted = match lots.below(4) {
        0 => {
            let patience = Duration::from_micros(u64::from(lots.below(4) * 12));
            timeout(patience, listener.accept()).await.ok()
        }
        1 => select! {
            accepted = listener.accept() => Some(accepted),
            () = yield_now() => None,
        },
        2 => {
            let mut accept = pin!(listener.accept());
            match poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx))).await {
                Poll::Ready(accepted) => Some(accepted),
                Poll::Pending => None,
            }
        }
        _ => {
            yield_now().await;
            timeout(Duration::ZERO, listener.accept()).await.ok()
        }
    };
    Ok(accepted.transpose()?.map(|(stream, _)| stream))
}

async fn bind(address: SocketAddr) -> TcpListener {
    // Also that of a listener dropped a moment ago, with its accept armed.
    TcpListener::bind(address).await.expect("the port is free")
}

/// Connections that were taken, and those of them that have their answer, or are gone.
#[derive(Clone, Debug, Default)]
struct Taken(Rc<Cell<(u64, u64)>>);

impl Taken {
    /// Answers a connection, beside the accepts.
    fn take(&self, stream: TcpStream) {
        let (taken, answered) = self.0.get();
        self.0.set((taken + 1, answered));
        let counts = Rc::clone(&self.0);
        spawn(async move {
            if let Ok(Some(asked)) = stream.recv().await {
                assert_eq!(*asked, *b"?");
                let _gone = stream.write_all(b"!").await;
            }
            let (taken, answered) = counts.get();
            counts.set((taken, answered + 1));
        });
    }

    fn are_answered(&self) -> bool {
        let (taken, answered) = self.0.get();
        taken == answered
    }
}

/// Gives up so many accepts, and takes one at least. Says how many it took.
async fn serve(given_up: u32, stop: &AtomicBool, address: SocketAddr, mut lots: Random) -> u64 {
    let taken = Taken::default();
    let mut listener = bind(address).await;
    let mut left = given_up;
    // The first client may come late.
    while left > 0 || taken.0.get().0 == 0 {
        match accept(&listener, &mut lots).await.expect("accepted") {
            Some(stream) => taken.take(stream),
            None => left = left.saturating_sub(1),
        }
        if lots.once_in(2_000) {
            drop(listener);
            listener = bind(address).await;
        }
    }
    // Those who have connected by now are told by the end of the listener.
    stop.store(true, Ordering::Relaxed);
    drop(listener);
    let answered = async {
        while !taken.are_answered() {
            yield_now().await;
        }
    };
    let answered = timeout(PATIENCE, answered).await;
    assert!(answered.is_ok(), "a client does not ask: {taken:?}");
    taken.0.get().0
}

/// A port that nobody has at the moment, and that no client is given while its listener is gone:
/// such a client would even connect to itself, and keep the port.
fn free_port() -> SocketAddr {
    let first = std::process::id() % 12_000;
    let ports = (first..12_000).chain(0..first).map(|port| 20_000 + port);
    let free = ports.filter_map(|port| {
        let port = u16::try_from(port).ok()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        listener.local_addr().ok()
    });
    free.take(1).last().expect("one of many ports is free")
}

#[test]
fn every_client_of_accepts_that_are_given_up_is_served_or_told() {
    let seed = seed();
    for variant in socket_variants() {
        // What a driver keeps for the process is opened with the first runtime.
        drop(variant.builder().build().expect("a runtime"));
        let before = open_fds();
        let whole = ["poll", "uring"].contains(&variant.name.as_str());
        let given_up = if whole {
            long::count(30_000, 100_000)
        } else {
            4_000
        };
        let begun = Instant::now();
        let address = free_port();
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = variant.builder().build().expect("a runtime");
        let (threads, taken) = runtime.block_on(async {
            // Somebody listens before the first client comes.
            let server = serve(given_up, &stop, address, Random::new(seed));
            let mut server = pin!(server);
            let _begun = poll_fn(|cx| Poll::Ready(server.as_mut().poll(cx))).await;
            let clients = (0..CLIENTS).map(|_| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || clients(address, &stop))
            });
            let clients: Vec<_> = clients.collect();
            let taken = server.await;
            (clients, taken)
        });
        drop(runtime);
        let mut fates = Fates::default();
        for thread in threads {
            let of_thread = thread.join().expect("every client is served or told");
            fates.served += of_thread.served;
            fates.told += of_thread.told;
            fates.gone += of_thread.gone;
        }
        println!(
            "{}: {given_up} given up, {taken} taken, {fates:?}, {:?}",
            variant.name,
            begun.elapsed()
        );
        assert!(fates.served > 0, "{}: {fates:?}", variant.name);
        let served = fates.served..=fates.served + fates.gone;
        assert!(served.contains(&taken), "{}: {fates:?}", variant.name);
        fds_are_back_to(before, &variant.name);
    }
}
