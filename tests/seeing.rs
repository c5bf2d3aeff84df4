//! What a program can see of itself: counters and histograms, the listing of tasks, and stalls.

mod support {
    pub(crate) mod streams;
}

use std::future::pending;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use annulet::net::TcpStream;
use annulet::task::{Class, TaskState, Wait};
use annulet::{Builder, Stall, TaskBuilder, spawn, spawn_named, yield_now};
use support::streams::connected;

/// How long a task may hold up its shard in these tests.
const THRESHOLD: Duration = Duration::from_millis(20);

#[test]
fn a_reading_counts_what_was_done_and_a_difference_leaves_out_what_was_before() {
    annulet::for_each_driver(|runtime| {
        let before = runtime.metrics();
        runtime.block_on(async {
            for _ in 0..10 {
                spawn(yield_now()).await.expect("it ends");
            }
        });
        let metrics = runtime.metrics().since(&before);
        // The future of `block_on` is a task too.
        assert_eq!((metrics.tasks.spawned, metrics.tasks.completed), (11, 11));
        assert!(metrics.tasks.polls >= 31, "{:?}", metrics.tasks);
        assert_eq!(metrics.poll_time.count(), metrics.tasks.polls);
        assert!(metrics.turns.ticks > 0 && metrics.turns.busy_ns > 0);
        assert!(!metrics.schedule_delay.is_empty());
        assert_eq!(metrics.classes[0].name, "default");
        assert_eq!(metrics.classes[0].polls, metrics.tasks.polls);
    });
}

#[test]
fn operations_are_timed_by_their_kind() {
    annulet::for_each_driver(|runtime| {
        let (near, far) = connected().expect("loopback");
        runtime.block_on(async {
            let near = TcpStream::from_std(near).expect("taken over");
            let far = TcpStream::from_std(far).expect("taken over");
            let reader = spawn(async move { far.read(vec![0; 4]).await.map(|(bytes, _)| bytes) });
            yield_now().await;
            near.write_all("ping").await.expect("sent");
            assert_eq!(reader.await.expect("it ends").expect("received"), 4);
        });
        let metrics = runtime.metrics();
        // Where there is no ring, what is timed is the wait.
        let timed = metrics.operation("recv").or(metrics.operation("poll_add"));
        let timed = timed.unwrap_or_else(|| panic!("{:?}", metrics.operations));
        assert!(timed.count() >= 1 && timed.max() > Duration::ZERO);
    });
}

#[test]
fn messages_are_timed_on_their_way_and_timers_by_how_late_they_are() {
    annulet::for_each_driver(|runtime| {
        let before = runtime.metrics();
        assert!(before.hop.is_empty() && before.timer_lateness.is_empty());
        let handle = runtime.handle();
        let thread = std::thread::spawn(move || {
            (0..3).for_each(|_| handle.call(|| {}).expect("the shard is there"));
        });
        thread.join().expect("it sends");
        let wait = Duration::from_millis(2);
        runtime.block_on(async {
            annulet::time::sleep(wait).await;
            // Nothing is waited for, so nothing is late.
            annulet::time::sleep(Duration::ZERO).await;
        });
        let metrics = runtime.metrics();
        assert_eq!(metrics.hop.count(), 3);
        assert!(metrics.hop.max() > Duration::ZERO);
        assert_eq!(metrics.timer_lateness.count(), 1);
        assert!(metrics.timer_lateness.max() > Duration::ZERO);
    });
}

#[test]
fn a_handle_reads_the_meter_of_a_shard_that_is_stuck_and_of_one_that_is_gone() {
    let shards = Builder::new().shards(1).start().expect("a shard");
    let handle = shards
        .handle(annulet::ShardId(0))
        .expect("it is there")
        .clone();
    let (go, wait) = mpsc::channel::<()>();
    let (stuck, is_stuck) = mpsc::channel();
    let task = handle.spawn(move || async move {
        stuck.send(()).expect("the test waits");
        let _released = wait.recv();
    });
    is_stuck.recv().expect("the task runs");
    assert!(handle.metrics().tasks.spawned >= 2);
    drop(go);
    drop(task);
    drop(shards);
    let metrics = handle.metrics();
    assert_eq!(metrics.tasks.spawned, metrics.tasks.completed);
}

#[test]
fn the_listing_says_of_each_task_what_it_does_and_what_it_waits_for() {
    annulet::for_each_driver(|runtime| {
        let (near, far) = connected().expect("loopback");
        let tasks = runtime.block_on(async {
            let far = TcpStream::from_std(far).expect("taken over");
            let reader = spawn_named(
                "reader",
                async move { far.read(vec![0; 64]).await.map(drop) },
            );
            let sleeper = spawn_named("sleeper", annulet::time::sleep(Duration::from_secs(60)));
            let silent = spawn_named("silent", pending::<()>());
            let (go, wait) = mpsc::channel::<()>();
            let caller = spawn_named("caller", async move {
                let released = annulet::spawn_blocking(move || wait.recv());
                released.await.map(drop)
            });
            let joiner = spawn_named("joiner", async { spawn(pending::<()>()).await });
            for _ in 0..3 {
                yield_now().await;
            }
            let ready = spawn_named("ready", async {});
            let tasks = annulet::tasks();
            for task in [sleeper, silent] {
                task.abort();
            }
            reader.abort();
            caller.abort();
            drop(go);
            joiner.abort();
            drop(ready);
            tasks
        });
        drop(near);
        let find = |name| {
            let named = tasks.iter().find(|task| task.meta.name() == Some(name));
            named.unwrap_or_else(|| panic!("no task {name} in {tasks:#?}"))
        };
        let reader = find("reader");
        assert_eq!(reader.state, TaskState::Idle);
        let [operation] = &*reader.operations else {
            panic!("one operation, not {:?}", reader.operations);
        };
        assert!(
            ["recv", "poll_add"].contains(&operation.name),
            "{operation}"
        );
        assert!(operation.descriptor.is_some());
        assert_eq!(find("sleeper").waits, Some(Wait::Timer));
        assert_eq!(find("caller").waits, Some(Wait::Blocking));
        assert_eq!(find("joiner").waits, Some(Wait::Join));
        assert_eq!((find("silent").waits, find("silent").polls), (None, 1));
        assert_eq!(find("ready").state, TaskState::Scheduled);
        assert_eq!(tasks[0].state, TaskState::Running, "the task that asks");
        assert!(reader.meta.location().file().ends_with("seeing.rs"));
        let text = find("sleeper").to_string();
        assert!(
            text.contains("\"sleeper\"") && text.contains("a timer"),
            "{text}"
        );
    });
}

