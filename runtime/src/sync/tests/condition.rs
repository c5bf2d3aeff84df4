//! The condition, by cases and by lot.

use std::sync::Arc;

use super::{Hand, Lots, ROUNDS, block_on, for_both_kinds, now, panicking_waker, running_waker};
use crate::sync::generic::{Condition, Mutex};
use crate::sync::kind::Kind;
use crate::sync::shared;

for_both_kinds! {
    #[test]
    fn a_wait_lets_go_of_the_lock_and_takes_it_again<K>() {
        let (mutex, changed) = (Mutex::<_, K>::new(1), Condition::<K>::new());
        let mut waiter = Hand::new(changed.wait(now(mutex.lock())));
        assert!(mutex.is_locked(), "let go at the first poll");
        assert!(waiter.poll().is_pending());
        assert!(!mutex.is_locked());
        let mut held = now(mutex.lock());
        *held = 2;
        changed.notify_one();
        assert!(waiter.poll().is_pending(), "the lock is held");
        drop(held);
        assert_eq!(*waiter.ready(), 2);
    }

    #[test]
    fn waiters_are_notified_in_order<K>() {
        let (mutex, changed) = (Mutex::<_, K>::new(()), Condition::<K>::default());
        let mut waiters: Vec<_> =
            (0..4).map(|_| Hand::waiting(changed.wait(now(mutex.lock())))).collect();
        let woken = |waiters: &[Hand<'_, _>]| waiters.iter().map(Hand::wakes).collect::<Vec<_>>();
        changed.notify_one();
        assert_eq!(woken(&waiters), [1, 0, 0, 0]);
        changed.notify(2);
        assert_eq!(woken(&waiters), [1, 1, 1, 0]);
        changed.notify(usize::MAX);
        assert_eq!(woken(&waiters), [1, 1, 1, 1]);
        for waiter in &mut waiters {
            drop(waiter.ready());
        }
    }

    #[test]
    fn nothing_is_kept_for_those_who_come_later<K>() {
        let (mutex, changed) = (Mutex::<_, K>::new(()), Condition::<K>::new());
        changed.notify_one();
        changed.notify_all();
        let _waits = Hand::waiting(changed.wait(now(mutex.lock())));
    }

    #[test]
    fn a_wait_for_asks_under_the_lock_after_each_notification<K>() {
        let (mutex, changed) = (Mutex::<_, K>::new(0), Condition::<K>::new());
        let mut asked = 0;
        let mut waiter = Hand::waiting(changed.wait_for(now(mutex.lock()), |value| {
            asked += 1;
            *value >= 2
        }));
        for value in 1..3 {
            *now(mutex.lock()) = value;
            changed.notify_all();
            assert_eq!(waiter.poll().is_ready(), value == 2);
        }
        drop(waiter);
        assert_eq!(asked, 3);
        assert_eq!(*now(changed.wait_for(now(mutex.lock()), |_| true)), 2);
    }

    #[test]
    fn a_dropped_wait_leaves_the_lock_free_and_no_place<K>() {
        let (mutex, changed) = (Mutex::<_, K>::new(()), Condition::<K>::new());
        drop(changed.wait(now(mutex.lock())));
        assert!(!mutex.is_locked(), "the guard of a wait that was never polled");
        let waiter = Hand::waiting(changed.wait(now(mutex.lock())));
        drop(waiter);
        assert_eq!(format!("{changed:?}"), "Condition { waiting: 0 }");
        let held = now(mutex.lock());
        drop(held);
    }

    #[test]
    fn a_notification_for_a_dropped_waiter_goes_to_the_next<K>() {
        let (mutex, changed) = (Mutex::<_, K>::new(()), Condition::<K>::new());
        let first = Hand::waiting(changed.wait(now(mutex.lock())));
        let mut second = Hand::waiting(changed.wait(now(mutex.lock())));
        changed.notify_one();
        assert!(!second.is_woken());
        drop(first);
        assert!(second.is_woken());
        drop(second.ready());
    }

    #[test]
    fn a_notification_for_a_waiter_dropped_at_the_lock_goes_to_the_next<K>() {
        let (mutex, changed) = (Mutex::<_, K>::new(()), Condition::<K>::new());
        let mut first = Hand::waiting(changed.wait(now(mutex.lock())));
        let mut second = Hand::waiting(changed.wait(now(mutex.lock())));
        let held = now(mutex.lock());
        changed.notify_one();
        assert!(first.poll().is_pending(), "it has the word, and not the lock");
        drop(held);
        assert!(mutex.is_locked(), "now it has both, and has not run");
        drop(first);
        assert!(second.is_woken() && !mutex.is_locked());
        drop(second.ready());
    }

    #[test]
    fn a_notification_for_all_is_not_handed_on<K>() {
        let (mutex, changed) = (Mutex::<_, K>::new(()), Condition::<K>::new());
        let mut at_the_lock = Hand::waiting(changed.wait(now(mutex.lock())));
        let notified = Hand::waiting(changed.wait(now(mutex.lock())));
        changed.notify_all();
        let newcomer = Hand::waiting(changed.wait(now(mutex.lock())));
        let held = now(mutex.lock());
        assert!(at_the_lock.poll().is_pending());
        drop((at_the_lock, notified, held));
        assert!(!newcomer.is_woken());
    }

    #[test]
    fn owned_guards_wait_as_well<K>() {
        let (mutex, changed) = (K::rc(Mutex::<_, K>::new(1)), Condition::<K>::new());
        let guard = now(Mutex::<_, K>::lock_owned(&mutex));
        let mut waiter = Hand::waiting(changed.wait(guard));
        drop(mutex);
        changed.notify_one();
        assert_eq!(*waiter.ready(), 1);
    }

    #[test]
    fn a_waker_that_panics_or_notifies_loses_nothing<K>() {
        let (mutex, changed) = (Mutex::<_, K>::new(()), K::rc(Condition::<K>::new()));
        let mut first = Hand::new(changed.wait(now(mutex.lock())));
        assert!(first.poll_with(&panicking_waker()).is_pending());
        let owned = changed.clone();
        let mut second = Hand::new(changed.wait(now(mutex.lock())));
        assert!(second.poll_with(&running_waker(move || owned.notify_one())).is_pending());
        let mut third = Hand::waiting(changed.wait(now(mutex.lock())));
        changed.notify(2);
        assert!(third.is_woken());
        drop(first.ready());
        drop(second.ready());
        drop(third.ready());
    }

    #[test]
    fn no_notification_and_no_lock_is_lost_by_lot<K>() {
        let mut lots = Lots::new();
        for _ in 0..ROUNDS {
            run_by_lot::<K>(&mut lots);
        }
    }
}

/// Waiters by their state: without word, with word for them alone, with word for all. A word for
/// one alone passes on until somebody comes back with it.
fn run_by_lot<K: Kind>(lots: &mut Lots) {
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Word {
        None,
        One,
        All,
    }
    let (mutex, changed) = (Mutex::<u8, K>::new(7), Condition::<K>::new());
    let mut waiters: Vec<(Word, Hand<'_, _>)> = Vec::new();
    for _ in 0..60 {
        let mut words = 0;
        match lots.below(6) {
            0 | 1 => {
                if let Some(guard) = mutex.try_lock() {
                    waiters.push((Word::None, Hand::waiting(changed.wait(guard))));
                }
            }
            2 => {
                words = 1 + lots.below(2);
                changed.notify(words);
            }
            3 if lots.below(4) == 0 => {
                changed.notify_all();
                for (word, _) in waiters.iter_mut().filter(|(word, _)| *word == Word::None) {
                    *word = Word::All;
                }
            }
            3 | 4 if !waiters.is_empty() => {
                let (word, hand) = waiters.remove(lots.below(waiters.len()));
                words = usize::from(word == Word::One);
                drop(hand);
            }
            5 if !waiters.is_empty() => {
                // It comes back with the lock, or queues for it behind a holder.
                let at = lots.below(waiters.len());
                let held = if lots.below(2) == 0 {
                    mutex.try_lock()
                } else {
                    None
                };
                let ready = waiters[at].1.poll().is_ready();
                assert!(!ready || (waiters[at].0 != Word::None && held.is_none()));
                if ready {
                    drop(waiters.remove(at));
                }
            }
            _ => {}
        }
        for _ in 0..words {
            if let Some((word, _)) = waiters.iter_mut().find(|(word, _)| *word == Word::None) {
                *word = Word::One;
            }
        }
        for (word, hand) in &waiters {
            assert!(hand.is_woken() == (*word != Word::None), "{word:?}");
        }
    }
    // All who have word come back, and the lock is free in the end.
    for _ in 0..waiters.len() {
        waiters.retain_mut(|(word, hand)| *word == Word::None || hand.poll().is_pending());
    }
    assert!(waiters.iter().all(|(word, _)| *word == Word::None));
    assert_eq!(*mutex.try_lock().unwrap(), 7);
}

#[test]
fn threads_and_tasks_pass_items_through_a_condition() {
    let items = if cfg!(miri) { 5_u32 } else { 500 };
    let shared = Arc::new((shared::Mutex::new(Vec::new()), shared::Condition::new()));
    let consume = |shared: Arc<(shared::Mutex<Vec<u32>>, shared::Condition)>| async move {
        let mut sum = 0;
        for _ in 0..items {
            let (queue, pushed) = &*shared;
            let guard = queue.lock().await;
            let mut guard = pushed.wait_for(guard, |queue| !queue.is_empty()).await;
            sum += guard.pop().unwrap();
        }
        sum
    };
    let total: u32 = std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let work = consume(Arc::clone(&shared));
                scope.spawn(move || block_on(work))
            })
            .collect();
        crate::Builder::new().build().unwrap().block_on(async {
            for item in 0..2 * items {
                shared.0.lock().await.push(item);
                shared.1.notify_one();
            }
        });
        consumers
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(total, (0..2 * items).sum());
}
