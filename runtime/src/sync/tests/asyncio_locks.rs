//! What asyncio's tests of its locks show, as tasks of a shard: order, cancellation, races of both.
//!
//! `docs/asyncio/locks.md` says which case is shown by which test, here or beside.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::Hand;
use crate::sync::{Barrier, BrokenBarrier, Condition, Event, Mutex, Semaphore};
use crate::task::{JoinHandle, yield_now};
use crate::time::{sleep, timeout};
use crate::{Builder, spawn};

/// Runs a test as the first task of a shard, on a clock that jumps.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new().virtual_time().build().unwrap();
    runtime.block_on(test)
}

/// Lets every task that is ready run, and what they make ready.
async fn settle() {
    for _ in 0..10 {
        yield_now().await;
    }
}

type Log<T> = Rc<RefCell<Vec<T>>>;

/// A task that locks, writes its number down, and keeps the lock for so many turns.
fn locker(mutex: &Rc<Mutex<()>>, log: &Log<u32>, number: u32, turns: u32) -> JoinHandle<()> {
    let (mutex, log) = (Rc::clone(mutex), Rc::clone(log));
    spawn(async move {
        let _held = mutex.lock().await;
        log.borrow_mut().push(number);
        for _ in 0..turns {
            yield_now().await;
        }
    })
}

#[test]
fn a_lock_goes_through_its_tasks_in_order() {
    run(async {
        let (mutex, log) = (Rc::new(Mutex::new(())), Log::default());
        let held = mutex.lock().await;
        let tasks = [1, 2].map(|number| locker(&mutex, &log, number, 3));
        settle().await;
        assert!(log.borrow().is_empty());
        let late = locker(&mutex, &log, 3, 0);
        drop(held);
        settle().await;
        settle().await;
        assert_eq!(*log.borrow(), [1, 2, 3]);
        assert!(late.is_finished() && tasks.iter().all(JoinHandle::is_finished));
    });
}

#[test]
fn a_release_and_the_abort_of_the_next_at_once_serve_the_one_after() {
    run(async {
        for release_first in [true, false] {
            let (mutex, log) = (Rc::new(Mutex::new(())), Log::default());
            let held = mutex.lock().await;
            let [next, after, last] = [1, 2, 3].map(|number| locker(&mutex, &log, number, 100));
            settle().await;
            if release_first {
                drop(held);
                next.abort();
            } else {
                next.abort();
                drop(held);
            }
            assert!(next.await.unwrap_err().is_cancelled());
            settle().await;
            assert_eq!(*log.borrow(), [2], "one lock, one holder");
            after.abort();
            last.await.unwrap();
            assert_eq!(*log.borrow(), [2, 3]);
        }
    });
}

#[test]
fn tasks_that_find_the_event_set_need_not_wait_for_those_who_do() {
    run(async {
        let (event, log) = (Rc::new(Event::new()), Log::default());
        let waiter = |number: u32| {
            let (event, log) = (Rc::clone(&event), Rc::clone(&log));
            spawn(async move {
                event.wait().await;
                log.borrow_mut().push(number);
            })
        };
        let early = [waiter(1), waiter(2)];
        settle().await;
        let late = waiter(3);
        event.set();
        late.await.unwrap();
        settle().await;
        let order: Vec<_> = log
            .borrow()
            .iter()
            .copied()
            .filter(|&number| number < 3)
            .collect();
        assert_eq!(order, [1, 2]);
        assert_eq!(log.borrow().len(), 3);
        assert!(early.iter().all(JoinHandle::is_finished));
    });
}

