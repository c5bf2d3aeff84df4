//! Timers through the public interface: sleeps of every length, timers that meddle with each other
//! while they fire, missed ticks, and timers that others start.
//!
//! Where only order matters the clock is virtual; where the question is whether the shard sleeps
//! through something, it is real and every driver is asked.

mod support {
    pub(crate) mod random;
    pub(crate) mod watchdog;
}

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use annulet::time::{
    Interval, MissedTick, Sleep, interval, now, sleep, sleep_until, timeout, timeout_at,
};
use annulet::{Builder, Runtime, spawn, yield_now};
use support::random::{Random, seed};
use support::watchdog::Watchdog;

fn virtual_time() -> Runtime {
    Builder::new().virtual_time().build().expect("a runtime")
}

/// Durations at which something could overflow, or be nothing.
const LONGEST: [Duration; 5] = [
    Duration::MAX,
    Duration::new(u64::MAX, 0),
    Duration::from_nanos(u64::MAX),
    Duration::from_secs(u64::MAX / 1_000_000_000),
    Duration::from_secs(100 * 365 * 86_400),
];

#[test]
fn a_duration_too_long_to_count_waits_for_ever_and_panics_nowhere() {
    let runtime = virtual_time();
    runtime.block_on(async {
        for longest in LONGEST {
            let in_time = timeout(Duration::from_millis(1), sleep(longest)).await;
            assert!(in_time.is_err(), "{longest:?} is longer than a millisecond");
            let kept = timeout(longest, async { 7 }).await;
            assert_eq!(kept, Ok(7), "nothing is too late for {longest:?}");
            let mut sleep = sleep(longest);
            assert!(!sleep.is_elapsed());
            assert!(poll(&mut sleep, Waker::noop()).is_pending());
            sleep.reset(now());
            sleep.await;
        }
    });
}

#[test]
fn a_deadline_in_the_past_is_no_wait() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let present = Instant::now();
            for ago in [0, 1, 1_000, 1_000_000, 3_600_000_000_000] {
                let Some(past) = present.checked_sub(Duration::from_nanos(ago)) else {
                    continue;
                };
                sleep_until(past).await;
                assert!(
                    timeout_at(past, std::future::pending::<()>())
                        .await
                        .is_err()
                );
            }
        });
    });
}

#[test]
fn no_sleep_is_too_short_to_end_and_none_ends_early() {
    let watchdog = Watchdog::new();
    annulet::for_each_driver(|runtime| {
        watchdog.now(&format!("short sleeps on {}", runtime.driver().kind));
        runtime.block_on(async {
            // One after another, where the shard sleeps in between; then many at once, where it
            // does not.
            for ns in (0..100).chain((0..20).map(|shift| 1 << shift)) {
                let (duration, started) = (Duration::from_nanos(ns), Instant::now());
                sleep(duration).await;
                assert!(started.elapsed() >= duration, "{duration:?}");
            }
            let sleeps: Vec<_> = (0..20_000_u64)
                .map(|number| {
                    spawn(async move {
                        let (duration, started) =
                            (Duration::from_nanos(number * 50), Instant::now());
                        sleep(duration).await;
                        (started.elapsed(), duration)
                    })
                })
                .collect();
            watchdog.say("one after another, none was early");
            for sleep in sleeps {
                let (elapsed, duration) = sleep.await.expect("no panic");
                assert!(elapsed >= duration, "{elapsed:?} for {duration:?}");
            }
        });
    });
}

#[test]
fn a_timer_that_another_thread_has_started_is_not_slept_through() {
    let watchdog = Watchdog::new();
    annulet::for_each_driver(|runtime| {
        let handle = runtime.handle();
        let helper = thread::spawn(move || {
            for round in 0..200_u64 {
                // The shard sleeps for an hour, or is about to, when the short timer is started.
                let call = handle.spawn(move || async move {
                    sleep(Duration::from_micros(round)).await;
                    round
                });
                let alone = Builder::new().build().expect("a runtime");
                assert_eq!(alone.block_on(call).expect("no panic"), round);
            }
        });
        watchdog.now(&format!(
            "timers from elsewhere on {}",
            runtime.driver().kind
        ));
        runtime.block_on(async {
            let hour = spawn(sleep(Duration::from_secs(3600)));
            while !helper.is_finished() {
                sleep(Duration::from_millis(2)).await;
            }
            hour.abort();
        });
        helper.join().expect("every timer fired");
    });
}

#[test]
fn timers_that_wait_longer_fire_though_shorter_ones_are_started_for_ever() {
    annulet::for_each_driver(|runtime| {
        let ended = runtime.block_on(async {
            let busy = spawn(async {
                loop {
                    sleep(Duration::from_micros(50)).await;
                }
            });
            let started = Instant::now();
            sleep(Duration::from_millis(20)).await;
            busy.abort();
            started.elapsed()
        });
        assert!(ended >= Duration::from_millis(20));
    });
}

