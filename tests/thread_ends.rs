//! Threads that end with values of their own, whose destructors use a runtime: the threads of
//! shards, threads that are none, and threads to which a runtime itself belongs.
//!
//! A destructor that panics there ends the process, so none of the calls that are said not to panic
//! may do so, however much of the thread is gone already. Values of a thread are dropped one after
//! the other, those first that were touched last; so each test keeps its things twice, in a
//! value touched before the runtime has any of its own on this thread and in one touched
//! after.

mod support {
    pub(crate) mod drivers;
}

use std::any::Any;
use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use annulet::locals::LocalKey;
use annulet::net::TcpListener;
use annulet::sync::shared::{self, CancellationToken};
use annulet::sync::{Mutex, mpsc, oneshot};
use annulet::task::{RemoteJoinHandle, cancel_requested, current};
use annulet::time::sleep;
use annulet::{
    CancelScope, Handle, JoinHandle, Runtime, ShardId, Sharded, TaskGroup, TaskSet, inherit_locals,
    shards, shield, spawn, spawn_blocking, this_shard, try_current, yield_now,
};
use support::drivers::for_each_builder;

annulet::task_local! {
    static WHO: u32;
}

thread_local! {
    /// Touched first, and so dropped last.
    static EARLY: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
    /// Touched last, and so dropped first.
    static LATE: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Has the thread keep what `make` makes, once for each end of the row of its values, and `between`
/// happen between the two.
fn keep_both<K: 'static>(make: impl Fn() -> K, between: impl FnOnce()) {
    EARLY.with_borrow_mut(|kept| kept.push(Box::new(())));
    let early = make();
    between();
    LATE.with_borrow_mut(|kept| kept.push(Box::new(make())));
    EARLY.with_borrow_mut(|kept| kept.push(Box::new(early)));
}

/// Calls that may be made on any thread at any time.
fn ask() {
    let (_here, _all) = (this_shard(), shards());
    let _runtime = try_current();
    let _asked = cancel_requested();
    let _task = current();
    let _value = WHO.try_with(|_| ());
    WHO.sync_scope(7, || assert_eq!(WHO.get(), 7));
    drop(LocalKey::scope(&WHO, 1, pending::<()>()));
    drop(inherit_locals(pending::<()>()));
    let scope = CancelScope::new();
    drop(scope.run(pending::<()>()));
    scope.cancel();
    assert!(scope.is_cancelled());
    CancellationToken::new().cancel();
}

/// What any thread may hold of a runtime of others, all of it used as it is dropped.
struct Foreign {
    handles: Vec<Handle>,
    values: Option<Sharded<u32>>,
    task: RemoteJoinHandle<()>,
    /// Whether no runtime is left on the thread that drops this.
    gone: bool,
    sender: shared::mpsc::Sender<u32>,
    receiver: shared::mpsc::Receiver<u32>,
    dropped: Arc<AtomicUsize>,
}

