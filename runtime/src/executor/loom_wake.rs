//! Model: two other threads wake one task, which must get to see what each did before its wake.
//!
//! Whether the wakes are coalesced, or fall before, into or after a poll, the last poll must find
//! both flags up. A lost wake, or a write that a coalesced wake did not carry over, shows as a
//! deadlock. Weakened by `ANNULET_WEAKEN=coalesce`, by `push` and by `sleep`.

use std::cell::Cell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::task::Poll;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::loom_support::{executor, model, run_until};

#[test]
fn loom_two_foreign_wakers_and_an_owner_that_sleeps_lose_no_wake() {
    model(|| {
        let (executor, bed) = executor();
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let done = Rc::new(Cell::new(false));
        let (seen, end) = (Arc::clone(&flags), Rc::clone(&done));
        let (started, threads) = channel();
        let mut first = true;
        drop(executor.spawn(
            std::future::poll_fn(move |cx| {
                if std::mem::take(&mut first) {
                    for index in 0..2 {
                        let (flags, waker) = (Arc::clone(&seen), cx.waker().clone());
                        let thread = thread::spawn(move || {
                            // Relaxed: the wake is what has to carry it over.
                            flags[index].store(true, Ordering::Relaxed);
                            waker.wake();
                        });
                        started.send(thread).expect("the receiver lives");
                    }
                    return Poll::Pending;
                }
                if !seen.iter().all(|flag| flag.load(Ordering::Relaxed)) {
                    return Poll::Pending;
                }
                end.set(true);
                Poll::Ready(())
            }),
            None,
            None,
            Location::caller(),
        ));
        run_until(&executor, &bed, || done.get());
        threads.try_iter().for_each(|thread| thread.join().unwrap());
    });
}
