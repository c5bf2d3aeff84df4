//! The barrier, by cases and against a model by lot.

use std::sync::Arc;

use super::{Hand, Lots, ROUNDS, block_on, for_both_kinds, now, panicking_waker, running_waker};
use crate::sync::generic::Barrier;
use crate::sync::kind::Kind;
use crate::sync::{BarrierWaitResult, BrokenBarrier, shared};

type Passing<'a> = Hand<'a, Result<BarrierWaitResult, BrokenBarrier>>;

for_both_kinds! {
    #[test]
    fn all_pass_when_the_last_comes_and_one_leads<K>() {
        let barrier = Barrier::<K>::new(3);
        let mut waiters = [Hand::waiting(barrier.wait()), Hand::waiting(barrier.wait())];
        assert_eq!((barrier.parties(), barrier.waiting()), (3, 2));
        let last = now(barrier.wait()).unwrap();
        assert_eq!((last.index(), last.is_leader()), (2, true));
        for (index, waiter) in waiters.iter_mut().enumerate() {
            assert!(waiter.is_woken());
            let passed = waiter.ready().unwrap();
            assert_eq!((passed.index(), passed.is_leader()), (index, false));
        }
        assert_eq!(barrier.waiting(), 0);
    }

    #[test]
    fn a_barrier_for_one_stops_nobody<K>() {
        let barrier = Barrier::<K>::new(1);
        for _ in 0..2 {
            let passed = now(barrier.wait()).unwrap();
            assert_eq!((passed.index(), passed.is_leader()), (0, true));
        }
    }

    #[test]
    fn who_comes_after_a_round_makes_up_the_next<K>() {
        let barrier = Barrier::<K>::new(2);
        let mut slow = Hand::waiting(barrier.wait());
        assert!(now(barrier.wait()).is_ok());
        // The first has passed, and has not run: the next round is another matter.
        let mut next = Hand::waiting(barrier.wait());
        assert_eq!(barrier.waiting(), 1);
        assert!(now(barrier.wait()).is_ok());
        assert!(next.ready().is_ok() && slow.ready().is_ok());
    }

    #[test]
    fn a_dropped_waiter_has_not_come<K>() {
        let barrier = Barrier::<K>::new(3);
        let (gone, mut stays) = (Hand::waiting(barrier.wait()), Hand::waiting(barrier.wait()));
        drop(gone);
        assert_eq!(barrier.waiting(), 1);
        let mut second = Hand::waiting(barrier.wait());
        assert_eq!(now(barrier.wait()).unwrap().index(), 2);
        assert_eq!(stays.ready().unwrap().index(), 0);
        assert_eq!(second.ready().unwrap().index(), 1, "each has an index of its own");
    }

    #[test]
    fn who_is_dropped_after_passing_is_not_missed<K>() {
        let barrier = Barrier::<K>::new(2);
        let passed = Hand::waiting(barrier.wait());
        assert!(now(barrier.wait()).is_ok());
        drop(passed);
        assert_eq!(barrier.waiting(), 0);
        let mut next = Hand::waiting(barrier.wait());
        assert!(now(barrier.wait()).is_ok() && next.ready().is_ok());
    }

    #[test]
    fn an_abort_turns_away_who_waits_and_who_comes<K>() {
        let barrier = Barrier::<K>::new(2);
        let mut waiter = Hand::waiting(barrier.wait());
        barrier.abort();
        assert!(barrier.is_broken() && waiter.is_woken());
        assert_eq!(waiter.ready(), Err(BrokenBarrier));
        assert_eq!(now(barrier.wait()), Err(BrokenBarrier));
        assert_eq!(barrier.waiting(), 0);
    }

    #[test]
    fn a_reset_turns_away_who_waits_and_mends_the_barrier<K>() {
        let barrier = Barrier::<K>::new(2);
        let mut waiter = Hand::waiting(barrier.wait());
        barrier.reset();
        assert_eq!(waiter.ready(), Err(BrokenBarrier));
        assert!(!barrier.is_broken());
        barrier.abort();
        barrier.reset();
        let mut waiter = Hand::waiting(barrier.wait());
        assert!(now(barrier.wait()).is_ok() && waiter.ready().is_ok());
    }

    #[test]
    fn what_happens_to_the_barrier_later_concerns_nobody_who_has_passed<K>() {
        let barrier = Barrier::<K>::new(2);
        let mut waiters = [Hand::waiting(barrier.wait())];
        assert!(now(barrier.wait()).is_ok());
        barrier.reset();
        barrier.abort();
        assert!(waiters[0].ready().is_ok());
    }

    #[test]
    fn a_waker_that_panics_or_comes_again_stops_nobody<K>() {
        let barrier = K::rc(Barrier::<K>::new(3));
        let mut first = Hand::new(barrier.wait());
        assert!(first.poll_with(&panicking_waker()).is_pending());
        let owned = barrier.clone();
        let mut second = Hand::new(barrier.wait());
        assert!(second.poll_with(&running_waker(move || owned.abort())).is_pending());
        assert!(now(barrier.wait()).is_ok());
        assert!(first.ready().is_ok() && second.ready().is_ok() && barrier.is_broken());
    }

    #[test]
    #[should_panic(expected = "for one task at least")]
    fn a_barrier_for_nobody_is_a_mistake<K>() {
        drop(Barrier::<K>::new(0));
    }

    #[test]
    #[should_panic(expected = "polled after it was ready")]
    fn a_wait_that_is_over_does_not_count_again<K>() {
        let barrier = Barrier::<K>::new(1);
        let mut over = Hand::new(barrier.wait());
        over.ready().unwrap();
        assert!(over.poll().is_ready());
    }

    #[test]
    fn debug_shows_how_it_stands<K>() {
        let barrier = Barrier::<K>::new(3);
        let _waiter = Hand::waiting(barrier.wait());
        let text = format!("{barrier:?}");
        assert_eq!(text, "Barrier { parties: 3, waiting: 1, broken: false }");
    }

    #[test]
    fn the_barrier_agrees_with_a_model_by_lot<K>() {
        let mut lots = Lots::new();
        for _ in 0..ROUNDS {
            let barrier = Barrier::<K>::new(1 + lots.below(4));
            run_by_lot(&barrier, &mut lots);
        }
    }
}

