//! Model: two threads send messages to an owner that goes to sleep whenever it finds nothing.
//!
//! A lost wake-up shows as a deadlock. Weakened by `ANNULET_WEAKEN=sleep`.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::loom_support::{executor, model, run_until};

#[test]
fn loom_no_message_of_two_producers_finds_the_owner_asleep() {
    model(|| {
        let (executor, bed) = executor();
        let arrived = Arc::new(AtomicUsize::new(0));
        let producers: Vec<_> = (0..2)
            .map(|_| {
                let remote = executor.remote();
                let arrived = Arc::clone(&arrived);
                thread::spawn(move || {
                    let message = move || {
                        arrived.fetch_add(1, Ordering::Relaxed);
                    };
                    assert!(remote.send(Box::new(message)).is_ok());
                })
            })
            .collect();
        run_until(&executor, &bed, || arrived.load(Ordering::Relaxed) == 2);
        producers
            .into_iter()
            .for_each(|producer| producer.join().unwrap());
    });
}

#[test]
fn loom_a_waker_finds_the_owner_asleep_and_wakes_it() {
    model(|| {
        let (executor, bed) = executor();
        let done = Rc::new(Cell::new(false));
        let end = Rc::clone(&done);
        let mut waking = None;
        let mut handle = executor.spawn(
            std::future::poll_fn(move |cx| {
                if waking.is_some() {
                    end.set(true);
                    return Poll::Ready(waking.take());
                }
                let waker = cx.waker().clone();
                waking = Some(thread::spawn(move || waker.wake()));
                Poll::Pending
            }),
            None,
            None,
            std::panic::Location::caller(),
        );
        run_until(&executor, &bed, || done.get());
        let output = Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(Some(thread))) = output else {
            panic!("the task is complete")
        };
        thread.join().unwrap();
    });
}
