//! The mutex, by cases and against a model by lot.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use super::{Hand, Lots, ROUNDS, block_on, for_both_kinds, now, panicking_waker, running_waker};
use crate::sync::generic::{Mutex, MutexGuard};
use crate::sync::kind::Kind;
use crate::sync::shared;

for_both_kinds! {
    #[test]
    fn the_value_is_with_one_at_a_time<K>() {
        let mutex = Mutex::<_, K>::new(1);
        let mut guard = now(mutex.lock());
        assert!(mutex.is_locked() && mutex.try_lock().is_none());
        *guard += 1;
        drop(guard);
        assert!(!mutex.is_locked());
        assert_eq!(*mutex.try_lock().unwrap(), 2);
        assert_eq!(mutex.into_inner(), 2);
    }

    #[test]
    fn waiters_are_served_in_order<K>() {
        let mutex = Mutex::<_, K>::new(Vec::new());
        let held = now(mutex.lock());
        let mut waiters: Vec<_> = (0..3).map(|_| Hand::waiting(mutex.lock())).collect();
        drop(held);
        for number in 0..3 {
            let woken: Vec<_> = waiters.iter().map(Hand::wakes).collect();
            assert_eq!(woken, (0..3).map(|at| usize::from(at <= number)).collect::<Vec<_>>());
            assert!(mutex.try_lock().is_none(), "it is handed on, not let go");
            waiters[number].ready().push(number);
        }
        drop(waiters);
        assert_eq!(mutex.into_inner(), [0, 1, 2]);
    }

    #[test]
    fn a_lock_granted_to_a_dropped_waiter_goes_to_the_next<K>() {
        let mutex = Mutex::<_, K>::new(7);
        let held = now(mutex.lock());
        let first = Hand::waiting(mutex.lock());
        let gone = Hand::waiting(mutex.lock());
        let mut last = Hand::waiting(mutex.lock());
        drop(gone);
        drop(held);
        assert!(first.is_woken() && !last.is_woken());
        drop(first);
        assert!(last.is_woken());
        assert_eq!(*last.ready(), 7);
        assert!(!mutex.is_locked());
    }

    #[test]
    fn a_lock_granted_to_the_only_waiter_is_free_when_that_is_dropped<K>() {
        let mutex = Mutex::<_, K>::new(7);
        let held = now(mutex.lock());
        let waiter = Hand::waiting(mutex.lock());
        drop(held);
        assert!(mutex.is_locked());
        drop(waiter);
        assert_eq!(mutex.try_lock().as_deref(), Some(&7));
    }

    #[test]
    fn a_holder_that_panics_lets_go<K>() {
        let mutex = Mutex::<_, K>::new(1);
        let mut waiter = None;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut held = now(mutex.lock());
            waiter = Some(Hand::waiting(mutex.lock()));
            *held = 2;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(*waiter.unwrap().ready(), 2);
        assert!(!mutex.is_locked());
    }

    #[test]
    fn an_owned_guard_keeps_its_lock_alive<K>() {
        let mutex = K::rc(Mutex::<_, K>::new(1));
        let mut held = now(Mutex::<_, K>::lock_owned(&mutex));
        assert!(Mutex::<_, K>::try_lock_owned(&mutex).is_none());
        let mut waiter = Hand::waiting(Mutex::<_, K>::lock_owned(&mutex));
        drop(mutex);
        *held = 5;
        drop(held);
        let guard = waiter.ready();
        assert_eq!(*guard, 5);
        assert!(MutexGuard::<_, K, _>::mutex(&guard).is_locked());
    }

    #[test]
    fn whoever_has_the_whole_lock_has_the_value<K>() {
        let mut mutex = Mutex::<_, K>::from(String::from("a"));
        mutex.get_mut().push('b');
        assert_eq!(mutex.into_inner(), "ab");
        assert_eq!(Mutex::<u8, K>::default().into_inner(), 0);
    }

    #[test]
    fn a_waker_that_panics_loses_nothing<K>() {
        let mutex = Mutex::<_, K>::new(1);
        let held = now(mutex.lock());
        let mut first = Hand::new(mutex.lock());
        assert!(first.poll_with(&panicking_waker()).is_pending());
        let mut second = Hand::waiting(mutex.lock());
        drop(held);
        drop(first.ready());
        assert_eq!(*second.ready(), 1);
    }

    #[test]
    fn a_waker_may_use_the_lock<K>() {
        let mutex = K::rc(Mutex::<_, K>::new(1));
        let held = now(Mutex::<_, K>::lock_owned(&mutex));
        let mut first = Hand::new(Mutex::<_, K>::lock_owned(&mutex));
        let weak = K::downgrade(&mutex);
        let waker = running_waker(move || {
            assert!(K::upgrade(&weak).is_none_or(|mutex| mutex.try_lock().is_none()));
        });
        assert!(first.poll_with(&waker).is_pending());
        drop(waker);
        drop(held);
        assert_eq!(*first.ready(), 1);
    }

    #[test]
    #[should_panic(expected = "was leaked")]
    fn a_leaked_guard_takes_the_value_with_it<K>() {
        let mutex = Mutex::<_, K>::new(1);
        let _leaked = std::mem::ManuallyDrop::new(now(mutex.lock()));
        let mut mutex = mutex;
        mutex.get_mut();
    }

    #[test]
    fn a_guard_shows_its_value<K>() {
        let mutex = Mutex::<_, K>::new(7);
        assert_eq!(format!("{mutex:?}"), "Mutex { locked: false, waiting: 0, .. }");
        let guard = now(mutex.lock());
        assert_eq!(format!("{guard:?} {guard}"), "7 7");
    }

    #[test]
    fn the_lock_agrees_with_a_model_by_lot<K>() {
        let mut lots = Lots::new();
        for _ in 0..ROUNDS {
            run_by_lot::<K>(&mut lots);
        }
    }
}

