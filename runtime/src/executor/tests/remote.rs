//! Messages and spawns from other threads.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::{Census, OnDrop, executor, run, spawn, unhandled};
use crate::executor::Remote;
use crate::task::{JoinError, RemoteJoinHandle, yield_now};

struct Unparker(thread::Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on a thread without executor.
fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unparker(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

fn now<T>(handle: RemoteJoinHandle<T>) -> Result<T, JoinError> {
    assert!(handle.is_finished());
    wait(handle)
}

fn spawn_remote<F, Fut>(remote: &Remote, make: F) -> RemoteJoinHandle<Fut::Output>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: Send + 'static,
{
    remote.spawn(make, Some("remote"), std::panic::Location::caller())
}

#[test]
fn messages_run_in_order_on_the_owners_thread() {
    let executor = executor();
    let log = Arc::new(Mutex::new(Vec::new()));
    for number in 0..1000 {
        let log = Arc::clone(&log);
        let message = move || log.lock().unwrap().push((number, thread::current().id()));
        assert!(executor.remote().send(Box::new(message)).is_ok());
    }
    let mut drains = 0;
    while executor.inbox_pending() {
        assert!(executor.drain_inbox());
        drains += 1;
    }
    assert_eq!(drains, 4, "a drain runs 256 of them");
    let here = thread::current().id();
    let expected: Vec<_> = (0..1000).map(|number| (number, here)).collect();
    assert_eq!(*log.lock().unwrap(), expected);
}

#[test]
fn a_backlog_of_messages_forbids_sleep() {
    let executor = executor();
    for _ in 0..300 {
        assert!(executor.remote().send(Box::new(|| ())).is_ok());
    }
    executor.drain_inbox();
    assert!(!executor.prepare_park());
    executor.drain_inbox();
    assert!(executor.prepare_park());
}

#[test]
fn a_message_that_panics_is_reported() {
    let executor = executor();
    let heard = unhandled(&executor);
    assert!(
        executor
            .remote()
            .send(Box::new(|| panic!("message")))
            .is_ok()
    );
    run(&executor);
    assert_eq!(*heard.borrow(), ["message"]);
}

#[test]
fn a_message_is_refused_after_the_shutdown_and_dropped_by_it() {
    let executor = executor();
    let remote = executor.remote();
    assert!(!remote.is_shut_down());
    let (sender, receiver) = channel::<()>();
    assert!(
        remote
            .send(Box::new(move || sender.send(()).unwrap()))
            .is_ok()
    );
    drop(executor);
    assert!(receiver.recv().is_err(), "dropped unrun");
    assert!(remote.is_shut_down());
    let refused = remote.send(Box::new(|| ()));
    assert!(refused.is_err());
}

#[test]
fn a_remote_spawn_gives_its_output_to_another_thread() {
    let executor = executor();
    let remote = executor.remote();
    let here = thread::current().id();
    let (sender, receiver) = channel();
    let waiter = thread::spawn(move || {
        let handle = spawn_remote(&remote, || {
            // Not `Send`, and made where it is used.
            let state = Rc::new(Cell::new(20));
            async move {
                yield_now().await;
                state.set(state.get() + 1);
                (state.get(), thread::current().id())
            }
        });
        sender.send(()).unwrap();
        wait(handle)
    });
    receiver.recv().unwrap();
    run(&executor);
    assert_eq!(waiter.join().unwrap().unwrap(), (21, here));
    assert_eq!(
        executor.meter().tasks.read().merges,
        0,
        "its own waker was dropped before the end"
    );
}

#[test]
fn a_remote_spawn_can_be_aborted_at_any_time() {
    for polls_before in 0..3 {
        let executor = executor();
        let (sender, receiver) = channel();
        let handle = spawn_remote(&executor.remote(), move || async move {
            let _guard = OnDrop(move || sender.send(thread::current().id()).unwrap());
            std::future::pending::<()>().await;
        });
        for _ in 0..polls_before {
            run(&executor);
        }
        let handle = thread::spawn(|| {
            handle.abort();
            handle.abort();
            handle
        })
        .join()
        .unwrap();
        assert_eq!(handle.is_finished(), false);
        run(&executor);
        let error = now(handle).unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.id().is_some(), polls_before > 0);
        let drops: Vec<_> = receiver.try_iter().collect();
        let expected = if polls_before == 0 {
            vec![]
        } else {
            vec![thread::current().id()]
        };
        assert_eq!(drops, expected);
        assert_eq!(executor.live(), 0);
    }
}

#[test]
fn an_abort_after_the_end_changes_nothing() {
    let executor = executor();
    let handle = spawn_remote(&executor.remote(), || async { 5 });
    run(&executor);
    handle.abort();
    run(&executor);
    assert_eq!(now(handle).unwrap(), 5);
}

#[test]
fn a_remote_task_dropped_at_shutdown_says_cancelled() {
    let census = Census::start();
    let executor = executor();
    let remote = executor.remote();
    let started = spawn_remote(&remote, std::future::pending::<()>);
    run(&executor);
    assert_eq!(started.meta().unwrap().name(), Some("remote"));
    let queued = spawn_remote(&remote, std::future::pending::<()>);
    drop(executor);
    let late = spawn_remote(&remote, std::future::pending::<()>);
    for handle in [started, queued, late] {
        handle.abort();
        assert!(now(handle).unwrap_err().is_cancelled());
    }
    census.end(0);
}

#[test]
fn the_answer_comes_after_the_drop_of_the_future() {
    let executor = executor();
    let (sender, receiver) = channel();
    let handle = spawn_remote(&executor.remote(), move || async move {
        let guard = OnDrop(move || sender.send(()).unwrap());
        std::future::poll_fn(|_| Poll::Ready(())).await;
        drop(guard);
    });
    run(&executor);
    assert!(handle.is_finished());
    assert!(receiver.try_recv().is_ok());
}

#[test]
fn panics_of_remote_tasks_are_joined_or_reported() {
    let executor = executor();
    let heard = unhandled(&executor);
    let remote = executor.remote();
    let joined = spawn_remote(&remote, || async { panic!("joined") });
    let in_make = spawn_remote(&remote, || -> std::future::Ready<()> { panic!("make") });
    let detached = spawn_remote(&remote, || async { panic!("detached") });
    let unread = spawn_remote(&remote, || async { panic!("unread") });
    drop(detached);
    run(&executor);
    let text = |error: JoinError| *error.into_panic().downcast::<&str>().unwrap();
    assert_eq!(now(joined).map(|(): ()| ()).map_err(text), Err("joined"));
    assert_eq!(now(in_make).map_err(text), Err("make"));
    assert_eq!(*heard.borrow(), ["detached"]);
    thread::spawn(move || drop(unread)).join().unwrap();
    run(&executor);
    assert_eq!(*heard.borrow(), ["detached", "unread"]);
}

#[test]
fn a_panic_while_a_remote_future_is_dropped_spoils_nothing() {
    let executor = executor();
    let heard = unhandled(&executor);
    let remote = executor.remote();
    let make = |body: fn() -> Poll<()>| {
        move || {
            let guard = OnDrop(|| panic!("drop"));
            let mut done = false;
            std::future::poll_fn(move |_| {
                let _in_it = &guard;
                assert!(!std::mem::replace(&mut done, true));
                body()
            })
        }
    };
    let returns = spawn_remote(&remote, make(|| Poll::Ready(())));
    let waits = spawn_remote(&remote, make(|| Poll::Pending));
    run(&executor);
    // It is dropped within the poll that ends it, so its panic is that poll's.
    assert!(now(returns).unwrap_err().is_panic());
    assert!(heard.borrow().is_empty());
    executor.shutdown();
    assert!(now(waits).unwrap_err().is_cancelled());
    assert_eq!(*heard.borrow(), ["drop"]);
}

#[test]
fn a_remote_handle_can_be_awaited_by_a_task() {
    let (first, second) = (executor(), executor());
    let handle = spawn_remote(&first.remote(), || async { 8 });
    let local = spawn(&second, handle);
    run(&second);
    assert!(!local.is_finished());
    run(&first);
    assert!(second.inbox_pending());
    run(&second);
    assert_eq!(super::block_on(&second, local).unwrap().unwrap(), 8);
}
