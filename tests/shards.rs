//! Shards and what crosses between them: values of each shard's own, calls, floods, ends.
//!
//! What a shard owns is watched by values that know the thread they were made on and count what
//! happens to them elsewhere; floods are watched by a dog that ends the test when nothing moves.

mod support {
    pub(crate) mod drivers;
    pub(crate) mod random;
    pub(crate) mod watchdog;
}

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use annulet::{
    Builder, Call, Handle, ShardError, ShardId, Sharded, Shards, for_each_shard, map_reduce,
    shards, spawn, spawn_on, this_shard, time, yield_now,
};
use support::drivers::for_each_builder;
use support::random::{Random, seed};
use support::watchdog::Watchdog;

/// Shards on one driver, so many.
fn start(builder: Builder, count: usize) -> Shards {
    builder.shards(count).start().expect("shards")
}

/// What became of the values of a test.
#[derive(Debug, Default)]
struct Log {
    made: AtomicUsize,
    dropped: AtomicUsize,
    dropped_elsewhere: AtomicUsize,
}

impl Log {
    fn read(&self) -> (usize, usize, usize) {
        (
            self.made.load(Ordering::SeqCst),
            self.dropped.load(Ordering::SeqCst),
            self.dropped_elsewhere.load(Ordering::SeqCst),
        )
    }
}

/// A value that must be dropped on the thread that made it, and cannot be sent.
struct Native {
    born_on: ThreadId,
    log: Arc<Log>,
    calls: Cell<usize>,
    not_send: Rc<()>,
}

impl Native {
    fn new(log: &Arc<Log>) -> Self {
        log.made.fetch_add(1, Ordering::SeqCst);
        Self {
            born_on: thread::current().id(),
            log: Arc::clone(log),
            calls: Cell::new(0),
            not_send: Rc::new(()),
        }
    }