#[test]
fn a_semaphore_serves_tasks_round_robin() {
    run(async {
        let (semaphore, log) = (Rc::new(Semaphore::new(1)), Log::default());
        let tasks = [1, 2, 3].map(|number| {
            let (semaphore, log) = (Rc::clone(&semaphore), Rc::clone(&log));
            spawn(async move {
                for round in 0..2 {
                    let permit = semaphore.acquire().await.unwrap();
                    log.borrow_mut().push((round, number));
                    sleep(Duration::from_millis(10)).await;
                    drop(permit);
                }
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(
            *log.borrow(),
            [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
        );
    });
}

#[test]
fn who_gives_a_permit_back_and_asks_again_stands_behind_the_others() {
    run(async {
        let (semaphore, log) = (Rc::new(Semaphore::new(1)), Log::default());
        let once = |number: u32| {
            let (semaphore, log) = (Rc::clone(&semaphore), Rc::clone(&log));
            spawn(async move {
                semaphore.acquire().await.unwrap().forget();
                log.borrow_mut().push(number);
            })
        };
        let twice = {
            let (semaphore, log) = (Rc::clone(&semaphore), Rc::clone(&log));
            async move {
                drop(semaphore.acquire().await.unwrap());
                log.borrow_mut().push(2);
                semaphore.acquire().await.unwrap().forget();
                log.borrow_mut().push(4);
            }
        };
        let tasks = [once(1), spawn(twice), once(3)];
        yield_now().await;
        semaphore.add_permits(1);
        settle().await;
        assert_eq!(*log.borrow(), [1, 2, 3]);
        semaphore.add_permits(1);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*log.borrow(), [1, 2, 3, 4]);
    });
}

#[test]
fn who_was_given_a_permit_and_has_not_run_is_not_waited_for() {
    run(async {
        let semaphore = Rc::new(Semaphore::new(0));
        let mut waiting = Hand::waiting(semaphore.acquire());
        semaphore.add_permits(2);
        let other = semaphore.try_acquire().unwrap();
        drop(waiting.ready());
        drop(other);
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn permits_pass_over_tasks_that_were_aborted() {
    run(async {
        let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::default());
        let [one, two, three, four] = [1, 2, 3, 4].map(|number| {
            let (semaphore, log) = (Rc::clone(&semaphore), Rc::clone(&log));
            spawn(async move {
                semaphore.acquire().await.unwrap().forget();
                log.borrow_mut().push(number);
            })
        });
        settle().await;
        one.abort();
        two.abort();
        semaphore.add_permits(1);
        settle().await;
        assert_eq!(*log.borrow(), [3]);
        assert!(three.is_finished() && !four.is_finished());
        semaphore.add_permits(1);
        four.await.unwrap();
    });
}

#[test]
fn a_permit_is_free_again_after_its_holder_aborts_the_next() {
    run(async {
        let semaphore = Rc::new(Semaphore::new(1));
        let next: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let first = spawn({
            let (semaphore, next) = (Rc::clone(&semaphore), Rc::clone(&next));
            async move {
                let permit = semaphore.acquire().await.unwrap();
                yield_now().await;
                drop(permit);
                next.borrow().as_ref().unwrap().abort();
            }
        });
        *next.borrow_mut() = Some(spawn({
            let semaphore = Rc::clone(&semaphore);
            async move {
                let _permit = semaphore.acquire().await.unwrap();
                unreachable!("it is aborted before it runs");
            }
        }));
        first.await.unwrap();
        let next = next.take().unwrap();
        assert!(next.await.unwrap_err().is_cancelled());
        let free = timeout(Duration::from_secs(1), semaphore.acquire()).await;
        drop(free.unwrap().unwrap());
    });
}

/// Takes from a stock whenever there is something, until it is told to stop by less than nothing.
fn consumer(stock: &Rc<(Mutex<i32>, Condition)>) -> JoinHandle<()> {
    let stock = Rc::clone(stock);
    spawn(async move {
        let (amount, changed) = &*stock;
        let mut held = amount.lock().await;
        loop {
            held = changed.wait_for(held, |amount| *amount != 0).await;
            if *held < 0 {
                return;
            }
            *held -= 1;
        }
    })
}

#[test]
fn a_notification_for_an_aborted_task_reaches_another() {
    run(async {
        // Aborted while it waits for the word, and while it waits for the lock with the word.
        for turns in [0, 10] {
            let stock = Rc::new((Mutex::new(0), Condition::new()));
            let (amount, changed) = &*stock;
            let consumers = [consumer(&stock), consumer(&stock)];
            settle().await;
            let mut held = amount.lock().await;
            *held += 1;
            changed.notify_one();
            for _ in 0..turns {
                yield_now().await;
            }
            consumers[0].abort();
            drop(held);
            settle().await;
            let mut held = amount.lock().await;
            assert_eq!(*held, 0, "the item was taken");
            *held = -1;
            changed.notify_all();
            drop(held);
            let [aborted, done] = consumers;
            assert!(aborted.await.unwrap_err().is_cancelled());
            done.await.unwrap();
        }
    });
}

#[test]
fn an_aborted_wait_leaves_the_lock_to_others() {
    run(async {
        let stock = Rc::new((Mutex::new(0), Condition::new()));
        let waiter = consumer(&stock);
        settle().await;
        assert!(!stock.0.is_locked());
        waiter.abort();
        assert!(waiter.await.unwrap_err().is_cancelled());
        assert!(stock.0.try_lock().is_some());
    });
}

#[test]
fn a_wait_that_runs_out_of_time_has_let_go_of_the_lock() {
    run(async {
        let (mutex, changed) = (Mutex::new(7), Condition::new());
        let held = mutex.lock().await;
        let waited = timeout(Duration::from_millis(500), changed.wait(held)).await;
        assert!(waited.is_err());
        assert_eq!(
            *timeout(Duration::from_secs(1), mutex.lock()).await.unwrap(),
            7
        );
    });
}

/// Five tasks that run the same, with the number of each.
async fn five<T: 'static, F>(run: impl Fn(Rc<Barrier>) -> F) -> (Rc<Barrier>, Vec<T>)
where
    F: Future<Output = T> + 'static,
{
    let barrier = Rc::new(Barrier::new(5));
    let tasks: Vec<_> = (0..5).map(|_| spawn(run(Rc::clone(&barrier)))).collect();
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.unwrap());
    }
    assert_eq!(barrier.waiting(), 0);
    (barrier, outputs)
}

#[test]
fn tasks_meet_twice_and_each_has_an_index_of_its_own() {
    run(async {
        let (barrier, mut indices) = five(|barrier| async move {
            barrier.wait().await.unwrap();
            barrier.wait().await.unwrap().index()
        })
        .await;
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2, 3, 4]);
        assert!(!barrier.is_broken());
    });
}

#[test]
fn who_waits_again_at_once_is_not_let_through_with_the_round_before() {
    run(async {
        let again = Rc::new(Cell::new(0));
        let others = Rc::new(Barrier::new(3));
        let (barrier, _) = five(|barrier| {
            let (again, others) = (Rc::clone(&again), Rc::clone(&others));
            async move {
                barrier.wait().await.unwrap();
                again.set(again.get() + 1);
                if again.get() > 2 {
                    // Three meet elsewhere first: two wait here for them meanwhile.
                    others.wait().await.unwrap();
                }
                barrier.wait().await.unwrap();
            }
        })
        .await;
        assert!(!barrier.is_broken());
    });
}

#[test]
fn a_reset_after_a_round_turns_away_only_those_of_the_next() {
    run(async {
        let through = Rc::new(Cell::new(0));
        let (barrier, turned_away) = five(|barrier| {
            let through = Rc::clone(&through);
            async move {
                barrier.wait().await.expect("all five came");
                through.set(through.get() + 1);
                if through.get() == 3 {
                    barrier.reset();
                }
                let away = barrier.wait().await.is_err();
                if away {
                    // Mended: whoever was turned away comes again.
                    barrier.wait().await.unwrap();
                }
                away
            }
        })
        .await;
        assert_eq!(turned_away.iter().filter(|&&away| away).count(), 2);
        assert!(!barrier.is_broken());
    });
}

#[test]
fn a_reset_lets_those_it_turned_away_meet_again() {
    run(async {
        let barrier = Rc::new(Barrier::new(5));
        let tasks = [0; 4].map(|_| {
            let barrier = Rc::clone(&barrier);
            spawn(async move {
                let first = barrier.wait().await;
                let second = barrier.wait().await;
                (first.map(|_| ()), second.is_ok())
            })
        });
        settle().await;
        barrier.reset();
        settle().await;
        assert_eq!(barrier.waiting(), 4);
        barrier.wait().await.unwrap();
        for task in tasks {
            assert_eq!(task.await.unwrap(), (Err(BrokenBarrier), true));
        }
    });
}

#[test]
fn a_reset_by_the_last_through_turns_away_who_waits_again() {
    run(async {
        let through = Rc::new(Cell::new(0));
        let (barrier, met) = five(|barrier| {
            let through = Rc::clone(&through);
            async move {
                barrier.wait().await.unwrap();
                through.set(through.get() + 1);
                if through.get() == 5 {
                    barrier.reset();
                }
                let second = barrier.wait().await.is_ok();
                if !second {
                    barrier.wait().await.unwrap();
                }
                second
            }
        })
        .await;
        assert_eq!(
            met.iter().filter(|&&met| met).count(),
            1,
            "the one that reset it"
        );
        assert!(!barrier.is_broken());
    });
}

#[test]
fn an_abort_after_a_round_turns_away_only_those_who_come_again() {
    run(async {
        let through = Rc::new(Cell::new(0));
        let (barrier, second) = five(|barrier| {
            let through = Rc::clone(&through);
            async move {
                barrier.wait().await.expect("all five came");
                through.set(through.get() + 1);
                if through.get() == 3 {
                    barrier.abort();
                }
                barrier.wait().await.map(|_| ())
            }
        })
        .await;
        assert_eq!(second, [Err(BrokenBarrier); 5]);
        assert!(barrier.is_broken());
    });
}

#[test]
fn a_task_that_fails_breaks_the_barrier_for_the_others_until_it_is_reset() {
    run(async {
        let meeting = Rc::new(Barrier::new(5));
        let (barrier, outputs) = five(|barrier| {
            let meeting = Rc::clone(&meeting);
            async move {
                let failed = barrier.wait().await.unwrap().index() == 2;
                if failed {
                    barrier.abort();
                }
                let turned_away = !failed && barrier.wait().await.is_err();
                if meeting.wait().await.unwrap().is_leader() {
                    barrier.reset();
                }
                meeting.wait().await.unwrap();
                barrier.wait().await.unwrap();
                turned_away
            }
        })
        .await;
        assert_eq!(outputs.iter().filter(|&&away| away).count(), 4);
        assert!(!barrier.is_broken());
    });
}