/// A barrier is a list of those who wait, which is emptied with one verdict for all.
fn run_by_lot<K: Kind>(barrier: &Barrier<K>, lots: &mut Lots) {
    let mut broken = false;
    let mut waiting: Vec<Passing<'_>> = Vec::new();
    let mut judged: Vec<(Option<usize>, Passing<'_>)> = Vec::new();
    for _ in 0..60 {
        match lots.below(6) {
            0..=2 => {
                let mut hand = Hand::new(barrier.wait());
                if broken {
                    assert_eq!(hand.ready(), Err(BrokenBarrier));
                } else if waiting.len() + 1 == barrier.parties() {
                    let passed = hand.ready().unwrap();
                    assert!(passed.is_leader() && passed.index() == waiting.len());
                    let passed = waiting.drain(..).enumerate();
                    judged.extend(passed.map(|(index, hand)| (Some(index), hand)));
                } else {
                    assert!(hand.poll().is_pending());
                    waiting.push(hand);
                }
            }
            3 if lots.below(3) == 0 => {
                broken = lots.below(2) == 0;
                if broken {
                    barrier.abort();
                } else {
                    barrier.reset();
                }
                judged.extend(waiting.drain(..).map(|hand| (None, hand)));
            }
            4 if !waiting.is_empty() => drop(waiting.remove(lots.below(waiting.len()))),
            4 | 5 if !judged.is_empty() => {
                let (verdict, mut hand) = judged.swap_remove(lots.below(judged.len()));
                if lots.below(3) > 0 {
                    let passed = hand.ready().ok();
                    assert_eq!(passed.map(|passed| passed.index()), verdict);
                }
            }
            _ => {}
        }
        assert_eq!(
            (barrier.waiting(), barrier.is_broken()),
            (waiting.len(), broken)
        );
        assert!(waiting.iter().all(|hand| !hand.is_woken()));
        assert!(judged.iter().all(|(_, hand)| hand.is_woken()));
    }
}

#[test]
fn threads_and_tasks_meet_again_and_again() {
    let rounds = if cfg!(miri) { 3 } else { 200 };
    let barrier = Arc::new(shared::Barrier::new(4));
    let meet = |barrier: Arc<shared::Barrier>| async move {
        let mut led = 0;
        for _ in 0..rounds {
            led += usize::from(barrier.wait().await.unwrap().is_leader());
        }
        led
    };
    let led: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let work = meet(Arc::clone(&barrier));
                scope.spawn(move || block_on(work))
            })
            .collect();
        let led: usize = crate::Builder::new().build().unwrap().block_on(async {
            let (one, two) = (
                crate::spawn(meet(Arc::clone(&barrier))),
                meet(barrier).await,
            );
            one.await.unwrap() + two
        });
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum::<usize>()
            + led
    });
    assert_eq!(led, rounds, "one of each round");
}
