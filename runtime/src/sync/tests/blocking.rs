//! Plain threads and tasks at the same locks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::sync::shared::{Barrier, CancellationToken, Condition, Event, Mutex, RwLock, Semaphore};

#[derive(Default)]
struct All {
    stock: Mutex<i32>,
    changed: Condition,
    event: Event,
    lock: RwLock<i32>,
}

#[test]
fn threads_and_tasks_wait_for_each_other() {
    let all = Arc::new(All::default());
    let (semaphore, barrier) = (Arc::new(Semaphore::new(0)), Arc::new(Barrier::new(2)));
    let token = CancellationToken::new();
    let thread = std::thread::spawn({
        let (all, token) = (Arc::clone(&all), token.clone());
        let (semaphore, barrier) = (Arc::clone(&semaphore), Arc::clone(&barrier));
        move || {
            let held = all.stock.blocking_lock();
            all.event.set();
            let mut held = all.changed.blocking_wait_for(held, |stock| *stock == 1);
            *held += 1;
            drop(held);
            *all.lock.blocking_write() += 1;
            semaphore.add_permits(1);
            let led = barrier.blocking_wait().unwrap().is_leader();
            token.blocking_cancelled();
            led
        }
    });
    let led = crate::Builder::new().build().unwrap().block_on(async {
        all.event.wait().await;
        *all.stock.lock().await += 1;
        all.changed.notify_one();
        semaphore.acquire().await.unwrap().forget();
        assert_eq!((*all.stock.lock().await, *all.lock.read().await), (2, 1));
        let led = barrier.wait().await.unwrap().is_leader();
        token.cancel();
        led
    });
    assert_ne!(thread.join().unwrap(), led, "one of the two");
}

#[test]
fn threads_do_without_any_task() {
    let (all, semaphore) = (All::default(), Semaphore::new(1));
    all.event.set();
    all.event.blocking_wait();
    drop(semaphore.blocking_acquire().unwrap());
    assert_eq!(semaphore.blocking_acquire_many(1).unwrap().count(), 1);
    semaphore.close();
    assert!(semaphore.blocking_acquire().is_err());
    assert_eq!(*all.lock.blocking_read() + *all.stock.blocking_lock(), 0);
    std::thread::scope(|scope| {
        let held = all.stock.blocking_lock();
        scope.spawn(|| {
            *all.stock.blocking_lock() = 1;
            all.changed.notify_one();
        });
        assert_eq!(*all.changed.blocking_wait(held), 1);
    });
}

#[test]
fn a_shard_is_not_to_be_blocked() {
    let mutex = Mutex::new(1);
    crate::Builder::new().build().unwrap().block_on(async {
        assert!(catch_unwind(AssertUnwindSafe(|| *mutex.blocking_lock())).is_err());
    });
    assert_eq!(*mutex.blocking_lock(), 1);
}