/// A lock is a list of those who have it or want it: the first has it.
fn run_by_lot<K: Kind>(lots: &mut Lots) {
    let mutex = Mutex::<usize, K>::new(0);
    let mut changes = 0;
    let mut holder = None;
    let mut waiters = VecDeque::new();
    for _ in 0..60 {
        match lots.below(5) {
            0 => {
                let mut hand = Hand::new(mutex.lock());
                if holder.is_none() && waiters.is_empty() {
                    holder = Some(hand.ready());
                } else {
                    assert!(hand.poll().is_pending());
                    waiters.push_back(hand);
                }
            }
            1 => {
                let free = holder.is_none() && waiters.is_empty();
                assert_eq!(mutex.try_lock().is_some(), free);
                assert_eq!(mutex.is_locked(), !free);
            }
            2 => holder = None,
            3 if !waiters.is_empty() => {
                drop(waiters.remove(lots.below(waiters.len())));
            }
            4 if holder.is_none() && !waiters.is_empty() => {
                let mut guard = waiters.pop_front().unwrap().ready();
                assert_eq!(*guard, changes);
                changes += 1;
                *guard = changes;
                holder = Some(guard);
            }
            _ => {}
        }
        for (at, waiter) in waiters.iter().enumerate() {
            assert_eq!(waiter.is_woken(), at == 0 && holder.is_none());
        }
    }
    drop((holder, waiters));
    assert_eq!(mutex.into_inner(), changes);
}

#[test]
fn threads_and_tasks_lose_no_update() {
    let rounds = if cfg!(miri) { 5 } else { 500 };
    let total = Arc::new(shared::Mutex::new(0_usize));
    let add = |total: Arc<shared::Mutex<usize>>| async move {
        for _ in 0..rounds {
            let mut held = total.lock().await;
            let before = *held;
            crate::task::yield_now().await;
            *held = before + 1;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let work = add(Arc::clone(&total));
            scope.spawn(move || block_on(work));
        }
        crate::Builder::new().build().unwrap().block_on(async {
            let tasks = [0; 3].map(|_| crate::spawn(add(Arc::clone(&total))));
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    assert_eq!(*total.try_lock().unwrap(), 5 * rounds);
}

#[test]
fn without_a_lock_an_update_across_an_await_is_lost() {
    crate::Builder::new().build().unwrap().block_on(async {
        let (bare, locked) = (
            Rc::new(std::cell::Cell::new(0)),
            Rc::new(crate::sync::Mutex::new(0)),
        );
        let tasks = [0; 10].map(|_| {
            let (bare, locked) = (Rc::clone(&bare), Rc::clone(&locked));
            crate::spawn(async move {
                let before = bare.get();
                crate::yield_now().await;
                bare.set(before + 1);
                let mut held = locked.lock().await;
                let before = *held;
                crate::yield_now().await;
                *held = before + 1;
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((bare.get(), *locked.lock().await), (1, 10));
    });
}

#[test]
fn a_runtime_that_is_dropped_lets_go_of_what_its_tasks_held_or_waited_for() {
    let (mutex, semaphore) = (
        Arc::new(shared::Mutex::new(1)),
        Arc::new(shared::Semaphore::new(0)),
    );
    let runtime = crate::Builder::new().build().unwrap();
    runtime.block_on(async {
        let lock = |mutex: &Arc<shared::Mutex<i32>>| {
            let mutex = Arc::clone(mutex);
            crate::spawn(async move {
                let _held = mutex.lock().await;
                std::future::pending::<()>().await;
            })
        };
        let (_holds, _waits) = (lock(&mutex), lock(&mutex));
        let owned = Arc::clone(&semaphore);
        drop(crate::spawn(async move { drop(owned.acquire().await) }));
        crate::yield_now().await;
        crate::yield_now().await;
    });
    assert!(mutex.is_locked());
    let mut waiters = [Hand::waiting(semaphore.acquire())];
    semaphore.add_permits(1);
    assert!(
        !waiters[0].is_woken(),
        "granted to the task, which does not run any more"
    );
    drop(runtime);
    assert_eq!(*mutex.try_lock().unwrap(), 1);
    drop(waiters[0].ready());
}
