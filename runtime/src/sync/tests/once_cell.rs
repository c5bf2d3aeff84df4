//! The cell that is filled once.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use super::{Hand, Lots, ROUNDS, block_on, for_both_kinds, now, panicking_waker};
use crate::sync::generic::OnceCell;
use crate::sync::{SetError, shared};

/// Waits once, for a wake that a test gives.
async fn pause() {
    let mut paused = false;
    poll_fn(|_| {
        if std::mem::replace(&mut paused, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

for_both_kinds! {
    #[test]
    fn the_first_makes_the_value_for_all<K>() {
        let cell = OnceCell::<_, K>::new();
        assert_eq!(cell.get(), None);
        assert_eq!(now(cell.get_or_init(async || 1)), &1);
        assert_eq!(now(cell.get_or_init(async || unreachable!())), &1);
        assert_eq!(cell.into_inner(), Some(1));
    }

    #[test]
    fn who_comes_meanwhile_waits_for_the_value<K>() {
        let cell = OnceCell::<_, K>::new();
        let mut maker = Hand::waiting(cell.get_or_init(async || {
            pause().await;
            7
        }));
        let mut others: Vec<_> =
            (0..3).map(|_| Hand::waiting(cell.get_or_init(async || unreachable!()))).collect();
        assert_eq!(maker.ready(), &7);
        for other in &mut others {
            assert_eq!(other.wakes(), 1);
            assert_eq!(other.ready(), &7);
        }
    }

    #[test]
    fn a_maker_that_is_dropped_lets_the_next_try<K>() {
        let cell = OnceCell::<_, K>::new();
        let maker = Hand::waiting(cell.get_or_init(async || pending().await));
        let mut second = Hand::waiting(cell.get_or_init(async || 2));
        let mut third = Hand::waiting(cell.get_or_init(async || unreachable!()));
        drop(maker);
        assert!(second.is_woken() && !third.is_woken());
        assert_eq!(second.ready(), &2);
        assert_eq!(third.ready(), &2);
    }

    #[test]
    fn a_turn_given_to_a_dropped_waiter_goes_to_the_next<K>() {
        let cell = OnceCell::<_, K>::new();
        let maker = Hand::waiting(cell.get_or_init(async || pending().await));
        let second = Hand::waiting(cell.get_or_init(async || unreachable!()));
        let mut third = Hand::waiting(cell.get_or_init(async || 3));
        drop(maker);
        drop(second);
        assert_eq!(third.ready(), &3);
    }

    #[test]
    fn a_maker_that_fails_lets_the_next_try<K>() {
        let cell = OnceCell::<_, K>::new();
        let mut maker = Hand::waiting(cell.get_or_try_init(async || {
            pause().await;
            Err::<u8, _>("no")
        }));
        let mut second = Hand::waiting(cell.get_or_try_init(async || Ok::<_, ()>(2)));
        assert_eq!(maker.ready(), Err("no"));
        assert_eq!(second.ready(), Ok(&2));
        assert_eq!(now(cell.get_or_try_init(async || Err("not asked"))), Ok(&2));
    }

    #[test]
    fn a_maker_that_panics_lets_the_next_try<K>() {
        let cell = OnceCell::<_, K>::new();
        let mut maker = Hand::waiting(cell.get_or_init(async || {
            pause().await;
            panic!("on purpose")
        }));
        let mut second = Hand::waiting(cell.get_or_init(async || 2));
        assert!(catch_unwind(AssertUnwindSafe(|| maker.poll().is_ready())).is_err());
        drop(maker);
        assert_eq!(second.ready(), &2);
    }

    #[test]
    fn a_value_is_set_unless_there_is_one_or_one_is_made<K>() {
        let cell = OnceCell::<_, K>::default();
        let maker = Hand::waiting(cell.get_or_init(async || pending().await));
        assert_eq!(cell.set(1), Err(SetError::Initializing(1)));
        drop(maker);
        assert_eq!(cell.set(2), Ok(()));
        assert_eq!(cell.set(3).map_err(SetError::into_inner), Err(3));
        assert_eq!(cell.set(3), Err(SetError::Filled(3)));
        assert_eq!(format!("{cell:?}"), "OnceCell(Some(2))");
    }

    #[test]
    fn a_cell_that_was_emptied_is_filled_again<K>() {
        let mut cell = OnceCell::<_, K>::from(1);
        *cell.get_mut().unwrap() += 1;
        assert_eq!(cell.set(9), Err(SetError::Filled(9)));
        assert_eq!(cell.take(), Some(2));
        assert_eq!(cell.get(), None);
        assert_eq!(now(cell.get_or_init(async || 3)), &3);
    }

    #[test]
    fn a_waker_that_panics_keeps_nobody_waiting<K>() {
        let cell = OnceCell::<_, K>::new();
        let maker = Hand::waiting(cell.get_or_init(async || pending().await));
        let mut second = Hand::new(cell.get_or_init(async || 2));
        assert!(second.poll_with(&panicking_waker()).is_pending());
        let mut third = Hand::waiting(cell.get_or_init(async || unreachable!()));
        drop(maker);
        assert_eq!(second.ready(), &2);
        assert_eq!(third.ready(), &2);
    }

    #[test]
    fn one_value_is_made_by_lot<K>() {
        let mut lots = Lots::new();
        for _ in 0..ROUNDS {
            let (cell, made) = (OnceCell::<usize, K>::new(), Cell::new(0));
            // Each pauses a number of times, and then fails or not.
            let mut hands: Vec<_> = (0..6)
                .map(|number| {
                    let (cell, made) = (&cell, &made);
                    let (pauses, fails) = (lots.below(3), lots.below(3) == 0);
                    Hand::new(cell.get_or_try_init(async move || {
                        for _ in 0..pauses {
                            pause().await;
                        }
                        if fails {
                            return Err(());
                        }
                        made.set(made.get() + 1);
                        Ok(number)
                    }))
                })
                .collect();
            while !hands.is_empty() {
                let at = lots.below(hands.len());
                if lots.below(5) == 0 || hands[at].poll().is_ready() {
                    drop(hands.swap_remove(at));
                }
            }
            assert!(made.get() <= 1);
            assert_eq!(cell.get().is_some(), made.get() == 1);
            assert_eq!(now(cell.get_or_init(async || 9)), cell.get().unwrap());
        }
    }
}

#[test]
fn threads_and_tasks_make_one_value() {
    for _ in 0..if cfg!(miri) { 2 } else { 50 } {
        let (cell, made) = (
            Arc::new(shared::OnceCell::new()),
            Arc::new(AtomicUsize::new(0)),
        );
        let get = || {
            let (cell, made) = (Arc::clone(&cell), Arc::clone(&made));
            async move {
                let value = cell.get_or_init(async || {
                    crate::task::yield_now().await;
                    made.fetch_add(1, Ordering::Relaxed) + 1
                });
                *value.await
            }
        };
        std::thread::scope(|scope| {
            let threads = [get(), get()].map(|work| scope.spawn(move || block_on(work)));
            assert_eq!(crate::Builder::new().build().unwrap().block_on(get()), 1);
            for thread in threads {
                assert_eq!(thread.join().unwrap(), 1);
            }
        });
    }
}
