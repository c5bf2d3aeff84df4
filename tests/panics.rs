//! A panic anywhere in a user's code: the shard lives and serves on, and whoever waits hears of it.
#![cfg(unix)]

use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::op::{Op, Ready, Shared};
use annulet::time::{sleep, timeout};
use annulet::{Context, Interest, Runtime};

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "planned: {} dropped", self.0);
    }
}

/// A waker that panics.
struct Alarm;

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        panic!("planned: woken");
    }
}

/// A socket that panics when it is closed.
struct Brittle {
    stream: UnixStream,
    _bomb: Bomb,
}

impl AsFd for Brittle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The shard still does all it is there for, and has lost no slot.
fn serves_on(runtime: &Runtime) {
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("bound");
        let address = listener.local_addr().expect("bound");
        let server = annulet::spawn(async move {
            let (stream, _) = listener.accept().await.expect("accepted");
            let message = stream.recv().await.expect("received").expect("not the end");
            stream.write_all(message).await.expect("sent");
        });
        let client = TcpStream::connect(address).await.expect("connected");
        client.write_all(b"alive").await.expect("sent");
        let answer = timeout(Duration::from_secs(10), client.recv()).await;
        let answer = answer.expect("in time").expect("received");
        assert_eq!(&*answer.expect("not the end"), b"alive");
        server.await.expect("no panic");
        sleep(Duration::from_millis(1)).await;
        assert_eq!(annulet::spawn_blocking(|| 42).await.expect("no panic"), 42);
        drop(client);
        let driver = Context::current().driver().clone();
        let settled = async {
            while driver.in_flight() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let settled = timeout(Duration::from_secs(10), settled).await;
        settled.expect("every slot becomes vacant");
    });
}

/// Polls once with a waker that panics.
fn poll_alarmed<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::new(Alarm));
    future.poll(&mut TaskContext::from_waker(&waker))
}

#[test]
fn a_panic_in_a_task_ends_that_task_and_is_reported() {
    annulet::for_each_driver(|runtime| {
        let error = runtime.block_on(async {
            let task = annulet::spawn(async {
                annulet::yield_now().await;
                panic!("planned: in a task")
            });
            task.await.expect_err("it panicked")
        });
        assert!(error.is_panic());
        assert!(error.to_string().contains("planned: in a task"));
        serves_on(runtime);
    });
}

#[test]
fn a_panic_that_nobody_joins_goes_to_the_hook() {
    annulet::for_each_driver(|runtime| {
        let heard = std::rc::Rc::new(std::cell::Cell::new(0));
        let hears = std::rc::Rc::clone(&heard);
        runtime.set_unhandled(move |_task, _payload| hears.set(hears.get() + 1));
        runtime.block_on(async {
            drop(annulet::spawn(async { panic!("planned: detached") }));
            for _ in 0..3 {
                annulet::yield_now().await;
            }
        });
        assert_eq!(heard.get(), 1);
        serves_on(runtime);
    });
}

#[test]
fn a_panic_in_the_drop_of_an_aborted_task_is_reported() {
    annulet::for_each_driver(|runtime| {
        let error = runtime.block_on(async {
            let task = annulet::spawn(async {
                let _bomb = Bomb("a future");
                std::future::pending::<()>().await;
            });
            annulet::yield_now().await;
            task.abort();
            task.await.expect_err("it did not complete")
        });
        assert!(error.is_panic(), "{error}");
        serves_on(runtime);
    });
}

#[test]
fn a_panic_in_the_drop_of_an_output_stays_with_whoever_drops_it() {
    annulet::for_each_driver(|runtime| {
        let dropped = runtime.block_on(async {
            let task = annulet::spawn(async { Bomb("an output") });
            annulet::yield_now().await;
            assert!(task.is_finished());
            let drops = annulet::spawn(async move { drop(task) });
            drops.await
        });
        // Whether the handle's drop passes it on or keeps it, the shard is none the worse.
        if let Err(error) = dropped {
            assert!(error.is_panic());
        }
        serves_on(runtime);
    });
}

#[test]
fn a_waker_that_panics_on_a_completion_stops_nothing() {
    annulet::for_each_driver(|runtime| {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        runtime.block_on(async {
            let driver = Context::current().driver().clone();
            let near = Shared::new(&driver, near);
            let ready = || Ready::new(&near, Interest::Readable).expect("it can be watched");
            let mut alarmed = Op::new(&driver, ready());
            let mut other = Op::new(&driver, ready());
            assert!(poll_alarmed(Pin::new(&mut alarmed)).is_pending());
            let other = annulet::spawn(async move { Pin::new(&mut other).await });
            annulet::yield_now().await;
            far.write_all(b"!").expect("room");
            let answer = timeout(Duration::from_secs(10), other).await;
            answer.expect("woken").expect("no panic").expect("readable");
            alarmed.await.expect("readable as well");
        });
        serves_on(runtime);
    });
}

