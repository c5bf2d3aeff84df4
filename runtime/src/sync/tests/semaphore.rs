//! The semaphore, by cases and against a model by lot.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use super::{Hand, Lots, ROUNDS, block_on, for_both_kinds, now, panicking_waker, running_waker};
use crate::sync::generic::{Permit, Semaphore};
use crate::sync::{AcquireError, TryAcquireError, shared};

for_both_kinds! {
    #[test]
    fn permits_are_taken_and_come_back<K>() {
        let semaphore = Semaphore::<K>::new(2);
        let one = now(semaphore.acquire()).unwrap();
        let two = semaphore.try_acquire().unwrap();
        assert_eq!(semaphore.available_permits(), 0);
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
        drop(one);
        assert_eq!(semaphore.available_permits(), 1);
        drop(two);
        assert_eq!(semaphore.available_permits(), 2);
    }

    #[test]
    fn waiters_are_served_in_order<K>() {
        let semaphore = Semaphore::<K>::new(0);
        let mut waiters: Vec<_> = (0..3).map(|_| Hand::waiting(semaphore.acquire())).collect();
        for served in 0..3 {
            semaphore.add_permits(1);
            let woken: Vec<_> = waiters.iter().map(Hand::wakes).collect();
            assert_eq!(woken, (0..3).map(|at| usize::from(at <= served)).collect::<Vec<_>>());
        }
        for waiter in &mut waiters {
            waiter.ready().unwrap().forget();
        }
        assert_eq!(semaphore.available_permits(), 0);
    }

    #[test]
    fn who_wants_many_is_not_overtaken_by_who_wants_few<K>() {
        let semaphore = Semaphore::<K>::new(2);
        let mut many = Hand::waiting(semaphore.acquire_many(3));
        let mut few = Hand::waiting(semaphore.acquire());
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
        assert!(few.poll().is_pending());
        semaphore.add_permits(1);
        assert_eq!(many.ready().unwrap().count(), 3);
        few.ready().unwrap().forget();
    }

    #[test]
    fn a_waiter_that_leaves_lets_those_behind_it_move_up<K>() {
        let semaphore = Semaphore::<K>::new(1);
        let many = Hand::waiting(semaphore.acquire_many(2));
        let mut few = Hand::waiting(semaphore.acquire());
        drop(many);
        assert!(few.is_woken());
        few.ready().unwrap().forget();
    }

    #[test]
    fn a_permit_granted_to_a_dropped_waiter_goes_to_the_next<K>() {
        let semaphore = Semaphore::<K>::new(0);
        let first = Hand::waiting(semaphore.acquire());
        let mut second = Hand::waiting(semaphore.acquire());
        semaphore.add_permits(1);
        assert!(first.is_woken() && !second.is_woken());
        drop(first);
        assert!(second.is_woken());
        drop(second.ready());
        assert_eq!(semaphore.available_permits(), 1);
    }

    #[test]
    fn permits_granted_to_a_dropped_waiter_serve_several<K>() {
        let semaphore = Semaphore::<K>::new(0);
        let many = Hand::waiting(semaphore.acquire_many(2));
        let mut others = [Hand::waiting(semaphore.acquire()), Hand::waiting(semaphore.acquire())];
        semaphore.add_permits(2);
        drop(many);
        for other in &mut others {
            other.ready().unwrap().forget();
        }
    }

    #[test]
    fn a_future_never_polled_has_no_place<K>() {
        let semaphore = Semaphore::<K>::new(0);
        drop(semaphore.acquire());
        let mut waiter = Hand::waiting(semaphore.acquire());
        semaphore.add_permits(1);
        waiter.ready().unwrap().forget();
    }

    #[test]
    fn close_ends_all_waiting_and_keeps_permits_good<K>() {
        let semaphore = Semaphore::<K>::new(1);
        let held = now(semaphore.acquire()).unwrap();
        let mut granted = Hand::waiting(semaphore.acquire());
        let mut waiting = Hand::waiting(semaphore.acquire());
        drop(held);
        semaphore.close();
        assert!(semaphore.is_closed());
        let late = granted.ready().unwrap();
        assert_eq!(waiting.ready().unwrap_err(), AcquireError);
        drop(late);
        assert_eq!(semaphore.available_permits(), 1);
        assert_eq!(now(semaphore.acquire()).unwrap_err(), AcquireError);
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    }

    #[test]
    fn a_waiter_told_of_the_close_and_dropped_gives_back_nothing<K>() {
        let semaphore = Semaphore::<K>::new(0);
        let waiting = Hand::waiting(semaphore.acquire());
        semaphore.close();
        drop(waiting);
        assert_eq!(semaphore.available_permits(), 0);
    }

    #[test]
    fn a_bounded_semaphore_refuses_more_than_its_bound<K>() {
        let semaphore = Semaphore::<K>::bounded(2);
        assert_eq!(semaphore.try_add_permits(1).unwrap_err().bound, 2);
        let held = semaphore.try_acquire().unwrap();
        assert!(semaphore.try_add_permits(1).is_err(), "the one that is held counts");
        held.forget();
        semaphore.try_add_permits(1).unwrap();
        assert_eq!(semaphore.forget_permits(5), 2);
        semaphore.add_permits(2);
        assert!(semaphore.try_add_permits(1).is_err());
        assert!(Semaphore::<K>::new(1).try_add_permits(usize::MAX).is_err());
    }

    #[test]
    fn permits_are_merged_split_and_forgotten<K>() {
        let semaphore = Semaphore::<K>::new(5);
        let mut held = semaphore.try_acquire_many(3).unwrap();
        let two = held.split(2).unwrap();
        assert!(held.split(2).is_none());
        assert_eq!((held.count(), two.count()), (1, 2));
        held.merge(semaphore.try_acquire().unwrap());
        drop(two);
        assert_eq!((held.count(), semaphore.available_permits()), (2, 3));
        held.forget();
        assert_eq!(semaphore.available_permits(), 3);
    }

    #[test]
    fn an_owned_permit_keeps_its_semaphore_alive<K>() {
        let semaphore = K::rc(Semaphore::<K>::new(2));
        let one = now(Semaphore::<K>::acquire_owned(&semaphore)).unwrap();
        let two = Semaphore::<K>::try_acquire_owned(&semaphore).unwrap();
        assert!(Semaphore::<K>::try_acquire_many_owned(&semaphore, 1).is_err());
        let mut waiter = Hand::waiting(Semaphore::<K>::acquire_many_owned(&semaphore, 2));
        drop(semaphore);
        drop((one, two));
        assert_eq!(waiter.ready().unwrap().count(), 2);
    }

    #[test]
    fn a_waker_that_panics_loses_nothing<K>() {
        let semaphore = Semaphore::<K>::new(0);
        let mut first = Hand::new(semaphore.acquire());
        assert!(first.poll_with(&panicking_waker()).is_pending());
        let mut second = Hand::waiting(semaphore.acquire());
        semaphore.add_permits(2);
        first.ready().unwrap().forget();
        second.ready().unwrap().forget();
    }

    #[test]
    fn a_waiter_polled_with_another_waker_is_woken_by_that_one<K>() {
        let semaphore = Semaphore::<K>::new(0);
        let mut waiter = Hand::new(semaphore.acquire());
        assert!(waiter.poll_with(&panicking_waker()).is_pending());
        assert!(waiter.poll().is_pending());
        semaphore.add_permits(1);
        assert_eq!(waiter.wakes(), 1);
        waiter.ready().unwrap().forget();
    }

    #[test]
    fn a_waker_may_use_the_semaphore<K>() {
        let semaphore = K::rc(Semaphore::<K>::new(0));
        let mut waiter = Hand::new(Semaphore::<K>::acquire_owned(&semaphore));
        let weak = K::downgrade(&semaphore);
        let waker = running_waker(move || {
            if let Some(semaphore) = K::upgrade(&weak) {
                semaphore.add_permits(1);
            }
        });
        assert!(waiter.poll_with(&waker).is_pending());
        drop(waker);
        // The waker adds a permit when it is woken, and another as it is dropped.
        semaphore.add_permits(1);
        waiter.ready().unwrap().forget();
        assert_eq!(semaphore.available_permits(), 2);
    }

    #[test]
    #[should_panic(expected = "polled after it was ready")]
    fn polling_on_after_the_end_panics<K>() {
        let semaphore = Semaphore::<K>::new(1);
        let mut future = Hand::new(semaphore.acquire());
        drop(future.ready());
        drop(future.poll());
    }

    #[test]
    #[should_panic(expected = "permits of two semaphores")]
    fn merging_permits_of_two_semaphores_panics<K>() {
        let (one, two) = (Semaphore::<K>::new(1), Semaphore::<K>::new(1));
        one.try_acquire().unwrap().merge(two.try_acquire().unwrap());
    }

    #[test]
    fn permits_agree_with_a_model_by_lot<K>() {
        let mut lots = Lots::new();
        for _ in 0..ROUNDS {
            let semaphore = Semaphore::<K>::new(lots.below(4));
            Model::new(&semaphore).run(&mut lots);
        }
    }

    #[test]
    fn debug_shows_how_it_stands<K>() {
        let semaphore = Semaphore::<K>::new(0);
        let _waiter = Hand::waiting(semaphore.acquire());
        let text = format!("{semaphore:?}");
        assert_eq!(text, "Semaphore { permits: 0, waiting: 1, closed: false }");
    }
}