#[test]
fn a_task_that_computes_is_known_by_its_busy_time() {
    annulet::for_each_driver(|runtime| {
        let busy = runtime.block_on(async {
            let begun = Instant::now();
            let other = spawn_named("other", pending::<()>());
            let hog = spawn_named("hog", async move {
                // Longer than all before it, whatever the machine did in between.
                let least = begun.elapsed() + Duration::from_millis(5);
                let started = Instant::now();
                while started.elapsed() < least {}
                pending::<()>().await
            });
            yield_now().await;
            yield_now().await;
            let tasks = annulet::tasks();
            hog.abort();
            other.abort();
            ["hog", "other"].map(|name| {
                let named = tasks.iter().find(|task| task.meta.name() == Some(name));
                named.expect("it is alive").busy
            })
        });
        assert!(busy[0] >= Duration::from_micros(4_900), "{busy:?}");
        assert!(busy[1] < busy[0], "{busy:?}");
    });
}

/// A runtime that says what it hears of stalls.
fn watched(choice: annulet::Choice) -> (annulet::Runtime, Receiver<Stall>) {
    let (hear, heard) = mpsc::channel();
    let runtime = Builder::new()
        .driver(choice)
        .stall_threshold(THRESHOLD)
        .on_stall(move |stall| drop(hear.send(stall.clone())))
        .build()
        .expect("a runtime");
    (runtime, heard)
}

#[test]
fn a_task_that_blocks_is_named_while_it_blocks() {
    annulet::for_each_driver(|template| {
        let choice = match template.driver().kind {
            annulet::DriverKind::Poll => annulet::Choice::Poll,
            _ => annulet::Choice::Auto,
        };
        let (runtime, heard) = watched(choice);
        let stall = runtime.block_on(async move {
            // Blocks until it is reported: the report cannot come later than the stall's end.
            let task = spawn_named("culprit", async move {
                heard
                    .recv_timeout(Duration::from_secs(20))
                    .expect("reported")
            });
            task.await.expect("it ends")
        });
        assert_eq!(stall.name.as_deref(), Some("culprit"));
        assert!(stall.location.file().ends_with("seeing.rs"));
        assert!(stall.lasted >= THRESHOLD);
        assert_ne!(stall.blocks(), Some(false), "{stall}");
        assert!(stall.to_string().contains("\"culprit\""), "{stall}");
        assert_eq!(runtime.metrics().turns.stalls, 1);
        assert!(runtime.metrics().poll_time.max() >= THRESHOLD);
    });
}

#[test]
fn a_task_that_computes_is_told_from_one_that_blocks() {
    let (runtime, heard) = watched(annulet::Choice::Auto);
    let stall = runtime.block_on(async move {
        loop {
            if let Ok(stall) = heard.try_recv() {
                return stall;
            }
        }
    });
    assert_ne!(stall.blocks(), Some(true), "{stall}");
}

#[test]
fn a_shard_that_keeps_moving_is_not_reported() {
    let (runtime, heard) = watched(annulet::Choice::Auto);
    runtime.block_on(async {
        let started = Instant::now();
        while started.elapsed() < 4 * THRESHOLD {
            yield_now().await;
        }
    });
    drop(runtime);
    assert!(heard.try_recv().is_err());
}

#[test]
fn stalls_are_reported_five_times_a_minute_and_all_are_counted() {
    let (runtime, heard) = watched(annulet::Choice::Auto);
    let reports = runtime.block_on(async {
        for stall in 1..=7 {
            // Each lasts until it is counted.
            while runtime.metrics().turns.stalls < stall {}
            yield_now().await;
        }
        heard.try_iter().count()
    });
    assert_eq!(reports, 5);
}

#[test]
fn a_class_is_inherited_by_what_its_tasks_spawn() {
    let class = Class::new("seeing-heirs")
        .shares(50)
        .register()
        .expect("there is room");
    assert_eq!(Class::new("seeing-heirs").shares(50).register(), Ok(class));
    assert!(Class::new("seeing-heirs").shares(51).register().is_err());
    annulet::for_each_driver(|runtime| {
        let task = runtime.block_on(async {
            let parent = TaskBuilder::new().class(class).spawn(async {
                let child = spawn_named("child", pending::<()>());
                let tasks = annulet::tasks();
                child.abort();
                tasks
                    .into_iter()
                    .find(|task| task.meta.name() == Some("child"))
            });
            parent.await.expect("it ends").expect("it is listed")
        });
        assert_eq!(task.class, class);
        let metrics = runtime.metrics();
        let found = metrics.classes.iter().find(|of| of.name == "seeing-heirs");
        assert!(found.expect("it is measured").polls >= 1);
    });
}
