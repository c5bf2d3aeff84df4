//! Model: a shutdown races with wakes and messages from other threads.
//!
//! What was pushed in time is let go by the shutdown, what comes later is refused and taken back;
//! in each execution all cells are freed, and so is the owner. Weakened by `ANNULET_WEAKEN=close`.

use std::panic::Location;
use std::task::Poll;

use loom::sync::Arc;
use loom::thread;

use super::loom_support::{executor, model};

#[test]
fn loom_a_shutdown_races_with_two_foreign_wakes() {
    model(|| {
        let (executor, _bed) = executor();
        let (sender, receiver) = std::sync::mpsc::channel();
        for _ in 0..2 {
            let sender = sender.clone();
            drop(executor.spawn(
                std::future::poll_fn(move |cx| {
                    let _sent = sender.send(cx.waker().clone());
                    Poll::<()>::Pending
                }),
                None,
                None,
                Location::caller(),
            ));
        }
        let _end = executor.run(|_| false);
        let threads: Vec<_> = receiver
            .try_iter()
            .map(|waker| thread::spawn(move || waker.wake()))
            .collect();
        executor.shutdown();
        drop(executor);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn loom_a_message_is_run_or_dropped_or_given_back() {
    model(|| {
        let (executor, _bed) = executor();
        let token = Arc::new(());
        let (remote, sent) = (executor.remote(), Arc::clone(&token));
        let thread = thread::spawn(move || {
            let _refused = remote.send(Box::new(move || drop(sent)));
        });
        executor.drain_inbox();
        drop(executor);
        thread.join().unwrap();
        assert_eq!(Arc::strong_count(&token), 1);
    });
}
