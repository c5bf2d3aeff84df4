//! Readiness of descriptors that are used directly.
#![cfg(unix)]

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulet::AsyncFd;
use annulet::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// Polls a future once.
async fn once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// A socket that does not block, in the care of the shard, and its peer.
fn pair() -> (AsyncFd<UnixStream>, UnixStream) {
    let (near, far) = UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("a socket");
    (AsyncFd::new(near).expect("it can be watched"), far)
}

#[test]
fn readiness_lasts_until_it_is_used_up() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let (near, mut far) = pair();
            for round in 0..3 {
                {
                    let mut waits = pin!(near.readable());
                    assert!(
                        once(waits.as_mut()).await.is_none(),
                        "round {round}: nothing is there"
                    );
                    far.write_all(b"ab").expect("room");
                    timeout(PATIENCE, waits)
                        .await
                        .expect("in time")
                        .expect("readable");
                }
                let mut byte = [0];
                for _ in 0..2 {
                    // Asked again and again while there is something: ready each time.
                    for _ in 0..3 {
                        let ready = timeout(PATIENCE, near.readable()).await;
                        ready.expect("it is ready already").expect("readable");
                    }
                    near.get_ref().read_exact(&mut byte).expect("a byte");
                }
            }
        });
    });
}

#[test]
fn a_wait_that_was_dropped_takes_no_readiness_with_it() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let (near, mut far) = pair();
            for _ in 0..20 {
                {
                    let mut waits = pin!(near.readable());
                    assert!(once(waits.as_mut()).await.is_none(), "nothing is there");
                    far.write_all(b"!").expect("room");
                }
                annulet::yield_now().await;
                let read = near.read_with(|mut stream| stream.read(&mut [0; 8]));
                assert_eq!(
                    timeout(PATIENCE, read)
                        .await
                        .expect("in time")
                        .expect("read"),
                    1
                );
            }
        });
    });
}

#[test]
fn both_directions_and_several_tasks_wait_at_once() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let (near, mut far) = pair();
            let near = Rc::new(near);
            let mut filled = 0_u64;
            loop {
                match near.get_ref().write(&[0; 4096]) {
                    Ok(bytes) => filled += bytes as u64,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            let heard = Rc::new(Cell::new(0));
            let tasks: Vec<_> = (0..4)
                .map(|number| {
                    let (near, heard) = (Rc::clone(&near), Rc::clone(&heard));
                    annulet::spawn(async move {
                        if number % 2 == 0 {
                            near.readable().await.expect("readable");
                        } else {
                            near.writable().await.expect("writable");
                        }
                        heard.set(heard.get() + 1);
                    })
                })
                .collect();
            annulet::yield_now().await;
            assert_eq!(heard.get(), 0, "neither is ready");
            far.write_all(b"!").expect("room");
            while heard.get() < 2 {
                timeout(PATIENCE, near.readable())
                    .await
                    .expect("in time")
                    .expect("readable");
                annulet::yield_now().await;
            }
            assert_eq!(heard.get(), 2, "only the readers");
            io::copy(&mut (&mut far).take(filled), &mut io::sink()).expect("all of it");
            for task in tasks {
                timeout(PATIENCE, task)
                    .await
                    .expect("in time")
                    .expect("no panic");
            }
        });
    });
}

#[test]
fn a_call_is_made_until_it_finds_something() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let (here, there) = UnixDatagram::pair().expect("a pair");
            here.set_nonblocking(true).expect("a socket");
            there.set_nonblocking(true).expect("a socket");
            let (here, there) = (AsyncFd::new(here), AsyncFd::new(there));
            let (here, there) = (here.expect("watched"), there.expect("watched"));
            let sender = annulet::spawn(async move {
                // More than fits: the sender waits for room in between.
                for number in 0..2000_u32 {
                    let sent = here.write_with(|socket| socket.send(&number.to_le_bytes()));
                    assert_eq!(sent.await.expect("sent"), 4);
                }
            });
            for number in 0..2000_u32 {
                let mut space = [0; 4];
                let received = there.read_with(|socket| socket.recv(&mut space));
                let received = timeout(PATIENCE, received).await.expect("in time");
                assert_eq!(received.expect("received"), 4);
                assert_eq!(u32::from_le_bytes(space), number);
            }
            sender.await.expect("no panic");
        });
    });
}

#[test]
fn the_end_and_errors_of_the_call_are_told() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let (near, far) = pair();
            {
                let mut waits = pin!(near.readable());
                assert!(once(waits.as_mut()).await.is_none(), "nothing is there");
                drop(far);
                timeout(PATIENCE, waits)
                    .await
                    .expect("in time")
                    .expect("the end");
            }
            let end = near.read_with(|mut stream| stream.read(&mut [0; 8])).await;
            assert_eq!(end.expect("the end"), 0);
            let failed = near.write_with(|mut stream| stream.write(b"gone")).await;
            assert_eq!(
                failed.expect_err("nobody reads").kind(),
                io::ErrorKind::BrokenPipe
            );
            let stream = near.try_into_inner().expect("nothing is under way");
            stream.set_nonblocking(false).expect("it is open");
        });
    });
}
