//! The life of descriptors: numbers used again, listeners dropped, files opened for nobody, sockets
//! that outlive their runtime, ports that must be free.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::time::{Duration, Instant};

use annulet::fs::File;
use annulet::net::{TcpListener, TcpStream};
use annulet::time::{sleep, timeout};

use crate::support::drivers::for_each_builder;
use crate::support::fds::open_fds;
use crate::support::fds_back::fds_are_back_to;
use crate::support::streams::connected;
use crate::{PATIENCE, alone, once, settle};

/// Receives given up on one connection whose number the next one gets.
const CYCLES: u32 = 600;

/// Begins to receive, gives up at a point that depends on the cycle, and closes.
async fn receive_and_close(cycle: u32) -> (StdStream, i32) {
    let (peer, far) = connected().expect("loopback");
    let number = far.as_raw_fd();
    let stream = TcpStream::from_std(far).expect("taken over");
    if cycle.is_multiple_of(2) {
        let mut read = pin!(stream.read(vec![0; 64]));
        assert!(once(read.as_mut()).await.is_none());
        give_up(cycle).await;
    } else {
        let mut recv = pin!(stream.recv());
        assert!(once(recv.as_mut()).await.is_none());
        give_up(cycle).await;
    }
    (peer, number)
}

/// Before the entry is submitted; when it has been; when its cancel may have been.
async fn give_up(cycle: u32) {
    match cycle / 2 % 3 {
        0 => {}
        1 => annulet::yield_now().await,
        _ => sleep(Duration::from_micros(100)).await,
    }
}

#[test]
fn a_descriptor_used_again_gets_no_byte_of_its_predecessor() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        drop(builder.clone().build().expect("a runtime"));
        let before = open_fds();
        let runtime = builder.build().expect("a runtime");
        let reused = runtime.block_on(async {
            let mut reused = 0;
            let mut numbers = std::collections::HashSet::new();
            for cycle in 0..CYCLES {
                let (mut old, number) = receive_and_close(cycle).await;
                reused += u32::from(!numbers.insert(number));
                let (mut peer, far) = connected().expect("loopback");
                reused += u32::from(!numbers.insert(far.as_raw_fd()));
                let stream = TcpStream::from_std(far).expect("taken over");
                // The predecessor's peer may meet a closed connection; that is its own affair.
                let _reset = old.write(&[b'-'; 4]);
                peer.write_all(&cycle.to_le_bytes()).expect("room");
                let got = timeout(PATIENCE, stream.recv()).await;
                let got = got.expect("in time").expect("received");
                assert_eq!(
                    got.as_deref(),
                    Some(&cycle.to_le_bytes()[..]),
                    "{kind}: cycle {cycle}"
                );
            }
            settle(1).await;
            reused
        });
        assert!(
            reused > CYCLES,
            "{kind}: numbers were used again {reused} times"
        );
        assert_eq!(runtime.driver_stats().stale, 0);
        drop(runtime);
        fds_are_back_to(before, &kind.to_string());
    });
}

/// The end of the stream, or a reset: either way the client is told.
fn is_told(mut client: &StdStream) -> bool {
    client.set_read_timeout(Some(PATIENCE)).expect("set");
    match client.read(&mut [0; 8]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn connections_that_nobody_took_are_closed_with_their_listener() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        drop(builder.clone().build().expect("a runtime"));
        let before = open_fds();
        let runtime = builder.build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.expect("bound");
            let address = listener.local_addr().expect("bound");
            let mut clients = Vec::new();
            {
                let mut accept = pin!(listener.accept());
                assert!(once(accept.as_mut()).await.is_none());
                sleep(Duration::from_micros(100)).await;
                for _ in 0..20 {
                    clients.push(StdStream::connect(address).expect("somebody listens"));
                }
                sleep(Duration::from_millis(1)).await;
            }
            drop(listener);
            settle(0).await;
            for client in clients {
                assert!(is_told(&client), "{kind}: a client hangs");
            }
        });
        drop(runtime);
        fds_are_back_to(before, &kind.to_string());
    });
}

#[test]
fn the_port_of_a_dropped_listener_is_free_at_once_and_accepts_nobody() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        let runtime = builder.build().expect("a runtime");
        runtime.block_on(async {
            let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            for round in 0..20 {
                let listener = TcpListener::bind(address).await;
                let listener = listener.unwrap_or_else(|error| {
                    panic!("{kind}: round {round}: {error}");
                });
                address = listener.local_addr().expect("bound");
                let mut accept = pin!(listener.accept());
                assert!(once(accept.as_mut()).await.is_none());
                if round % 2 == 0 {
                    sleep(Duration::from_micros(100)).await;
                }
            }
            let refused = StdStream::connect(address).expect_err("nobody listens");
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{kind}");
        });
    });
}

#[test]
fn a_port_in_use_by_another_is_still_refused() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        let runtime = builder.build().expect("a runtime");
        let taken = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
        let address = taken.local_addr().expect("bound");
        let refused = runtime.block_on(TcpListener::bind(address));
        let error = refused.expect_err("the port is taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{kind}");
    });
}

#[test]
fn the_port_of_a_runtime_that_is_gone_is_free_at_once() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        drop(builder.clone().build().expect("a runtime"));
        let before = open_fds();
        let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for round in 0..50 {
            let runtime = builder.clone().build().expect("a runtime");
            address = runtime.block_on(async {
                let listener = TcpListener::bind(address).await;
                let listener =
                    listener.unwrap_or_else(|error| panic!("{kind}: round {round}: {error}"));
                let address = listener.local_addr().expect("bound");
                annulet::spawn(async move { listener.accept().await.map(drop) });
                for _ in 0..round % 4 {
                    sleep(Duration::from_micros(50)).await;
                }
                address
            });
        }
        fds_are_back_to(before, &kind.to_string());
    });
}

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("coreutils").success());
}

#[test]
fn a_file_opened_for_nobody_is_closed() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        make_fifo(&path);
        let runtime = builder.build().expect("a runtime");
        let before = open_fds();
        let writer = runtime.block_on(async {
            // Opening a FIFO to read waits, on a thread of the pool, for one who writes.
            let mut open = pin!(File::open(&path));
            assert!(once(open.as_mut()).await.is_none());
            let deadline = Instant::now() + PATIENCE;
            loop {
                let writer = std::fs::OpenOptions::new()
                    .write(true)
                    .custom_flags(libc::O_NONBLOCK)
                    .open(&path);
                match writer {
                    // Given up now, with the call on its way back.
                    Ok(writer) => break writer,
                    Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENXIO)),
                }
                assert!(Instant::now() < deadline, "the call does not begin");
                std::thread::yield_now();
            }
        });
        drop(writer);
        fds_are_back_to(before, &kind.to_string());
    });
}

#[test]
fn what_outlives_its_runtime_closes_its_descriptors_when_dropped() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        drop(builder.clone().build().expect("a runtime"));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, b"bytes").expect("written");
        let before = open_fds();
        let runtime = builder.build().expect("a runtime");
        let outliving = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.expect("bound");
            assert!(once(pin!(listener.accept())).await.is_none());
            let (peer, far) = connected().expect("loopback");
            let stream = TcpStream::from_std(far).expect("taken over");
            assert!(once(pin!(stream.recv())).await.is_none());
            annulet::yield_now().await;
            let file = File::open(&path).await.expect("there");
            (listener, stream, peer, file)
        });
        drop(runtime);
        drop(outliving);
        fds_are_back_to(before, &kind.to_string());
    });
}
