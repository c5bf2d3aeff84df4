//! Work that computes gives way when its time is up, and at once to a class with a latency goal.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulet::sync::Notify;
use annulet::task::{Class, yield_if_needed};
use annulet::{TaskBuilder, spawn, spawn_named, yield_now};

/// Computes for about so long.
fn compute(time: Duration) {
    let started = Instant::now();
    while started.elapsed() < time {}
}

#[test]
fn a_task_goes_on_while_its_time_lasts() {
    annulet::for_each_driver(|runtime| {
        let polls = runtime.block_on(async {
            let other = spawn(async {
                loop {
                    yield_now().await;
                }
            });
            let task = spawn_named("steps", async {
                for _ in 0..1_000 {
                    yield_if_needed().await;
                }
                let tasks = annulet::tasks();
                let this = tasks.iter().find(|task| task.meta.name() == Some("steps"));
                this.expect("it is running").polls
            });
            let polls = task.await.expect("it ends");
            other.abort();
            polls
        });
        // A thousand steps of nothing, unless the machine takes the processor away in between.
        assert!(polls < 20, "{polls} polls");
    });
}

#[test]
fn a_task_that_computes_gives_way_when_its_time_is_up() {
    annulet::for_each_driver(|runtime| {
        let steps = runtime.block_on(async {
            let ran = Rc::new(Cell::new(false));
            let other = Rc::clone(&ran);
            let hog = spawn(async move {
                let mut steps = 0;
                while !ran.get() {
                    compute(Duration::from_micros(20));
                    steps += 1;
                    yield_if_needed().await;
                }
                steps
            });
            spawn(async move { other.set(true) });
            hog.await.expect("it ends")
        });
        // 200 µs in steps of 20, or fewer where the machine took a part of it.
        assert!((1..=20).contains(&steps), "{steps} steps");
    });
}

#[test]
fn a_task_gives_way_at_once_to_a_class_with_a_goal() {
    let urgent = Class::new("classes-urgent")
        .latency_goal(Duration::from_millis(10))
        .register()
        .expect("there is room");
    annulet::for_each_driver(|runtime| {
        let steps = runtime.block_on(async {
            let (bell, ran) = (Rc::new(Notify::new()), Rc::new(Cell::new(false)));
            let (waits, set) = (Rc::clone(&bell), Rc::clone(&ran));
            let task = TaskBuilder::new().class(urgent).spawn(async move {
                waits.notified().await;
                set.set(true);
            });
            let steps = spawn(async move {
                yield_now().await;
                bell.notify_one();
                let mut steps = 0;
                while !ran.get() {
                    steps += 1;
                    yield_if_needed().await;
                }
                steps
            });
            let steps = steps.await.expect("it ends");
            task.await.expect("it ends");
            steps
        });
        assert_eq!(steps, 1);
    });
}
