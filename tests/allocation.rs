//! What the warm path allocates: nothing, for all but the operations that are named otherwise.
//!
//! Each operation runs until everything that grows has grown, and is then counted over a thousand
//! more. The counts are those of the shard's thread; the pool's threads count for themselves.

mod support {
    pub(crate) mod adopted;
    pub(crate) mod alloc {
        pub(crate) mod counting;
    }
    pub(crate) mod streams;
}

use std::io::{Read, Write};
use std::net::{Ipv4Addr, UdpSocket as StdSocket};
use std::rc::Rc;
use std::time::Duration;

use annulet::fs::File;
use annulet::net::UdpSocket;
use annulet::op::{Nop, Op};
use annulet::sync::generic::mpsc;
use annulet::sync::generic::{CancellationToken, Event, Mutex, Notify, RwLock, Semaphore};
use annulet::sync::kind::{Kind, Local, Shared};
use annulet::sync::queue::Queue;
use annulet::sync::{broadcast, oneshot, rendezvous, watch};
use annulet::time::{sleep, timeout};
use annulet::{Context, DriverKind};
use support::adopted::adopted;
use support::alloc::counting::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Operations before any are counted.
const WARM_UP: u32 = 3000;
/// Operations that are counted.
const COUNTED: u32 = 1000;

/// Bytes that a thousand operations may leave behind: something grows once, nothing with each.
const LEFT_MAX: usize = 8 * 1024;

/// Allocations of one turn of `operate`, in hundredths.
async fn per_operation(mut operate: impl AsyncFnMut()) -> u64 {
    for _ in 0..WARM_UP {
        operate().await;
    }
    let (before, bytes) = (counting::allocations(), counting::live_bytes());
    for _ in 0..COUNTED {
        operate().await;
    }
    let count = counting::allocations() - before;
    let grown = counting::live_bytes().saturating_sub(bytes);
    assert!(grown < LEFT_MAX, "{grown} bytes were not given back");
    count * 100 / u64::from(COUNTED)
}

/// The locks in the order in which they are counted.
const LOCAL_LOCKS: [&str; 6] = [
    "mutex, waited for",
    "semaphore, waited for",
    "read-write lock, waited for",
    "event, waited for",
    "notification, waited for",
    "a wait that is given up, and a child",
];
const SHARED_LOCKS: [&str; 6] = [
    "shared mutex, waited for",
    "shared semaphore, waited for",
    "shared read-write lock, waited for",
    "shared event, waited for",
    "shared notification, waited for",
    "the same, shared",
];

/// What was counted, by name.
#[derive(Default)]
struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    async fn count(&mut self, name: &'static str, operate: impl AsyncFnMut()) {
        self.0.push((name, per_operation(operate).await));
    }
}

/// Sockets: the peer sends before each receive and reads after each send, so that nothing waits.
async fn sockets(counts: &mut Counts) {
    let (mut peer, stream) = adopted();
    let mut sender = peer.try_clone().expect("one more descriptor");
    let mut buf = Some(Vec::with_capacity(256));
    let read = async || {
        sender.write_all(&[7; 64]).expect("room");
        let taken = buf.take().expect("given back");
        let (read, taken) = stream.read(taken).await.expect("received");
        assert_eq!(read, 64);
        buf = Some(taken);
    };
    counts.count("read into the same buffer", read).await;
    let mut buf = Some(vec![7; 64]);
    let send = async || {
        let taken = buf.take().expect("given back");
        let ((), taken) = stream.write_all(taken).await.expect("sent");
        buf = Some(taken);
        let mut space = [0; 64];
        peer.read_exact(&mut space).expect("what was sent");
    };
    counts.count("write_all of the same buffer", send).await;
    let mut bufs = Some(vec![vec![7; 32], vec![7; 32]]);
    let send = async || {
        let taken = bufs.take().expect("given back");
        let ((), taken) = stream.write_all_vectored(taken).await.expect("sent");
        bufs = Some(taken);
        let mut space = [0; 64];
        peer.read_exact(&mut space).expect("what was sent");
    };
    counts
        .count("write_all_vectored of two buffers", send)
        .await;
    let (mut peer, stream) = adopted();
    let recv = async || {
        peer.write_all(&[7; 64]).expect("room");
        let lease = stream.recv().await.expect("received").expect("not the end");
        assert_eq!(lease.len(), 64);
    };
    counts.count("recv of a lease", recv).await;
    let (peer, stream) = adopted();
    let waiting = async || {
        let mut peer = &peer;
        let write = async {
            annulet::yield_now().await;
            peer.write_all(&[7; 64]).expect("room");
        };
        let read = stream.recv();
        both(read, write).await.expect("received").expect("bytes");
    };
    counts.count("recv of a lease that waits", waiting).await;
}

