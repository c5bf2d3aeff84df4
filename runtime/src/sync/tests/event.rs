//! The event, by cases and against a model by lot.

use std::sync::Arc;

use super::{Hand, Lots, ROUNDS, block_on, for_both_kinds, now, panicking_waker, running_waker};
use crate::sync::generic::Event;
use crate::sync::shared;

for_both_kinds! {
    #[test]
    fn who_waits_gets_away_when_it_is_set<K>() {
        let event = Event::<K>::new();
        let mut waiters = [Hand::waiting(event.wait()), Hand::waiting(event.wait())];
        event.set();
        for waiter in &mut waiters {
            assert_eq!(waiter.wakes(), 1);
            waiter.ready();
        }
        now(event.wait());
    }

    #[test]
    fn a_clear_right_after_a_set_holds_back_only_newcomers<K>() {
        let event = Event::<K>::default();
        let mut waiter = Hand::waiting(event.wait());
        event.set();
        event.clear();
        assert!(!event.is_set());
        let _newcomer = Hand::waiting(event.wait());
        waiter.ready();
    }

    #[test]
    fn a_dropped_waiter_leaves_no_place<K>() {
        let event = Event::<K>::new();
        let (waiting, mut stays) = (Hand::waiting(event.wait()), Hand::waiting(event.wait()));
        drop(waiting);
        event.set();
        stays.ready();
        event.clear();
        let granted = Hand::waiting(event.wait());
        event.set();
        drop(granted);
        assert_eq!(format!("{event:?}"), "Event { set: true, waiting: 0 }");
    }

    #[test]
    fn a_waker_that_panics_keeps_nobody_waiting<K>() {
        let event = Event::<K>::new();
        let mut first = Hand::new(event.wait());
        assert!(first.poll_with(&panicking_waker()).is_pending());
        let second = Hand::waiting(event.wait());
        event.set();
        assert!(second.is_woken());
        first.ready();
    }

    #[test]
    fn a_waker_may_clear_the_event<K>() {
        let event = K::rc(Event::<K>::new());
        let owned = event.clone();
        let mut waiter = Hand::new(event.wait());
        assert!(waiter.poll_with(&running_waker(move || owned.clear())).is_pending());
        let other = Hand::waiting(event.wait());
        event.set();
        assert!(!event.is_set() && other.is_woken());
        waiter.ready();
    }

    #[test]
    fn the_event_agrees_with_a_model_by_lot<K>() {
        let mut lots = Lots::new();
        for _ in 0..ROUNDS {
            let event = Event::<K>::new();
            let mut set = false;
            // Each with whether it may go.
            let mut waiters: Vec<(bool, Hand<'_, ()>)> = Vec::new();
            for _ in 0..60 {
                match lots.below(5) {
                    0 => {
                        event.set();
                        set = true;
                        waiters.iter_mut().for_each(|(may_go, _)| *may_go = true);
                    }
                    1 => {
                        event.clear();
                        set = false;
                    }
                    2 => {
                        let mut hand = Hand::new(event.wait());
                        if set {
                            hand.ready();
                        } else {
                            assert!(hand.poll().is_pending());
                            waiters.push((false, hand));
                        }
                    }
                    3 if !waiters.is_empty() => {
                        drop(waiters.swap_remove(lots.below(waiters.len())));
                    }
                    4 if !waiters.is_empty() => {
                        let (may_go, mut hand) = waiters.swap_remove(lots.below(waiters.len()));
                        assert_eq!(hand.poll().is_ready(), may_go);
                        if !may_go {
                            waiters.push((may_go, hand));
                        }
                    }
                    _ => {}
                }
                assert_eq!(event.is_set(), set);
                assert!(waiters.iter().all(|(may_go, hand)| *may_go == hand.is_woken()));
            }
        }
    }
}

#[test]
fn a_thread_sets_what_a_task_waits_for() {
    let (asked, answered) = (
        Arc::new(shared::Event::new()),
        Arc::new(shared::Event::new()),
    );
    let thread = std::thread::spawn({
        let (asked, answered) = (Arc::clone(&asked), Arc::clone(&answered));
        move || {
            block_on(asked.wait());
            answered.set();
        }
    });
    crate::Builder::new().build().unwrap().block_on(async {
        let task = crate::spawn(async move { answered.wait().await });
        crate::yield_now().await;
        asked.set();
        task.await.unwrap();
    });
    thread.join().unwrap();
}
