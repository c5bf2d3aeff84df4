//! Many at once, and what one weighs: tasks and timers by the hundred thousand (by the million
//! where the compiler has optimised), under an allocator that counts.

mod support {
    pub(crate) mod alloc {
        pub(crate) mod counting;
    }
}

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use annulet::sync::Event;
use annulet::time::{self, Sleep, sleep};
use annulet::{Builder, Runtime, spawn, yield_now};
use support::alloc::counting::{Counting, allocations, live_bytes};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many there are at once.
const MANY: usize = if cfg!(debug_assertions) {
    200_000
} else {
    1_000_000
};

/// What a task may weigh beside its future, with its part of everything that the runtime keeps.
const OVERHEAD_BYTES_MAX: usize = 128;

/// The allocator counts for the whole process, so the tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_virtual_time() -> Runtime {
    Builder::new().virtual_time().build().expect("a runtime")
}

#[test]
fn a_task_weighs_at_most_128_bytes_beside_its_future() {
    /// Waits for ever, with so many words of its own.
    async fn idle<const WORDS: usize>(count: Rc<Cell<usize>>) {
        let held = [count.get(); WORDS];
        count.set(count.get() + 1);
        poll_fn(|_cx| Poll::<()>::Pending).await;
        count.set(held[0]);
    }

    fn weigh<const WORDS: usize>() -> usize {
        const TASKS: usize = 20_000;
        let runtime = Builder::new().build().expect("a runtime");
        let count = Rc::new(Cell::new(0));
        let bytes = size_of_val(&idle::<WORDS>(Rc::clone(&count)));
        runtime.block_on(async {
            let (before, allocated) = (live_bytes(), allocations());
            for _ in 0..TASKS {
                drop(spawn(idle::<WORDS>(Rc::clone(&count))));
            }
            yield_now().await;
            assert_eq!(count.get(), TASKS, "all have run, and wait");
            let each = (allocations() - allocated) / TASKS as u64;
            assert_eq!(each, 1, "header and future are one allocation");
            // Allocators round up to 16 bytes.
            ((live_bytes() - before) / TASKS).saturating_sub(bytes.next_multiple_of(16))
        })
    }

    let _alone = alone();
    for weight in [weigh::<1>(), weigh::<2>(), weigh::<13>(), weigh::<100>()] {
        assert!(
            weight <= OVERHEAD_BYTES_MAX,
            "{weight} bytes beside the future"
        );
        assert!(weight > 0, "something must be there to run it");
    }
}

#[test]
fn a_million_tasks_wait_at_once_and_are_woken_at_once() {
    let _alone = alone();
    annulet::for_each_driver(|runtime| {
        let before = live_bytes();
        runtime.block_on(async {
            let (gate, through) = (Rc::new(Event::new()), Rc::new(Cell::new(0)));
            for _ in 0..MANY {
                let (gate, through) = (Rc::clone(&gate), Rc::clone(&through));
                drop(spawn(async move {
                    gate.wait().await;
                    through.set(through.get() + 1);
                }));
            }
            yield_now().await;
            assert_eq!(through.get(), 0);
            gate.set();
            while through.get() < MANY {
                yield_now().await;
            }
        });
        assert!(runtime.task_stats().completed >= MANY as u64);
        assert!(runtime.tasks().is_empty(), "nothing is left of them");
        let kept = live_bytes().saturating_sub(before);
        assert!(kept < MANY * 64, "{kept} bytes were kept of {MANY} tasks");
    });
}

#[test]
fn a_million_timers_fire_each_at_its_time_and_the_dropped_ones_never() {
    let _alone = alone();
    in_virtual_time().block_on(async {
        // A day in a mixed order; of each three one is dropped before.
        let delay = |number: usize| Duration::from_millis((number * 7_919 % 86_400_000) as u64);
        let start = time::now();
        let fired = Rc::new(Cell::new(0));
        let mut dropped: Vec<Sleep> = Vec::new();
        for number in 0..MANY {
            if number % 3 == 0 {
                let mut timer = sleep(delay(number));
                let armed = poll_once(&mut timer);
                assert!(armed.is_pending() || delay(number).is_zero());
                dropped.push(timer);
                continue;
            }
            let fired = Rc::clone(&fired);
            drop(spawn(async move {
                sleep(delay(number)).await;
                let late = (time::now() - start).checked_sub(delay(number));
                let late = late.expect("never early");
                assert!(
                    late < Duration::from_millis(1),
                    "timer {number} is {late:?} late"
                );
                fired.set(fired.get() + 1);
            }));
        }
        let expected = MANY - dropped.len();
        yield_now().await;
        drop(dropped);
        sleep(Duration::from_secs(86_400)).await;
        assert_eq!(fired.get(), expected);
    });
}

/// Polls once, with a waker that does nothing.
fn poll_once(future: &mut (impl Future + Unpin)) -> Poll<()> {
    let mut cx = std::task::Context::from_waker(Waker::noop());
    std::pin::Pin::new(future).poll(&mut cx).map(drop)
}