impl Foreign {
    fn new(handles: &[Handle], values: Option<Sharded<u32>>, dropped: &Arc<AtomicUsize>) -> Self {
        let (sender, receiver) = shared::mpsc::unbounded();
        Self {
            handles: handles.to_vec(),
            values,
            task: handles[0].spawn(|| async { pending().await }),
            gone: true,
            sender,
            receiver,
            dropped: Arc::clone(dropped),
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        for handle in &self.handles {
            let alive = !handle.is_ended();
            let called = handle.call(ask_on_a_shard);
            assert!(alive || called.is_err());
            drop(handle.spawn(|| async { yield_now().await }));
            handle.spawn(|| async { pending::<()>().await }).abort();
        }
        if let Some(values) = &self.values {
            assert!(values.try_local().is_none(), "its values went before");
            drop(values.call(ShardId(1), |_| async { pending::<()>().await }));
            values
                .call(ShardId(0), |_| async { yield_now().await })
                .detach();
        }
        self.task.cancel();
        self.task.abort();
        self.sender.try_send(1).expect("open");
        self.receiver.try_recv().expect("sent");
        if self.gone {
            assert!(try_current().is_err());
            assert_eq!((this_shard(), shards()), (ShardId(0), 1));
            self.sender.blocking_send(2).expect("open");
            assert_eq!(self.receiver.blocking_recv(), Some(2));
        }
        ask();
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn ask_on_a_shard() {
    assert!(try_current().is_ok());
}

#[test]
fn a_thread_that_is_no_shard_may_use_one_as_it_ends() {
    for_each_builder(|kind, builder| {
        for shards_end_first in [false, true] {
            let dropped = Arc::new(AtomicUsize::new(0));
            let shards = builder.clone().shards(2).start().expect("shards");
            let values = shards.run(|| async { Sharded::new(|_| async { 7_u32 }).await });
            let values = values.expect("no panic").expect("made");
            let handles: Vec<Handle> = (0..2)
                .map(|index| shards.handle(ShardId(index)).expect("it is there").clone())
                .collect();
            let seen = Arc::clone(&dropped);
            let mut shards = Some(shards);
            thread::scope(|scope| {
                let (say, wait) = std::sync::mpsc::channel::<()>();
                let ends = scope.spawn(move || {
                    keep_both(
                        || Foreign::new(&handles, Some(values.clone()), &seen),
                        ask_everything_once,
                    );
                    drop(handles);
                    drop(values);
                    wait.recv().expect_err("it is told by the end");
                });
                if shards_end_first {
                    shards = None;
                }
                drop(say);
                ends.join().expect("no panic");
            });
            if let Some(shards) = &shards {
                shards.run(|| async {}).expect("the shards live on");
            }
            assert_eq!(dropped.load(Ordering::SeqCst), 2, "{kind}");
        }
    });
}

/// So that whatever the runtime keeps on a thread has been touched.
fn ask_everything_once() {
    let _all = shards();
    WHO.sync_scope(1, || ());
    let scope = CancelScope::new();
    drop(scope.run(pending::<()>()));
}

/// What belongs to a shard's thread, all of it used as it is dropped.
struct Native {
    foreign: Foreign,
    task: JoinHandle<()>,
    output: JoinHandle<u32>,
    group: TaskGroup<()>,
    set: TaskSet<()>,
    scope: CancelScope,
    value: Option<Rc<u32>>,
    lock: Rc<Mutex<u32>>,
    others: Vec<Box<dyn Any>>,
}

impl Native {
    /// On a shard, or a runtime that is alone.
    async fn new(
        handles: &[Handle],
        values: Option<Sharded<u32>>,
        count: &Arc<AtomicUsize>,
    ) -> Self {
        let (tell, told) = oneshot::channel();
        // A group whose scope goes on for as long as the task.
        spawn(async move {
            let scope = TaskGroup::<()>::scope(async |group| {
                drop(group.spawn(pending::<Result<(), ()>>()));
                let _gone = tell.send(group.clone());
                pending::<Result<(), ()>>().await
            });
            let _ended = scope.await;
        });
        let output = spawn(async { 5 });
        let mut set = TaskSet::new();
        set.spawn(async { pending().await });
        let scope = CancelScope::new();
        let within = scope.clone();
        let task = spawn(async move {
            let _cancelled = within.run(pending::<()>()).await;
        });
        let group = told.await.expect("told");
        while !output.is_finished() {
            yield_now().await;
        }
        let listener = TcpListener::bind("localhost:0").await.expect("bound");
        let (sender, receiver) = mpsc::bounded::<u8>(1);
        let lock = Rc::new(Mutex::new(1));
        let held = Mutex::lock_owned(&lock).await;
        Self {
            foreign: Foreign::new(handles, values.clone(), count),
            task,
            output,
            group,
            set,
            scope,
            value: values.map(|values| values.local()),
            lock,
            others: vec![
                Box::new(listener),
                Box::new((sender, receiver)),
                Box::new(held),
                Box::new(Box::pin(sleep(Duration::from_secs(3600)))),
                Box::new(spawn_blocking(|| ())),
                Box::new(shield(pending::<()>())),
                Box::new(Box::pin(WHO.scope(3, pending::<()>()))),
                Box::new(Box::pin(CancelScope::new().run(pending::<()>()))),
            ],
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        assert!(
            self.task.is_finished() || !self.foreign.gone,
            "it ended with its runtime"
        );
        self.task.cancel();
        self.task.abort();
        assert!(matches!(self.output.peek(), Some(Ok(5))));
        self.group.cancel();
        assert!(self.group.is_empty() || !self.foreign.gone);
        self.set.cancel_all();
        self.set.abort_all();
        self.scope.cancel();
        if let Some(value) = &self.value {
            assert_eq!(**value, 7);
        }
        assert!(self.lock.try_lock().is_none(), "its guard is still here");
        self.others.clear();
        assert!(self.lock.try_lock().is_some());
        ask();
    }
}

#[test]
fn a_shards_thread_may_use_what_it_holds_as_it_ends() {
    for_each_builder(|kind, builder| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let shards = builder.shards(2).start().expect("shards");
        let seen = Arc::clone(&dropped);
        let handles: Vec<Handle> = (0..2)
            .map(|index| shards.handle(ShardId(index)).expect("it is there").clone())
            .collect();
        let kept = shards.run(|| async move {
            let values = Sharded::new(|_| async { 7_u32 }).await.expect("made");
            let values_here = values.clone();
            values
                .map_reduce(
                    move |_| {
                        let (handles, seen) = (handles.clone(), Arc::clone(&seen));
                        let values = values_here.clone();
                        async move {
                            EARLY.with_borrow_mut(|kept| kept.push(Box::new(())));
                            let early = Native::new(&handles, Some(values.clone()), &seen).await;
                            let late = Native::new(&handles, Some(values), &seen).await;
                            LATE.with_borrow_mut(|kept| kept.push(Box::new(late)));
                            EARLY.with_borrow_mut(|kept| kept.push(Box::new(early)));
                        }
                    },
                    (),
                    |(), ()| (),
                )
                .await
                .expect("no panic");
        });
        kept.expect("no panic");
        drop(shards);
        assert_eq!(dropped.load(Ordering::SeqCst), 4, "{kind}");
    });
}

thread_local! {
    /// A runtime that is a value of its thread like any other.
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

#[test]
fn a_runtime_that_ends_with_its_thread_ends_all_that_its_tasks_hold() {
    for_each_builder(|kind, builder| {
        for early in [false, true] {
            let dropped = Arc::new(AtomicUsize::new(0));
            let (seen, builder) = (Arc::clone(&dropped), builder.clone());
            let ended = thread::spawn(move || {
                if early {
                    RUNTIME.with_borrow(|_| ());
                }
                let runtime = builder.build().expect("a runtime");
                let handles = [runtime.handle()];
                runtime.block_on(async {
                    let mut native = Native::new(&handles, None, &seen).await;
                    native.foreign.gone = false;
                    drop(spawn(WHO.scope(1, async move {
                        let _native = native;
                        pending::<()>().await;
                    })));
                    yield_now().await;
                });
                RUNTIME.with_borrow_mut(|place| *place = Some(runtime));
            });
            ended.join().expect("no panic, and no abort of the process");
            assert_eq!(dropped.load(Ordering::SeqCst), 1, "{kind}");
        }
    });
}