#[test]
fn a_waker_that_panics_on_a_timer_stops_no_other_timer() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let mut alarmed = pin!(sleep(Duration::from_millis(1)));
            assert!(poll_alarmed(alarmed.as_mut()).is_pending());
            let others: Vec<_> = (0..4)
                .map(|_| annulet::spawn(sleep(Duration::from_millis(1))))
                .collect();
            for other in others {
                let answer = timeout(Duration::from_secs(10), other).await;
                answer.expect("woken").expect("no panic");
            }
        });
        serves_on(runtime);
    });
}

#[test]
fn a_waker_that_panics_on_the_end_of_a_task_or_a_call_stops_nothing() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let mut task = annulet::spawn(annulet::yield_now());
            assert!(poll_alarmed(Pin::new(&mut task)).is_pending());
            for _ in 0..3 {
                annulet::yield_now().await;
            }
            task.await.expect("it ended");
            let (go, gone) = std::sync::mpsc::channel::<()>();
            let mut call = annulet::spawn_blocking(move || gone.recv().is_err());
            assert!(poll_alarmed(Pin::new(&mut call)).is_pending());
            drop(go);
            while !annulet::spawn_blocking(|| true).await.expect("no panic") {}
            assert!(call.await.expect("no panic of its own"));
        });
        serves_on(runtime);
    });
}

#[test]
fn a_panic_in_a_blocking_call_is_carried_back() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let calls: Vec<_> = (0..8)
                .map(|_| annulet::spawn_blocking(|| panic!("planned: in a call")))
                .collect();
            for call in calls {
                let error = call.await.expect_err("it panicked");
                assert!(error.is_panic());
            }
        });
        serves_on(runtime);
    });
}

#[test]
fn a_panic_in_the_drop_of_a_payload_stays_inside() {
    annulet::for_each_driver(|runtime| {
        let (near, far) = UnixStream::pair().expect("a pair");
        runtime.block_on(async {
            let driver = Context::current().driver().clone();
            let near = Shared::new(
                &driver,
                Brittle {
                    stream: near,
                    _bomb: Bomb("a socket"),
                },
            );
            let ready = Ready::new(&near, Interest::Readable).expect("it can be watched");
            let mut op = Op::new(&driver, ready);
            // The operation in flight is the last to hold the socket.
            drop(near);
            let mut cx = TaskContext::from_waker(Waker::noop());
            assert!(Pin::new(&mut op).poll(&mut cx).is_pending());
            // Without a ring the operation's own drop is the socket's, and panics; else the driver
            // drops it, later.
            let _dropped = catch_unwind(AssertUnwindSafe(|| drop(op)));
        });
        drop(far);
        serves_on(runtime);
    });
}

#[test]
fn a_panic_in_a_call_for_the_shard_stays_inside() {
    annulet::for_each_driver(|runtime| {
        let handle = runtime.handle();
        handle
            .call(|| panic!("planned: in a call"))
            .expect("it runs");
        serves_on(runtime);
    });
}

#[test]
fn a_panic_in_the_root_future_leaves_the_runtime_usable() {
    annulet::for_each_driver(|runtime| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                annulet::yield_now().await;
                panic!("planned: at the root")
            })
        }));
        assert!(caught.is_err());
        serves_on(runtime);
    });
}

#[test]
fn panics_in_drops_at_the_end_of_a_runtime_do_not_stop_the_end() {
    annulet::for_each_driver(|outer| {
        let choice = match outer.driver().kind {
            annulet::DriverKind::Uring => annulet::Choice::Uring,
            _ => annulet::Choice::Poll,
        };
        let runtime = annulet::Builder::new()
            .driver(choice)
            .build()
            .expect("a runtime");
        let survivor = runtime.spawn(async { 7 });
        for _ in 0..3 {
            runtime.spawn(async {
                let _bomb = Bomb("a task at the end");
                std::future::pending::<()>().await;
            });
        }
        runtime.block_on(annulet::yield_now());
        drop(runtime);
        assert!(survivor.is_finished());
        serves_on(outer);
    });
}
