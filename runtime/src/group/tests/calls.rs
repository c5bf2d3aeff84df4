//! Calls at the next turn and at an instant, and calls at the end of a task.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::{Count, Log, block_on, planned, runtime, seconds, wait_seconds};
use crate::group::{call_at, call_later, defer};
use crate::time::now;
use crate::{spawn, yield_now};

#[test]
fn calls_and_tasks_take_turns_in_the_order_they_came() {
    block_on(async {
        let log = Log::default();
        for number in 0..6 {
            let log = log.clone();
            let say = move || log.say(number.to_string());
            if number % 2 == 0 {
                drop(defer(say));
            } else {
                drop(spawn(async move { say() }));
            }
        }
        assert!(log.take().is_empty(), "not before the next turn");
        yield_now().await;
        assert_eq!(log.take(), ["0", "1", "2", "3", "4", "5"]);
    });
}

#[test]
fn a_call_made_by_a_call_has_its_own_turn() {
    block_on(async {
        let log = Log::default();
        let (first, second) = (log.clone(), log.clone());
        defer(move || {
            first.say("first");
            defer(move || first.say("third"));
        });
        defer(move || second.say("second"));
        yield_now().await;
        yield_now().await;
        assert_eq!(log.take(), ["first", "second", "third"]);
    });
}

#[test]
fn a_call_gives_its_output_or_is_kept_from_happening() {
    block_on(async {
        assert_eq!(defer(|| 42).await.expect("no panic"), 42);
        let calls = Count::default();
        let guard = calls.on_drop();
        let call = defer(move || guard.0.add(10));
        call.abort();
        assert_eq!(calls.read(), 1, "dropped, and not made");
        assert!(call.await.expect_err("aborted").is_cancelled());
    });
}

#[test]
fn a_panic_in_a_call_stops_no_other() {
    let runtime = runtime();
    let heard = Rc::new(Cell::new(0));
    let hears = Rc::clone(&heard);
    runtime.set_unhandled(move |_, _| hears.set(hears.get() + 1));
    runtime.block_on(async {
        let calls = Count::default();
        drop(defer(|| planned::<()>("in a call")));
        call_later(seconds(1), || planned("in a later call"));
        let count = calls.clone();
        call_later(seconds(1), move || count.add(1));
        wait_seconds(2).await;
        assert_eq!(calls.read(), 1);
    });
    assert_eq!(heard.get(), 2);
}

#[test]
fn later_calls_come_in_the_order_of_their_instants_and_never_early() {
    block_on(async {
        let log = Log::default();
        let start = now();
        for after in [3, 1, 2] {
            let log = log.clone();
            let handle = call_later(seconds(after), move || {
                assert!(now() >= start + seconds(after));
                log.say(after.to_string());
            });
            let when = handle.when().expect("it can be counted");
            assert!(when >= start + seconds(after));
        }
        wait_seconds(4).await;
        assert_eq!(log.take(), ["1", "2", "3"]);
    });
}

#[test]
fn calls_at_one_instant_come_in_the_order_they_were_asked_for() {
    block_on(async {
        let log = Log::default();
        let at = now() + seconds(1);
        for number in 0..50 {
            let log = log.clone();
            call_at(at, move || log.say(number.to_string()));
        }
        wait_seconds(2).await;
        let expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        assert_eq!(log.take(), expected);
    });
}

#[test]
fn a_cancelled_call_is_dropped_at_once_and_never_made() {
    block_on(async {
        let calls = Count::default();
        let guard = calls.on_drop();
        let handle = call_later(seconds(5), move || guard.0.add(10));
        assert!(!handle.is_cancelled() && !handle.is_finished());
        wait_seconds(1).await;
        handle.cancel();
        assert_eq!(calls.read(), 1);
        assert!(handle.is_cancelled() && handle.is_finished());
        handle.cancel();
        wait_seconds(10).await;
        assert_eq!(calls.read(), 1);
    });
}

#[test]
fn a_call_that_was_made_cannot_be_cancelled() {
    block_on(async {
        let calls = Count::default();
        let count = calls.clone();
        let handle = call_later(seconds(1), move || count.add(1));
        wait_seconds(2).await;
        handle.cancel();
        assert!(handle.is_finished() && !handle.is_cancelled());
        assert_eq!(calls.read(), 1);
    });
}

#[test]
fn a_call_may_cancel_the_next() {
    block_on(async {
        let calls = Count::default();
        let at = now() + seconds(1);
        let slot = Rc::new(Cell::new(None::<super::super::TimerHandle>));
        let other = Rc::clone(&slot);
        call_at(at, move || other.take().expect("set").cancel());
        let count = calls.clone();
        slot.set(Some(call_at(at, move || count.add(1))));
        wait_seconds(2).await;
        assert_eq!(calls.read(), 0);
    });
}

#[test]
fn a_call_due_in_the_past_comes_at_the_next_turn() {
    block_on(async {
        let calls = Count::default();
        for at in [now() - seconds(5), now()] {
            let count = calls.clone();
            call_at(at, move || count.add(1));
        }
        let count = calls.clone();
        call_later(Duration::ZERO, move || count.add(1));
        assert_eq!(calls.read(), 0);
        yield_now().await;
        assert_eq!(calls.read(), 3);
    });
}

#[test]
fn a_delay_too_long_to_count_is_for_ever() {
    let runtime = runtime();
    runtime.block_on(async {
        let handle = call_later(Duration::MAX, || planned("after for ever"));
        assert_eq!(handle.when(), None);
        wait_seconds(1_000_000).await;
        assert!(!handle.is_finished());
        assert!(format!("{handle:?}").contains("when: None"));
    });
    drop(runtime);
}

#[test]
fn calls_at_the_end_of_a_task_follow_each_other() {
    block_on(async {
        let log = Log::default();
        let (first, second) = (log.clone(), log.clone());
        let task = spawn(async { 6 });
        let doubled = task
            .on_done(move |output| {
                first.say("first");
                output.expect("no panic") * 2
            })
            .on_done(move |output| {
                second.say("second");
                output.expect("no panic") + 1
            });
        assert!(log.take().is_empty());
        assert_eq!(doubled.await.expect("no panic"), 13);
        assert_eq!(log.take(), ["first", "second"]);
    });
}

#[test]
fn a_call_at_the_end_hears_of_aborts_and_panics_and_needs_no_keeper() {
    block_on(async {
        let log = Log::default();
        for end in ["abort", "panic", "output"] {
            let log = log.clone();
            let task = spawn(async move {
                yield_now().await;
                if end == "panic" {
                    planned::<()>(end);
                }
            });
            if end == "abort" {
                task.abort();
            }
            drop(task.on_done(move |output| {
                let heard = match output {
                    Ok(()) => "output",
                    Err(error) if error.is_panic() => "panic",
                    Err(_) => "abort",
                };
                log.say(format!("{end}: {heard}"));
            }));
        }
        wait_seconds(1).await;
        let mut heard = log.take();
        heard.sort_unstable();
        assert_eq!(heard, ["abort: abort", "output: output", "panic: panic"]);
    });
}
