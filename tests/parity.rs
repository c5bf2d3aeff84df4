//! What somebody who comes from asyncio counts on, of the rows of `docs/parity.md` those that no
//! other test shows: runs within runs, handles, names, pools, and reads that run out of time.

mod support {
    pub(crate) mod streams;
}

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use annulet::net::TcpStream;
use annulet::sync::oneshot;
use annulet::task::current;
use annulet::time::{self, timeout};
use annulet::{
    BlockingPool, Builder, PoolConfig, TaskBuilder, call_later, for_each_shard, spawn,
    spawn_blocking, spawn_named, tasks, try_current, yield_now,
};
use support::streams::connected;

/// What a call panics with.
fn panic_of(call: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(call)).expect_err("it must panic");
    payload.downcast_ref::<String>().expect("text").clone()
}

#[test]
fn a_run_within_a_run_is_an_error_that_names_both_places() {
    annulet::for_each_driver(|outer| {
        let inner = Builder::new().build().expect("a runtime");
        for runtime in [&inner, outer] {
            let mut lines = [line!() + 2, 0];
            // Both calls are in this file; what tells them apart is the line.
            outer.block_on(async {
                lines[1] = line!() + 1;
                let said = panic_of(|| runtime.block_on(async {}));
                for line in lines {
                    let place = format!("{}:{line}:", file!());
                    assert!(said.contains(&place), "{place} is not in: {said}");
                }
            });
        }
        assert_eq!(outer.block_on(async { 1 }) + inner.block_on(async { 1 }), 2);
    });
}

#[test]
fn to_ask_for_the_runtime_where_there_is_none_is_an_error_and_no_panic() {
    let missing = try_current().expect_err("outside");
    assert!(missing.to_string().contains("within `block_on`"));
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let task = try_current().expect("inside").spawn(async { 7 });
            assert_eq!(task.await.expect("it ends"), 7);
            // One loop for each thread: another thread has none of this one's.
            let elsewhere = thread::spawn(|| try_current().map(drop));
            assert_eq!(elsewhere.join().expect("no panic"), Err(missing));
        });
        assert_eq!(try_current().expect_err("outside again"), missing);
    });
}

#[test]
fn calls_from_other_threads_run_in_the_order_in_which_they_were_sent() {
    annulet::for_each_driver(|runtime| {
        let handle = runtime.handle();
        let (tell, mut told) = annulet::sync::shared::mpsc::unbounded();
        let sender = thread::spawn(move || {
            for number in 0..1_000 {
                let tell = tell.clone();
                let call = move || tell.try_send(number).expect("somebody listens");
                handle.call(call).expect("the shard is there");
            }
        });
        let seen = runtime.block_on(async {
            let mut seen = Vec::new();
            while let Some(number) = told.recv().await {
                seen.push(number);
            }
            seen
        });
        sender.join().expect("no panic");
        assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
    });
}

#[test]
fn how_late_a_call_is_made_is_measured() {
    annulet::for_each_driver(|runtime| {
        let before = runtime.metrics();
        let delay = Duration::from_millis(5);
        let late = runtime.block_on(async {
            let (tell, told) = oneshot::channel();
            let call = call_later(delay, move || tell.send(time::now()).expect("awaited"));
            let due = call.when().expect("it is near");
            let made = told.await.expect("it is made");
            made.checked_duration_since(due).expect("never early")
        });
        let measured = runtime.metrics().since(&before).timer_lateness;
        assert_eq!(measured.count(), 1);
        // It fired before the call was made; a histogram is right to a few hundredths.
        assert!(measured.max() <= late + late / 10 + Duration::from_micros(1));
    });
}

#[test]
fn tasks_know_their_names_and_the_tasks_of_all_shards_are_listed() {
    let shards = Builder::new().shards(2).start().expect("two shards");
    let listed = shards.run(|| async {
        assert!(current().expect("a task").name().is_none());
        let listings = for_each_shard(|shard| async move {
            let own = format!("worker of shard {}", shard.0);
            let worker = spawn_named(&own, pending::<()>());
            let me = TaskBuilder::new().name("me").spawn(async {
                let me = current().expect("a task");
                (me.name().map(str::to_owned), me.location().line())
            });
            let line = line!() - 4;
            assert_eq!(me.await.expect("it ends"), (Some("me".to_owned()), line));
            let listing = tasks();
            worker.abort();
            let named = listing.iter().filter_map(|task| task.meta.name());
            named.map(str::to_owned).collect::<Vec<_>>()
        });
        listings.await.expect("no panic")
    });
    let expected = ["worker of shard 0", "worker of shard 1"];
    assert_eq!(listed.expect("no panic").concat(), expected);
    assert!(current().is_none(), "outside of any task");
}