/// Awaits both on one task.
async fn both<T>(first: impl Future<Output = T>, second: impl Future<Output = ()>) -> T {
    let (mut first, mut second) = (std::pin::pin!(first), std::pin::pin!(second));
    let (mut answer, mut done) = (None, false);
    std::future::poll_fn(|cx| {
        if answer.is_none()
            && let std::task::Poll::Ready(first) = first.as_mut().poll(cx)
        {
            answer = Some(first);
        }
        done = done || second.as_mut().poll(cx).is_ready();
        if done && answer.is_some() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    answer.expect("it has answered")
}

/// Datagrams to an address that is named each time.
async fn datagrams(counts: &mut Counts) {
    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bound");
    let far = StdSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let to = far.local_addr().expect("bound");
    let mut buf = Some(vec![7; 64]);
    let send = async || {
        let taken = buf.take().expect("given back");
        let (_, taken) = near.send_to(taken, to).await.expect("sent");
        buf = Some(taken);
        far.recv(&mut [0; 64]).expect("what was sent");
    };
    counts.count("send_to", send).await;
}

async fn files(counts: &mut Counts) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&[7; 4096]).expect("written");
    let file = File::from_std(file);
    let mut buf = Some(Vec::with_capacity(4096));
    let read = async || {
        let taken = buf.take().expect("given back");
        let (read, taken) = file.read_at(taken, 0).await.expect("read");
        assert_eq!(read, 4096);
        buf = Some(taken);
    };
    counts.count("read_at into the same buffer", read).await;
    let mut buf = Some(vec![7; 4096]);
    let write = async || {
        let taken = buf.take().expect("given back");
        let (_, taken) = file.write_at(taken, 0).await.expect("written");
        buf = Some(taken);
    };
    counts.count("write_at of the same buffer", write).await;
}

async fn tasks(counts: &mut Counts) {
    counts
        .count("yield_now", async || annulet::yield_now().await)
        .await;
    let context = Context::current();
    let nop = async || Op::new(context.driver(), Nop).await.expect("nothing");
    counts.count("nop", nop).await;
    // One tick of the wheel: three thousand long ones would take minutes.
    let short = Duration::from_micros(1);
    counts.count("sleep", async || sleep(short).await).await;
    let within = async || {
        let answer = timeout(Duration::from_secs(1), annulet::yield_now()).await;
        answer.expect("in time");
    };
    counts.count("timeout", within).await;
    let spawn = async || annulet::spawn(async {}).await.expect("it ends");
    counts.count("spawn and join", spawn).await;
    let flag = Rc::new(LocalFlag::default());
    let other = Rc::clone(&flag);
    let echo = annulet::spawn(async move {
        loop {
            other.wait(true).await;
        }
    });
    let wake = async || flag.wait(false).await;
    counts.count("wake of a task and back", wake).await;
    echo.abort();
    let call = async || annulet::spawn_blocking(|| ()).await.expect("no panic");
    counts.count("spawn_blocking", call).await;
}