/// What a semaphore is: a number, and a list of those who wait.
struct Model<'a, K: crate::sync::kind::Kind> {
    semaphore: &'a Semaphore<K>,
    permits: usize,
    held: Vec<Permit<K, &'a Semaphore<K>>>,
    /// Waiting and granted, in the order of their coming.
    waiters: VecDeque<Waiter<'a, K>>,
}

struct Waiter<'a, K: crate::sync::kind::Kind> {
    wants: usize,
    granted: bool,
    hand: Hand<'a, Result<Permit<K, &'a Semaphore<K>>, AcquireError>>,
}

impl<'a, K: crate::sync::kind::Kind> Model<'a, K> {
    fn new(semaphore: &'a Semaphore<K>) -> Self {
        Self {
            semaphore,
            permits: semaphore.available_permits(),
            held: Vec::new(),
            waiters: VecDeque::new(),
        }
    }

    fn grant(&mut self) {
        for waiter in &mut self.waiters {
            if !waiter.granted {
                if waiter.wants > self.permits {
                    return;
                }
                self.permits -= waiter.wants;
                waiter.granted = true;
            }
        }
    }

    fn all_granted(&self) -> bool {
        self.waiters.iter().all(|waiter| waiter.granted)
    }

    fn run(&mut self, lots: &mut Lots) {
        for _ in 0..60 {
            self.step(lots);
            self.grant();
            assert_eq!(self.semaphore.available_permits(), self.permits);
            for waiter in &self.waiters {
                assert_eq!(waiter.hand.is_woken(), waiter.granted);
            }
        }
    }

