//! The notification, by cases and against a model by lot.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Hand, Lots, ROUNDS, block_on, for_both_kinds, now, panicking_waker, running_waker};
use crate::sync::generic::Notify;
use crate::sync::shared;

for_both_kinds! {
    #[test]
    fn waiters_are_notified_in_order<K>() {
        let notify = Notify::<K>::new();
        let mut waiters: Vec<_> = (0..3).map(|_| Hand::waiting(notify.notified())).collect();
        for number in 0..3 {
            notify.notify_one();
            let woken: Vec<_> = waiters.iter().map(Hand::wakes).collect();
            assert_eq!(woken, (0..3).map(|at| usize::from(at <= number)).collect::<Vec<_>>());
        }
        waiters.iter_mut().for_each(Hand::ready);
        let _none_is_kept = Hand::waiting(notify.notified());
    }

    #[test]
    fn one_notification_is_kept<K>() {
        let notify = Notify::<K>::default();
        notify.notify_one();
        notify.notify_one();
        now(notify.notified());
        let _waits = Hand::waiting(notify.notified());
    }

    #[test]
    fn all_are_notified_that_have_asked_and_nothing_is_kept<K>() {
        let notify = Notify::<K>::new();
        let mut not_polled = Hand::new(notify.notified());
        let mut polled = Hand::waiting(notify.notified());
        notify.notify_waiters();
        not_polled.ready();
        polled.ready();
        let _waits = Hand::waiting(notify.notified());
    }

    #[test]
    fn a_notification_for_a_dropped_waiter_goes_to_the_next<K>() {
        let notify = Notify::<K>::new();
        let gone = Hand::waiting(notify.notified());
        let first = Hand::waiting(notify.notified());
        let mut second = Hand::waiting(notify.notified());
        drop(gone);
        notify.notify_one();
        assert!(first.is_woken());
        drop(first);
        assert!(second.is_woken());
        second.ready();
    }

    #[test]
    fn a_notification_for_the_only_waiter_is_kept_when_that_is_dropped<K>() {
        let notify = Notify::<K>::new();
        let waiter = Hand::waiting(notify.notified());
        notify.notify_one();
        drop(waiter);
        now(notify.notified());
    }

    #[test]
    fn a_notification_for_all_is_not_handed_on<K>() {
        let notify = Notify::<K>::new();
        let waiter = Hand::waiting(notify.notified());
        notify.notify_waiters();
        let newcomer = Hand::waiting(notify.notified());
        drop(waiter);
        assert!(!newcomer.is_woken());
        assert_eq!(format!("{notify:?}"), "Notify { kept: false, waiting: 1 }");
    }

    #[test]
    #[should_panic(expected = "polled after it was ready")]
    fn a_wait_that_is_over_takes_no_second_notification<K>() {
        let notify = Notify::<K>::new();
        notify.notify_one();
        let mut over = Hand::new(notify.notified());
        over.ready();
        notify.notify_one();
        assert!(over.poll().is_ready());
    }

    #[test]
    fn a_waker_that_panics_loses_nothing<K>() {
        let notify = Notify::<K>::new();
        let mut first = Hand::new(notify.notified());
        assert!(first.poll_with(&panicking_waker()).is_pending());
        let mut second = Hand::waiting(notify.notified());
        notify.notify_one();
        first.ready();
        notify.notify_waiters();
        second.ready();
    }

    #[test]
    fn a_waker_may_notify_the_next<K>() {
        let notify = K::rc(Notify::<K>::new());
        let owned = notify.clone();
        let mut first = Hand::new(notify.notified());
        assert!(first.poll_with(&running_waker(move || owned.notify_one())).is_pending());
        let second = Hand::waiting(notify.notified());
        notify.notify_one();
        assert!(second.is_woken());
        first.ready();
    }

    #[test]
    fn notifications_agree_with_a_model_by_lot<K>() {
        let mut lots = Lots::new();
        for _ in 0..ROUNDS {
            run_by_lot::<K>(&mut lots);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Notified {
    No,
    One,
    All,
}

fn run_by_lot<K: crate::sync::kind::Kind>(lots: &mut Lots) {
    fn notify_one(kept: &mut bool, waiters: &mut [(Notified, Hand<'_, ()>)]) {
        match waiters
            .iter_mut()
            .find(|(notified, _)| *notified == Notified::No)
        {
            Some((notified, _)) => *notified = Notified::One,
            None => *kept = true,
        }
    }

    let notify = Notify::<K>::new();
    let mut kept = false;
    let mut waiters: Vec<(Notified, Hand<'_, ()>)> = Vec::new();
    for _ in 0..60 {
        match lots.below(6) {
            0 | 1 => {
                notify.notify_one();
                notify_one(&mut kept, &mut waiters);
            }
            2 if lots.below(3) == 0 => {
                notify.notify_waiters();
                for (notified, _) in waiters.iter_mut().filter(|(is, _)| *is == Notified::No) {
                    *notified = Notified::All;
                }
            }
            2 | 3 => {
                let mut hand = Hand::new(notify.notified());
                assert_eq!(hand.poll().is_ready(), kept);
                if !std::mem::take(&mut kept) {
                    waiters.push((Notified::No, hand));
                }
            }
            4 if !waiters.is_empty() => {
                let (notified, hand) = waiters.remove(lots.below(waiters.len()));
                drop(hand);
                if notified == Notified::One {
                    notify_one(&mut kept, &mut waiters);
                }
            }
            5 if !waiters.is_empty() => {
                let at = lots.below(waiters.len());
                let ready = waiters[at].1.poll().is_ready();
                assert_eq!(ready, waiters[at].0 != Notified::No);
                if ready {
                    drop(waiters.remove(at));
                }
            }
            _ => {}
        }
        for (notified, hand) in &waiters {
            assert_eq!(hand.is_woken(), *notified != Notified::No);
        }
    }
}

#[test]
fn threads_hand_a_notification_round_without_losing_it() {
    let rounds = if cfg!(miri) { 5 } else { 500 };
    let notify = Arc::new(shared::Notify::new());
    let passed = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (notify, passed) = (Arc::clone(&notify), Arc::clone(&passed));
            std::thread::spawn(move || {
                for _ in 0..rounds {
                    block_on(notify.notified());
                    passed.fetch_add(1, Ordering::Relaxed);
                    notify.notify_one();
                }
            })
        })
        .collect();
    notify.notify_one();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(passed.load(Ordering::Relaxed), 3 * rounds);
}
