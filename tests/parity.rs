//! What somebody who comes from asyncio counts on, row by row of `docs/parity.md`, where no other test
//! shows it: the loop and its callbacks, tasks and their handles, pools.

mod support {
    pub(crate) mod streams;
}

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use annulet::net::TcpStream;
use annulet::sync::oneshot;
use annulet::task::current;
use annulet::time::{self, sleep, timeout};
use annulet::{
    BlockingPool, Builder, CancelScope, PoolConfig, Runtime, TaskBuilder, call_at, call_later,
    defer, for_each_shard, shield, spawn, spawn_blocking, spawn_named, tasks, try_current,
    yield_now,
};
use support::streams::connected;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<u32>>>);

impl Log {
    fn say(&self, number: u32) -> impl FnOnce() + 'static {
        let log = Rc::clone(&self.0);
        move || log.borrow_mut().push(number)
    }

    fn said(&self) -> Vec<u32> {
        self.0.take()
    }
}

fn in_virtual_time() -> Runtime {
    Builder::new().virtual_time().build().expect("a runtime")
}

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
fn tasks_and_deferred_calls_run_in_the_order_in_which_they_were_made() {
    annulet::for_each_driver(|runtime| {
        let log = Log::default();
        runtime.block_on(async {
            for number in 0..30 {
                let say = log.say(number);
                if number % 2 == 0 {
                    drop(defer(say));
                } else {
                    drop(spawn(async { say() }));
                }
            }
            let unwanted = defer(log.say(1000));
            unwanted.abort();
            assert!(log.said().is_empty(), "at the next turn, and not at once");
            yield_now().await;
        });
        assert_eq!(log.said(), (0..30).collect::<Vec<_>>());
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
fn calls_are_made_at_their_times_and_in_the_order_of_these() {
    let log = Log::default();
    in_virtual_time().block_on(async {
        let start = time::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        call_later(Duration::from_secs(3), log.say(3));
        call_at(at(1), log.say(1));
        call_later(Duration::from_secs(2), log.say(2));
        // Of two at one instant the one that was asked for first is made first.
        call_at(at(3), log.say(4));
        call_at(start, log.say(0));
        let unwanted = call_later(Duration::from_secs(2), log.say(1000));
        assert_eq!(unwanted.when(), Some(at(2)));
        unwanted.cancel();
        assert!(unwanted.is_cancelled() && unwanted.is_finished());
        sleep(Duration::from_secs(2)).await;
        assert!(time::now() >= at(2));
        yield_now().await;
        assert_eq!(log.said(), [0, 1, 2]);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(log.said(), [3, 4]);
        // What has been made is not cancelled any more, and nothing that is too far off is ever made.
        let never = call_later(Duration::MAX, log.say(1000));
        assert_eq!((never.when(), never.is_finished()), (None, false));
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
fn a_callback_of_a_task_is_called_with_its_output_once_it_has_ended() {
    annulet::for_each_driver(|runtime| {
        let log = Log::default();
        runtime.block_on(async {
            let say = log.say(1);
            let chained = spawn(async { 20 })
                .on_done(|output| output.expect("no panic") + 1)
                .on_done(move |output| {
                    say();
                    output.expect("no panic") * 2
                });
            assert_eq!(chained.await.expect("no panic"), 42);
            assert_eq!(log.said(), [1]);

            // A callback is called, too, if the task is aborted; and can be taken back.
            let task = spawn(pending::<()>());
            task.abort();
            let was_cancelled = task.on_done(|output| output.is_err_and(|e| e.is_cancelled()));
            assert!(was_cancelled.await.expect("no panic"));
            let (tell, told) = oneshot::channel();
            let say = log.say(2);
            let callback = spawn(told).on_done(move |_output| say());
            callback.abort();
            tell.send(()).expect("the task goes on");
            yield_now().await;
            yield_now().await;
            assert!(log.said().is_empty());
        });
    });
}

#[test]
fn what_is_shielded_goes_on_when_those_who_await_it_are_cancelled() {
    let log = Log::default();
    in_virtual_time().block_on(async {
        let say = log.say(1);
        let work = async move {
            sleep(Duration::from_secs(10)).await;
            say();
            "done"
        };
        let waiting = spawn(async { shield(work).await });
        yield_now().await;
        waiting.abort();
        assert!(waiting.await.expect_err("aborted").is_cancelled());
        assert!(log.said().is_empty());
        sleep(Duration::from_secs(11)).await;
        assert_eq!(log.said(), [1]);

        // A deadline ends the waiting, and the same work can be awaited again.
        let mut work = shield(sleep(Duration::from_secs(10)));
        let scope = CancelScope::with_timeout(Duration::from_secs(1));
        assert!(scope.run(&mut work).await.is_err_and(|c| c.is_deadline()));
        work.await;
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
            // So many that they must be at work at once, and then twice as many as there are threads.
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

#[test]
fn what_is_awaited_at_the_same_time_takes_as_long_as_the_longest() {
    in_virtual_time().block_on(async {
        let started = time::now();
        let so_far = Rc::new(Cell::new(0));
        for seconds in [3, 1, 2] {
            sleep(Duration::from_secs(seconds)).await;
        }
        assert_eq!((time::now() - started).as_secs(), 6, "in turn");

        let started = time::now();
        let tasks = [3, 1, 2].map(|seconds| {
            let so_far = Rc::clone(&so_far);
            spawn(async move {
                sleep(Duration::from_secs(seconds)).await;
                so_far.set(so_far.get() * 10 + seconds);
            })
        });
        annulet::join_all(tasks).await;
        assert_eq!((time::now() - started).as_secs(), 3, "at once");
        assert_eq!(so_far.get(), 123, "each at its time");
    });
}