fn poll(sleep: &mut Sleep, waker: &Waker) -> Poll<()> {
    Pin::new(sleep).poll(&mut Context::from_waker(waker))
}

thread_local! {
    /// Sleeps that a waker may do something to, and what it does.
    static SLEEPS: RefCell<HashMap<u64, Sleep>> = RefCell::default();
    static WOKEN: Cell<u64> = const { Cell::new(0) };
    static LOTS: RefCell<Option<Random>> = const { RefCell::new(None) };
}

/// A waker that, when its timer fires, drops, resets or starts others that may be firing as well.
struct Meddler(u64);

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        WOKEN.set(WOKEN.get() + 1);
        let (other, deed, later_us, spares) = LOTS.with_borrow_mut(|lots| {
            let lots = lots.as_mut().expect("set by the test");
            (
                lots.below(64),
                lots.below(4),
                lots.below(300),
                lots.once_in(8),
            )
        });
        if spares {
            return;
        }
        let Some(mut sleep) = SLEEPS.with_borrow_mut(|sleeps| sleeps.remove(&u64::from(other)))
        else {
            return;
        };
        match deed {
            0 => return,
            1 => sleep.reset(now()),
            2 => sleep.reset(now() + Duration::from_micros(later_us.into())),
            _ => {}
        }
        if poll(&mut sleep, &Arc::new(Self(self.0 + 1)).into()).is_pending() {
            SLEEPS.with_borrow_mut(|sleeps| sleeps.insert(u64::from(other), sleep));
        }
    }
}

#[test]
fn timers_may_be_dropped_and_reset_by_the_wakers_of_those_that_fire() {
    let seed = seed();
    let runtime = virtual_time();
    runtime.block_on(async {
        for round in 0..100 {
            let mut random = Random::new(seed + round);
            for number in 0..64_u64 {
                // A few ticks, so that many fire in the same turn.
                let mut sleep = sleep(Duration::from_micros(random.below(400).into()));
                if poll(&mut sleep, &Arc::new(Meddler(0)).into()).is_pending() {
                    SLEEPS.with_borrow_mut(|sleeps| sleeps.insert(number, sleep));
                }
            }
            LOTS.set(Some(random));
            // Longer than any of them, however often they were reset.
            sleep(Duration::from_secs(3600)).await;
            SLEEPS.with_borrow(|sleeps| {
                for sleep in sleeps.values() {
                    assert!(sleep.is_elapsed(), "seed {seed}, round {round}");
                }
            });
            let left = SLEEPS.take();
            drop(left);
        }
    });
    assert!(WOKEN.get() > 1000, "{} wakes", WOKEN.get());
}

/// When an interval of 10 ms ticks, in milliseconds, if it is not asked between 0 and 35.
async fn ticks_after_a_stall(policy: MissedTick) -> Vec<u128> {
    let start = now();
    let mut interval: Interval = interval(Duration::from_millis(10)).missed_tick(policy);
    interval.tick().await;
    sleep(Duration::from_millis(35)).await;
    let mut ticks = Vec::new();
    for _ in 0..6 {
        interval.tick().await;
        ticks.push(now().duration_since(start).as_millis());
    }
    ticks
}

#[test]
fn missed_ticks_are_made_up_for_put_off_or_skipped_as_asked() {
    let runtime = virtual_time();
    runtime.block_on(async {
        let burst = ticks_after_a_stall(MissedTick::Burst).await;
        assert_eq!(burst, [35, 35, 35, 40, 50, 60]);
        let delay = ticks_after_a_stall(MissedTick::Delay).await;
        assert_eq!(delay, [35, 45, 55, 65, 75, 85]);
        let skip = ticks_after_a_stall(MissedTick::Skip).await;
        assert_eq!(skip, [35, 40, 50, 60, 70, 80]);
    });
}

#[test]
fn a_jump_of_a_year_fires_what_is_due_and_nothing_else() {
    let runtime = virtual_time();
    runtime.block_on(async {
        let day = Duration::from_secs(86_400);
        let days: Vec<_> = (1..=730_u32).map(|days| spawn(sleep(day * days))).collect();
        yield_now().await;
        sleep(day * 365).await;
        yield_now().await;
        let fired = days.iter().filter(|sleep| sleep.is_finished()).count();
        assert!((364..=365).contains(&fired), "{fired}");
    });
}

#[test]
fn a_sleep_that_is_polled_by_another_task_wakes_that_one() {
    let runtime = virtual_time();
    runtime.block_on(async {
        let sleep = Rc::new(RefCell::new(sleep(Duration::from_millis(5))));
        let first = Rc::clone(&sleep);
        let first = spawn(std::future::poll_fn(move |cx| {
            Pin::new(&mut *first.borrow_mut()).poll(cx)
        }));
        yield_now().await;
        let second = spawn(std::future::poll_fn(move |cx| {
            Pin::new(&mut *sleep.borrow_mut()).poll(cx)
        }));
        second.await.expect("no panic");
        assert!(!first.is_finished(), "the last one to ask is woken");
        first.abort();
    });
}