    fn step(&mut self, lots: &mut Lots) {
        match lots.below(6) {
            0 => {
                self.permits += 1;
                self.semaphore.add_permits(1);
            }
            1 => {
                let count = 1 + lots.below(3);
                let mut hand = Hand::new(self.semaphore.acquire_many(count));
                let at_once = self.all_granted() && self.permits >= count;
                if at_once {
                    self.permits -= count;
                    self.held.push(hand.ready().unwrap());
                } else {
                    assert!(hand.poll().is_pending());
                    self.waiters.push_back(Waiter {
                        wants: count,
                        granted: false,
                        hand,
                    });
                }
            }
            2 => {
                let count = lots.below(3);
                let at_once = self.all_granted() && self.permits >= count;
                let taken = self.semaphore.try_acquire_many(count);
                assert_eq!(taken.is_ok(), at_once);
                if let Ok(permit) = taken {
                    self.permits -= count;
                    self.held.push(permit);
                }
            }
            3 if !self.held.is_empty() => {
                let permit = self.held.swap_remove(lots.below(self.held.len()));
                if lots.below(4) == 0 {
                    permit.forget();
                } else {
                    self.permits += permit.count();
                }
            }
            4 if !self.waiters.is_empty() => {
                let at = lots.below(self.waiters.len());
                let waiter = self.waiters.remove(at).unwrap();
                if waiter.granted {
                    self.permits += waiter.wants;
                }
            }
            5 if !self.waiters.is_empty() => {
                let at = lots.below(self.waiters.len());
                let waiter = &mut self.waiters[at];
                match waiter.hand.poll() {
                    Poll::Pending => assert!(!waiter.granted),
                    Poll::Ready(permit) => {
                        assert!(waiter.granted);
                        self.held.push(permit.unwrap());
                        self.waiters.remove(at);
                    }
                }
            }
            _ => {}
        }
    }
}

#[test]
fn threads_and_tasks_never_hold_more_than_there_are() {
    let semaphore = Arc::new(shared::Semaphore::new(2));
    let holding = Arc::new(AtomicUsize::new(0));
    let work = |rounds: usize| {
        let (semaphore, holding) = (Arc::clone(&semaphore), Arc::clone(&holding));
        async move {
            for _ in 0..rounds {
                let permit = semaphore.acquire().await.unwrap();
                assert!(holding.fetch_add(1, Ordering::SeqCst) < 2);
                crate::task::yield_now().await;
                holding.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            }
        }
    };
    let rounds = if cfg!(miri) { 5 } else { 500 };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let work = work(rounds);
            scope.spawn(move || block_on(work));
        }
        let runtime = crate::Builder::new().build().unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..4).map(|_| crate::spawn(work(rounds))).collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn a_task_that_is_aborted_while_it_waits_leaves_no_place() {
    let runtime = crate::Builder::new().build().unwrap();
    runtime.block_on(async {
        let semaphore = Rc::new(crate::sync::Semaphore::new(0));
        let wait = |semaphore: &Rc<crate::sync::Semaphore>| {
            let semaphore = Rc::clone(semaphore);
            async move { semaphore.acquire().await.map(Permit::forget) }
        };
        let (first, second) = (
            crate::spawn(wait(&semaphore)),
            crate::spawn(wait(&semaphore)),
        );
        crate::yield_now().await;
        semaphore.add_permits(1);
        first.abort();
        assert_eq!(second.await.unwrap(), Ok(()));
        assert_eq!(semaphore.available_permits(), 0);
    });
}