#[test]
fn a_handle_tells_how_its_task_ended() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let mut done = spawn(async { 42 });
            assert!(!done.is_finished() && done.peek().is_none());
            yield_now().await;
            assert!(done.is_finished());
            assert!(matches!(done.peek(), Some(Ok(42))));
            assert_eq!((&mut done).await.expect("neither of the two"), 42);

            let aborted = spawn(pending::<()>());
            aborted.abort();
            let error = aborted.await.expect_err("aborted");
            assert!(error.is_cancelled() && !error.is_panic());
            assert!(error.try_into_panic().is_err());

            let panicked = spawn(async { panic!("on purpose") });
            let error = panicked.await.expect_err("panicked");
            assert!(error.is_panic() && !error.is_cancelled());
            let payload = error.into_panic();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
        });
    });
}

#[test]
fn a_read_that_times_out_loses_no_byte_and_keeps_its_buffer() {
    annulet::for_each_driver(|runtime| {
        let (near, far) = connected().expect("loopback");
        runtime.block_on(async {
            let near = TcpStream::from_std(near).expect("taken over");
            let far = TcpStream::from_std(far).expect("taken over");
            let buf = Vec::with_capacity(64);
            let address = buf.as_ptr();
            let mut read = pin!(far.read(buf));
            let late = timeout(Duration::from_millis(1), read.as_mut()).await;
            assert!(late.is_err(), "there is nothing to read");
            near.write_all("late, but whole").await.expect("sent");
            let (bytes, buf) = read.await.expect("received");
            assert_eq!(&buf[..bytes], b"late, but whole");
            assert_eq!(buf.as_ptr(), address, "the same buffer");

            // Given up for good, it has taken nothing from the stream.
            let dropped = timeout(Duration::from_millis(1), far.read(Vec::with_capacity(64))).await;
            assert!(dropped.is_err());
            near.write_all("nor is this lost").await.expect("sent");
            let lease = far.recv().await.expect("received").expect("not the end");
            assert_eq!(&*lease, b"nor is this lost");
        });
    });
}

#[test]
fn a_pool_of_ones_own_has_its_own_size_and_leaves_the_runtimes_alone() {
    const THREADS: usize = 3;
    let pool = BlockingPool::new(PoolConfig::with_threads(THREADS));
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            // So many that they must be at work at once, and then twice as many as there are
            // threads.
            let all_in = Arc::new(Barrier::new(THREADS));
            let (release, gate) = mpsc::channel::<()>();
            let gate = Arc::new(std::sync::Mutex::new(gate));
            let calls: Vec<_> = (0..2 * THREADS)
                .map(|number| {
                    let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                    let (all_in, gate) = (Arc::clone(&all_in), Arc::clone(&gate));
                    pool.spawn(move || {
                        let at_once = now.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(at_once, Ordering::SeqCst);
                        all_in.wait();
                        let _released = gate.lock().map(|gate| gate.recv());
                        now.fetch_sub(1, Ordering::SeqCst);
                        number
                    })
                })
                .collect();
            // Every thread of that pool is taken, and files and lookups do not notice.
            let other = spawn_blocking(|| "at once").await;
            assert_eq!(other.expect("no panic"), "at once");
            drop(release);
            for (number, call) in calls.into_iter().enumerate() {
                assert_eq!(call.await.expect("no panic"), number);
            }
            assert_eq!(most.load(Ordering::SeqCst), THREADS);
            assert!(pool.threads() <= THREADS);

            let panicked = pool.spawn(|| panic!("on purpose")).await;
            assert!(panicked.expect_err("it panicked").is_panic());
        });
    });
    // Its answers find a thread without a runtime, and a clone is the same pool.
    let same = pool.clone();
    assert_eq!(pool.shut_down(Duration::from_secs(20)), 0);
    let refused = Builder::new()
        .build()
        .expect("a runtime")
        .block_on(same.spawn(|| ()));
    assert!(refused.expect_err("it has ended").is_cancelled());
}