    /// Counts a call, which must be on its own thread.
    fn called(&self) -> usize {
        assert_eq!(thread::current().id(), self.born_on, "on its own shard");
        assert_eq!(Rc::strong_count(&self.not_send), 1);
        self.calls.set(self.calls.get() + 1);
        self.calls.get()
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        if thread::current().id() != self.born_on {
            self.log.dropped_elsewhere.fetch_add(1, Ordering::SeqCst);
        }
        self.log.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// A value on each shard.
async fn natives(log: &Arc<Log>) -> Sharded<Native> {
    let log = Arc::clone(log);
    let made = Sharded::new(move |_shard| {
        let log = Arc::clone(&log);
        async move {
            yield_now().await;
            Native::new(&log)
        }
    });
    made.await.expect("every shard makes its value")
}

/// Longer than a shard needs to come to its messages on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until as many values were dropped, which other shards do when they come to it.
async fn until_dropped(log: &Log, count: usize) {
    let since = Instant::now();
    while log.read().1 < count {
        assert!(since.elapsed() < PATIENCE, "{:?}", log.read());
        for_each_shard(|_shard| yield_now()).await.expect("alive");
    }
}

#[test]
fn a_shard_knows_its_number_and_how_many_there_are() {
    for_each_builder(|_, builder| {
        let shards = start(builder, 3);
        let found = shards.run(|| for_each_shard(|own| async move { (own, this_shard()) }));
        let found = found.expect("no panic").expect("no shard ended");
        let numbers: Vec<_> = (0..3)
            .map(|index| (ShardId(index), ShardId(index)))
            .collect();
        assert_eq!(found, numbers);
    });
}

#[test]
fn a_map_reduce_folds_in_the_order_of_the_shards() {
    for_each_builder(|_, builder| {
        let shards = start(builder, 4);
        let folded = shards.run(|| {
            let map = |ShardId(index)| async move {
                // Later shards first.
                for _ in index..4 {
                    yield_now().await;
                }
                index
            };
            map_reduce(map, String::new(), |text, index| format!("{text}{index}"))
        });
        assert_eq!(folded.expect("no panic").expect("no shard ended"), "0123");
    });
}

#[test]
fn values_are_made_used_and_dropped_on_their_own_shards() {
    for_each_builder(|_, builder| {
        let log = Arc::new(Log::default());
        let shards = start(builder, 3);
        let seen = Arc::clone(&log);
        let ended = shards.run(|| async move {
            let natives = natives(&seen).await;
            assert_eq!(natives.with(Native::called), 1);
            for index in 0..annulet::shards() {
                let called = natives.call(ShardId(index), |native| async move {
                    yield_now().await;
                    native.called()
                });
                let before = usize::from(ShardId(index) == this_shard());
                assert_eq!(called.await.expect("alive"), before + 1);
            }
            let calls = natives.map_reduce(|each| async move { each.calls.get() }, 0, |a, b| a + b);
            assert_eq!(calls.await.expect("alive"), 4);
            assert_eq!(seen.read(), (3, 0, 0));
            let other = natives.clone();
            drop(natives);
            assert_eq!(other.with(Native::called), 3, "a clone is the same values");
            drop(other);
            until_dropped(&seen, 3).await;
        });
        ended.expect("no panic");
        assert_eq!(log.read(), (3, 3, 0));
    });
}

#[test]
fn values_end_with_their_shards_whoever_still_has_them() {
    for_each_builder(|_, builder| {
        let log = Arc::new(Log::default());
        let shards = start(builder, 2);
        let seen = Arc::clone(&log);
        let outlives = shards.run(|| async move { natives(&seen).await });
        let outlives = outlives.expect("no panic");
        assert_eq!(log.read(), (2, 0, 0));
        drop(shards);
        assert_eq!(log.read(), (2, 2, 0), "dropped by the ends of the shards");
        let error = answer(outlives.call(ShardId(1), |native| async move { native.called() }))
            .expect_err("the shard has ended");
        assert!(error.is_ended() && !error.is_panic(), "{error}");
        assert_eq!(error.shard(), ShardId(1));
        assert_eq!(error.to_string(), "shard 1 has ended");
        assert!(outlives.try_local().is_none());
        assert_eq!(log.read(), (2, 2, 0));
    });
}

/// Awaits a call from a thread that is none of its shards.
fn answer<T>(call: Call<T>) -> Result<T, ShardError> {
    Builder::new().build().expect("a runtime").block_on(call)
}

#[test]
fn calls_from_outside_are_answered_and_their_closures_keep_the_values() {
    for_each_builder(|_, builder| {
        let log = Arc::new(Log::default());
        let shards = start(builder, 2);
        let seen = Arc::clone(&log);
        let natives = shards.run(|| async move { natives(&seen).await });
        let natives = natives.expect("no panic");
        let call = natives.call(ShardId(1), |native| async move { native.called() });
        // The last clone but that in the message.
        drop(natives);
        assert_eq!(answer(call).expect("alive"), 1);
        drop(shards);
        assert_eq!(log.read(), (2, 2, 0));
    });
}

#[test]
fn a_value_that_a_call_has_kept_is_dropped_with_it_on_its_shard() {
    for_each_builder(|_, builder| {
        let log = Arc::new(Log::default());
        let shards = start(builder, 2);
        let seen = Arc::clone(&log);
        let ended = shards.run(|| async move {
            let natives = natives(&seen).await;
            let (go, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (told, tell) = (Arc::clone(&go), Arc::clone(&gone));
            let call = natives.call(ShardId(1), |native| async move {
                tell.store(1, Ordering::SeqCst);
                while told.load(Ordering::SeqCst) == 0 {
                    yield_now().await;
                }
                native.called()
            });
            while gone.load(Ordering::SeqCst) == 0 {
                yield_now().await;
            }
            drop(natives);
            until_dropped(&seen, 1).await;
            go.store(1, Ordering::SeqCst);
            assert_eq!(call.await.expect("alive"), 1, "the value was still there");
            until_dropped(&seen, 2).await;
        });
        ended.expect("no panic");
        assert_eq!(log.read(), (2, 2, 0));
    });
}

#[test]
fn a_shard_that_cannot_make_its_value_is_named_and_the_others_values_are_dropped() {
    for_each_builder(|_, builder| {
        let log = Arc::new(Log::default());
        let shards = start(builder, 3);
        let seen = Arc::clone(&log);
        let errors = shards.run(|| async move {
            let made = Arc::clone(&seen);
            let panics = Sharded::new(move |ShardId(index)| {
                let made = Arc::clone(&made);
                async move {
                    assert_ne!(index, 1, "planned");
                    Native::new(&made)
                }
            });
            let panicked = panics.await.expect_err("one shard fails");
            until_dropped(&seen, 2).await;
            let made = Arc::clone(&seen);
            let refuses = Sharded::try_new(move |ShardId(index)| {
                let made = Arc::clone(&made);
                async move {
                    match index {
                        2 => Err(std::io::Error::other("no room")),
                        _ => Ok(Native::new(&made)),
                    }
                }
            });
            let refused = refuses.await.expect_err("one shard fails");
            until_dropped(&seen, 4).await;
            (panicked, refused)
        });
        let (panicked, refused) = errors.expect("no panic");
        assert!(panicked.is_panic() && !panicked.is_ended(), "{panicked}");
        assert_eq!(panicked.shard(), ShardId(1));
        let text = panicked.to_string();
        assert!(
            text.starts_with("on shard 1: task ") && text.contains("planned"),
            "{text}"
        );
        assert_eq!(refused.to_string(), "no room");
        assert_eq!(log.read(), (4, 4, 0));
    });
}

#[test]
fn a_call_that_panics_says_so_and_harms_nobody() {
    for_each_builder(|_, builder| {
        let log = Arc::new(Log::default());
        let shards = start(builder, 2);
        let seen = Arc::clone(&log);
        let ended = shards.run(|| async move {
            let natives = natives(&seen).await;
            let call = natives.call(ShardId(1), |native| async move {
                native.called();
                panic!("planned");
            });
            let error: Result<(), ShardError> = call.await;
            let error = error.expect_err("it panicked");
            assert!(error.is_panic() && error.shard() == ShardId(1), "{error}");
            let payload = error.into_join_error().into_panic();
            assert_eq!(payload.downcast_ref(), Some(&"planned"));
            let again = natives.call(ShardId(1), |native| async move { native.called() });
            assert_eq!(again.await.expect("alive"), 2);
        });
        ended.expect("no panic");
        drop(shards);
        assert_eq!(log.read(), (2, 2, 0));
    });
}

#[test]
fn a_dropped_call_is_aborted_where_it_had_come_to_and_a_detached_one_goes_on() {
    for_each_builder(|_, builder| {
        let log = Arc::new(Log::default());
        let shards = start(builder, 2);
        let seen = Arc::clone(&log);
        let ended = shards.run(|| async move {
            let natives = natives(&seen).await;
            let begun = Arc::new(AtomicUsize::new(0));
            let (first, second) = (Arc::clone(&begun), Arc::clone(&begun));
            let dropped = natives.call(ShardId(1), |native| async move {
                // Held across the await that never ends.
                let held = Native::new(&native.log);
                first.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
                held.called();
            });
            while begun.load(Ordering::SeqCst) == 0 {
                yield_now().await;
            }
            assert!(!dropped.is_finished());
            drop(dropped);
            until_dropped(&seen, 1).await;
            let call = natives.call(ShardId(1), |_| async move {
                for _ in 0..3 {
                    yield_now().await;
                }
                second.fetch_add(1, Ordering::SeqCst);
            });
            call.detach();
            while begun.load(Ordering::SeqCst) < 2 {
                yield_now().await;
            }
        });
        ended.expect("no panic");
        drop(shards);
        assert_eq!(log.read(), (3, 3, 0));
    });
}

#[test]
fn work_on_all_shards_is_aborted_with_whoever_waits_for_it() {
    for_each_builder(|_, builder| {
        let log = Arc::new(Log::default());
        let shards = start(builder, 3);
        let seen = Arc::clone(&log);
        let ended = shards.run(|| async move {
            let made = Arc::clone(&seen);
            let all = for_each_shard(move |_| {
                let made = Arc::clone(&made);
                async move {
                    let _held = Native::new(&made);
                    std::future::pending::<()>().await;
                }
            });
            let all = spawn(all);
            while seen.read().0 < 3 {
                yield_now().await;
            }
            all.abort();
            until_dropped(&seen, 3).await;
        });
        ended.expect("no panic");
        assert_eq!(log.read(), (3, 3, 0));
    });
}

#[test]
fn a_runtime_that_is_alone_has_one_value() {
    annulet::for_each_driver(|runtime| {
        let log = Arc::new(Log::default());
        let outlives = runtime.block_on(async {
            let natives = natives(&log).await;
            assert_eq!(natives.with(Native::called), 1);
            let call = natives.call(ShardId(0), |native| async move { native.called() });
            assert_eq!(call.await.expect("alive"), 2);
            natives
        });
        assert_eq!(log.read(), (1, 0, 0));
        drop(outlives);
        runtime.block_on(until_dropped(&log, 1));
        assert_eq!(log.read(), (1, 1, 0));
    });
}

/// A value whose drop does what a drop may: it asks where it is, spawns, and calls other shards.
struct Meddler {
    peers: RefCell<Option<Sharded<Self>>>,
    drops: Arc<AtomicUsize>,
}

impl Drop for Meddler {
    fn drop(&mut self) {
        let drops = Arc::clone(&self.drops);
        drop(spawn(async move { drop(drops) }));
        if let Some(peers) = self.peers.borrow_mut().take() {
            assert!(
                peers.try_local().is_none(),
                "the value is gone from its place"
            );
            drop(peers.call(this_shard(), |own| async move { drop(own) }));
        }
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_value_may_spawn_and_call_while_its_shard_ends() {
    for_each_builder(|_, builder| {
        let drops = Arc::new(AtomicUsize::new(0));
        let shards = start(builder, 2);
        let counted = Arc::clone(&drops);
        let ended = shards.run(|| async move {
            let meddlers = Sharded::new(move |_| {
                let drops = Arc::clone(&counted);
                let peers = RefCell::new(None);
                async move { Meddler { peers, drops } }
            });
            let meddlers = meddlers.await.expect("made");
            let knows = meddlers.clone();
            // A cycle, which only the ends of the shards break.
            let told = meddlers.map_reduce(
                move |own| {
                    own.peers.replace(Some(knows.clone()));
                    async {}
                },
                (),
                |(), ()| (),
            );
            told.await.expect("alive");
        });
        ended.expect("no panic");
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(shards);
        assert_eq!(drops.load(Ordering::SeqCst), 2);
        assert_eq!(Arc::strong_count(&drops), 1, "nothing was left behind");
    });
}

#[test]
fn what_crosses_may_be_sent_whatever_the_values_are() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Sharded<Rc<Cell<u8>>>>();
    crosses::<Handle>();
    crosses::<ShardError>();
    crosses::<Call<Cell<u8>>>();
}

/// Calls other shards, which call back, and counts.
async fn flood(seed: u64, counts: Sharded<Cell<u64>>, calls: u64) {
    let mut random = Random::new(seed);
    let own = this_shard();
    for _ in 0..calls {
        let count = u32::try_from(shards()).expect("few");
        let target = ShardId(random.below(count) as usize);
        let back = counts.clone();
        let call = counts.call(target, move |there| async move {
            there.set(there.get() + 1);
            let answer = back.call(own, |here| async move { here.set(here.get() + 1) });
            answer.await.expect("alive");
        });
        if random.once_in(4) {
            yield_now().await;
        }
        call.await.expect("alive");
    }
}

#[test]
fn shards_that_flood_each_other_all_get_through() {
    const SHARDS: usize = 4;
    const TASKS: u64 = 100;
    const CALLS: u64 = 30;
    let seed = seed();
    for_each_builder(|kind, builder| {
        let watchdog = Watchdog::new();
        watchdog.now(&format!("a flood of calls and calls back on {kind}"));
        let shards = start(builder, SHARDS);
        let counted = shards.run(move || async move {
            let counts = Sharded::new(|_| async { Cell::new(0) })
                .await
                .expect("made");
            let callers = counts.clone();
            let flooded = for_each_shard(move |ShardId(index)| {
                let counts = callers.clone();
                async move {
                    let start =
                        |task| flood(seed + index as u64 * TASKS + task, counts.clone(), CALLS);
                    let tasks: Vec<_> = (0..TASKS).map(|task| spawn(start(task))).collect();
                    for task in tasks {
                        task.await.expect("no panic");
                    }
                }
            });
            flooded.await.expect("alive");
            counts
                .map_reduce(|each| async move { each.get() }, 0, |a, b| a + b)
                .await
        });
        let counted = counted.expect("no panic").expect("alive");
        assert_eq!(counted, SHARDS as u64 * TASKS * CALLS * 2, "seed {seed}");
    });
}

/// A message that has the other shard send it back, so many times.
fn bounce(to: Handle, from: Handle, left: u64, ended: Arc<AtomicUsize>) {
    let next = to.clone();
    let sent = to.call(move || {
        if left == 0 {
            ended.fetch_add(1, Ordering::SeqCst);
        } else {
            bounce(from, next, left - 1, ended);
        }
    });
    sent.expect("alive");
}

#[test]
fn a_flood_of_messages_in_both_directions_keeps_no_timer_and_no_task_waiting() {
    const BALLS: usize = 2000;
    const BOUNCES: u64 = 100;
    for_each_builder(|kind, builder| {
        let watchdog = Watchdog::new();
        watchdog.now(&format!("messages that bounce on {kind}"));
        let shards = start(builder, 2);
        let handle = |index| shards.handle(ShardId(index)).expect("two shards").clone();
        let (first, second) = (handle(0), handle(1));
        let ended = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&ended);
        let ticks = shards.run(move || async move {
            for _ in 0..BALLS {
                bounce(second.clone(), first.clone(), BOUNCES, Arc::clone(&seen));
            }
            let mut ticks = 0;
            while seen.load(Ordering::SeqCst) < BALLS {
                // Both need a turn of this shard in the middle of the flood, and of the other.
                time::sleep(Duration::from_micros(100)).await;
                spawn_on(ShardId(1), yield_now).await.expect("alive");
                ticks += 1;
            }
            ticks
        });
        assert_eq!(ended.load(Ordering::SeqCst), BALLS);
        let ticks: u64 = ticks.expect("no panic");
        watchdog.say(&format!("{ticks} rounds beside the flood"));
        assert!(ticks >= 2, "{ticks} rounds during the flood on {kind}");
    });
}

/// How often a task may have its turn while a message waits: what it could do in some turns of the
/// loop.
const TURNS_MAX: u64 = 1_000_000;

#[test]
fn local_work_keeps_no_message_from_elsewhere_waiting() {
    let watchdog = Watchdog::new();
    for_each_builder(|kind, builder| {
        watchdog.now(&format!(
            "a message beside a task that never waits, on {kind}"
        ));
        let shards = start(builder, 2);
        let waited = shards.run(|| async {
            // Counted in the hog's own turns, so that it does not matter who else uses the machine.
            let turns = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&turns);
            let hog = spawn_on(ShardId(1), || async move {
                loop {
                    counted.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                }
            });
            let mut waited = Vec::new();
            for _ in 0..51 {
                let seen = Arc::clone(&turns);
                let before = turns.load(Ordering::Relaxed);
                let arrived = spawn_on(ShardId(1), || async move { seen.load(Ordering::Relaxed) });
                waited.push(arrived.await.expect("alive") - before);
            }
            hog.abort();
            waited.sort_unstable();
            waited
        });
        let waited = waited.expect("no panic");
        let (median, most) = (waited[waited.len() / 2], waited[waited.len() - 1]);
        watchdog.say(&format!("{median} turns (median), {most} (most)"));
        assert!(median < TURNS_MAX, "{kind}: {median} turns");
    });
}