/// Locks that are waited for, of one kind; `names` are what they are counted as.
async fn locks<K: Kind>(counts: &mut Counts, names: [&'static str; 6]) {
    let [
        mutex_name,
        semaphore_name,
        rwlock_name,
        event_name,
        notify_name,
        token_name,
    ] = names;
    let mutex = Mutex::<u32, K>::new(0);
    let lock = async || {
        let held = mutex.lock().await;
        let next = async { *mutex.lock().await += 1 };
        both(next, async { drop(held) }).await;
    };
    counts.count(mutex_name, lock).await;
    let semaphore = Semaphore::<K>::new(1);
    let acquire = async || {
        let held = semaphore.acquire().await.expect("open");
        let next = async { drop(semaphore.acquire().await.expect("open")) };
        both(next, async { drop(held) }).await;
    };
    counts.count(semaphore_name, acquire).await;
    let rwlock = RwLock::<u32, K>::new(0);
    let write = async || {
        let held = rwlock.read().await;
        let next = async { *rwlock.write().await += 1 };
        both(next, async { drop(held) }).await;
    };
    counts.count(rwlock_name, write).await;
    let event = Event::<K>::new();
    let wait = async || {
        both(event.wait(), async { event.set() }).await;
        event.clear();
    };
    counts.count(event_name, wait).await;
    let notify = Notify::<K>::new();
    let notified = async || both(notify.notified(), async { notify.notify_one() }).await;
    counts.count(notify_name, notified).await;
    // A child is a node of its own; that is all.
    let token = CancellationToken::<K>::new();
    let give_up = async || {
        let pass = token.run_until_cancelled(annulet::yield_now()).await;
        pass.expect("not cancelled");
        drop(token.child_token());
    };
    counts.count(token_name, give_up).await;
}

/// There and back, to a task and through channels with room for one, so that both wait each time.
async fn channels(counts: &mut Counts) {
    there_and_back::<Local>(counts, "mpsc there and back").await;
    there_and_back::<Shared>(counts, "shared mpsc there and back").await;
    let (there, mut here) = rendezvous::channel::<u64>();
    let (back, mut answers) = rendezvous::channel();
    let echo = annulet::spawn(async move {
        while let Some(value) = here.recv().await {
            back.send(value).await.expect("received");
        }
    });
    let turn = async || {
        there.send(1).await.expect("received");
        assert_eq!(answers.recv().await, Some(1));
    };
    counts.count("rendezvous there and back", turn).await;
    echo.abort();
    let (jobs, done) = (Rc::new(Queue::bounded(1)), Rc::new(Queue::bounded(1)));
    let (taken, given) = (Rc::clone(&jobs), Rc::clone(&done));
    let echo = annulet::spawn(async move {
        while let Ok(job) = taken.get().await {
            given.put(job).await.expect("not shut down");
        }
    });
    let turn = async || {
        jobs.put(1_u64).await.expect("not shut down");
        assert_eq!(done.get().await, Ok(1));
    };
    counts.count("queue there and back", turn).await;
    echo.abort();
    let (sender, mut receiver) = watch::channel(0_u64);
    let (answer, mut answers) = watch::channel(0_u64);
    let echo = annulet::spawn(async move {
        while receiver.changed().await.is_ok() {
            let seen = *receiver.borrow();
            answer.send(seen).expect("a receiver");
        }
    });
    let turn = async || {
        sender.send_modify(|value| *value += 1);
        answers.changed().await.expect("a sender");
    };
    counts.count("watch there and back", turn).await;
    echo.abort();
    let (sender, mut receiver) = broadcast::channel(4);
    let turn = async || {
        sender.send(1_u64).expect("a receiver");
        assert_eq!(receiver.recv().await, Ok(1));
    };
    counts.count("broadcast", turn).await;
    let turn = async || {
        let (sender, receiver) = oneshot::channel();
        sender.send(1_u64).expect("a receiver");
        assert_eq!(receiver.await, Ok(1));
    };
    counts.count("oneshot", turn).await;
}

async fn there_and_back<K: Kind>(counts: &mut Counts, name: &'static str) {
    let (there, mut here) = mpsc::bounded::<u64, K>(1);
    let (back, mut answers) = mpsc::bounded::<u64, K>(1);
    let echo = annulet::spawn(async move {
        while let Some(value) = here.recv().await {
            back.send(value).await.expect("received");
        }
    });
    let turn = async || {
        // Two, so that the second waits for room.
        there.send(1).await.expect("received");
        there.send(2).await.expect("received");
        assert_eq!(answers.recv().await, Some(1));
        assert_eq!(answers.recv().await, Some(2));
    };
    counts.count(name, turn).await;
    echo.abort();
}

/// Two tasks that wake each other in turn.
#[derive(Default)]
struct LocalFlag {
    turn: std::cell::Cell<bool>,
    wakers: [std::cell::RefCell<Option<std::task::Waker>>; 2],
}

impl LocalFlag {
    /// Waits until it is this side's turn, and gives it to the other.
    async fn wait(&self, side: bool) {
        std::future::poll_fn(|cx| {
            if self.turn.get() == side {
                self.turn.set(!side);
                if let Some(waker) = &*self.wakers[usize::from(!side)].borrow() {
                    waker.wake_by_ref();
                }
                return std::task::Poll::Ready(());
            }
            *self.wakers[usize::from(side)].borrow_mut() = Some(cx.waker().clone());
            std::task::Poll::Pending
        })
        .await;
    }
}

/// Hundredths of allocations that an operation may make, where that is not none. The pool's queue
/// takes a block for every few dozen jobs.
fn allowed(kind: DriverKind, name: &str) -> u64 {
    match (kind, name) {
        // The job, its place in the queue, and the place of its answer.
        (_, "spawn_blocking") => 310,
        // The child's node.
        (_, "a wait that is given up, and a child" | "the same, shared") => 100,
        // The list of the parts; and where to.
        (_, "write_all_vectored of two buffers") => 100,
        (_, "send_to") => 200,
        // What the receivers share of a value; and what the two ends share.
        (_, "broadcast" | "oneshot") => 100,
        // The pool's: a job, and what it shares with its slot. On ext4 writes are the pool's on every
        // driver.
        (DriverKind::Poll, "read_at into the same buffer") => 210,
        (_, "write_at of the same buffer") => 210,
        _ => 0,
    }
}

#[test]
fn the_warm_path_allocates_nothing() {
    let mut over = Vec::new();
    annulet::for_each_driver(|runtime| {
        let kind = runtime.driver().kind;
        let mut counts = Counts::default();
        runtime.block_on(async {
            sockets(&mut counts).await;
            datagrams(&mut counts).await;
            files(&mut counts).await;
            tasks(&mut counts).await;
            locks::<Local>(&mut counts, LOCAL_LOCKS).await;
            locks::<Shared>(&mut counts, SHARED_LOCKS).await;
            channels(&mut counts).await;
        });
        for (name, hundredths) in counts.0 {
            println!(
                "{kind}: {name}: {}.{:02}",
                hundredths / 100,
                hundredths % 100
            );
            if hundredths > allowed(kind, name) {
                over.push((kind, name));
            }
        }
    });
    assert!(over.is_empty(), "more allocations than said: {over:?}");
}
