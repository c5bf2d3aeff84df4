//! Models of the locks between threads: nothing that is given is lost, whoever gives up meanwhile.
//!
//! A permit, a lock or a notification that is lost leaves somebody waiting, which loom reports as a
//! deadlock. Weakened by `ANNULET_WEAKEN=hand_on`, where a waiter that gives up keeps what it was
//! granted, and by `look_again`, where a waiter queues without looking whether it still must.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;

use super::shared::{
    Barrier, BarrierWaitResult, CancellationToken, Condition, Event, Mutex, Notify, OnceCell,
    RwLock, Semaphore,
};

/// A sleep that loom understands.
struct Bed(loom::sync::Notify);

impl Wake for Bed {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Runs a future on this thread, which sleeps while the future waits.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let bed = Arc::new(Bed(loom::sync::Notify::new()));
    let waker = Waker::from(Arc::clone(&bed));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        bed.0.wait();
    }
}

/// Polls a future once, which has to wait.
pub(super) fn wait<F: Future>(future: F) -> std::pin::Pin<Box<F>> {
    let mut future = Box::pin(future);
    let polled = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    future
}

#[test]
fn loom_no_permit_of_two_threads_is_lost_when_a_waiter_gives_up() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let threads = [0; 2].map(|_| {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.add_permits(1))
        });
        let gives_up = semaphore.acquire();
        let mut gives_up = Box::pin(gives_up);
        let polled = gives_up
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        drop(gives_up);
        let both = block_on(semaphore.acquire_many(if polled.is_ready() { 1 } else { 2 }));
        drop((both, polled));
        assert_eq!(semaphore.available_permits(), 2);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn loom_a_permit_goes_to_the_next_when_the_first_gives_up() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let (first, second) = (wait(semaphore.acquire()), wait(semaphore.acquire()));
        let threads = [0; 2].map(|_| {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.add_permits(1))
        });
        drop(first);
        drop(block_on(second));
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn loom_an_update_under_the_lock_is_never_lost() {
    loom::model(|| {
        let mutex = Arc::new(Mutex::new(0));
        let held = block_on(mutex.lock());
        let gives_up = wait(mutex.lock());
        let threads = [0; 2].map(|_| {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || *block_on(mutex.lock()) += 1)
        });
        drop(held);
        drop(gives_up);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(*block_on(mutex.lock()), 2);
    });
}

#[test]
fn loom_no_notification_of_two_threads_is_lost_when_a_waiter_gives_up() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let (first, second) = (wait(notify.notified()), wait(notify.notified()));
        let threads = [0; 2].map(|_| {
            let notify = Arc::clone(&notify);
            thread::spawn(move || notify.notify_one())
        });
        drop(first);
        block_on(second);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        // The one that the first had, or would have had, was kept.
        block_on(notify.notified());
    });
}

#[test]
fn loom_an_event_set_while_somebody_begins_to_wait_is_seen() {
    loom::model(|| {
        let event = Arc::new(Event::new());
        let setter = Arc::clone(&event);
        let thread = thread::spawn(move || setter.set());
        block_on(event.wait());
        thread.join().unwrap();
    });
}

#[test]
fn loom_a_reader_behind_a_writer_that_gives_up_comes_in() {
    loom::model(|| {
        let lock = Arc::new(RwLock::new(0));
        let held = block_on(lock.write());
        let (writer, reader) = (wait(lock.write()), wait(lock.read()));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || *block_on(other.write()) += 1);
        let giver = thread::spawn({
            let lock = Arc::clone(&lock);
            // Readers come and go on a third thread.
            move || drop(lock.try_read())
        });
        drop(held);
        drop(writer);
        drop(block_on(reader));
        thread.join().unwrap();
        giver.join().unwrap();
        assert_eq!(*block_on(lock.read()), 1);
    });
}

#[test]
fn loom_a_word_for_a_waiter_that_gives_up_goes_to_the_next() {
    loom::model(|| {
        let stock = Arc::new((Mutex::new(0), Condition::new()));
        let (amount, changed) = &*stock;
        let gives_up = wait(changed.wait(block_on(amount.lock())));
        let stays = wait(changed.wait_for(block_on(amount.lock()), |amount| *amount > 0));
        let threads = [true, false].map(|tells| {
            let stock = Arc::clone(&stock);
            thread::spawn(move || {
                *block_on(stock.0.lock()) += usize::from(tells);
                if tells {
                    stock.1.notify_one();
                }
            })
        });
        drop(gives_up);
        assert!(*block_on(stays) > 0);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn loom_nobody_stays_at_a_barrier_that_one_leaves_and_that_is_aborted() {
    loom::model(|| {
        let barrier = Arc::new(Barrier::new(2));
        let leaves = wait(barrier.wait());
        let threads = [0; 2].map(|_| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || block_on(barrier.wait()))
        });
        drop(leaves);
        barrier.abort();
        let passed = threads.map(|thread| thread.join().unwrap());
        let led = |result: &&Result<BarrierWaitResult, _>| {
            result.as_ref().is_ok_and(BarrierWaitResult::is_leader)
        };
        // One led a round, with the one that left or with the other; or both came too late.
        let some = passed.iter().any(Result::is_ok);
        assert_eq!(passed.iter().filter(led).count(), usize::from(some));
    });
}

#[test]
fn loom_a_value_is_made_though_its_maker_gives_up() {
    loom::model(|| {
        let cell = Arc::new(OnceCell::new());
        let makes = wait(cell.get_or_init(async || std::future::pending().await));
        let gives_up = wait(cell.get_or_init(async || unreachable!()));
        let threads = [1, 2].map(|value| {
            let cell = Arc::clone(&cell);
            thread::spawn(move || *block_on(cell.get_or_init(async || value)))
        });
        drop(makes);
        drop(gives_up);
        let [one, two] = threads.map(|thread| thread.join().unwrap());
        assert_eq!(one, two);
    });
}

#[test]
fn loom_a_child_made_while_its_parent_is_cancelled_is_cancelled() {
    loom::model(|| {
        let root = CancellationToken::new();
        let canceller = thread::spawn({
            let root = root.clone();
            move || root.cancel()
        });
        let below = root.child_token().child_token();
        drop(root);
        block_on(below.cancelled());
        canceller.join().unwrap();
    });
}

#[test]
fn loom_children_are_dropped_while_their_parent_is_cancelled() {
    loom::model(|| {
        let root = CancellationToken::new();
        let (one, two) = (root.child_token(), root.child_token());
        let threads = [
            thread::spawn(move || drop(one.child_token())),
            thread::spawn(move || drop(two)),
        ];
        root.cancel();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert!(root.is_cancelled());
    });
}
