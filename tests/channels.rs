//! Channels and queues under tasks that give up at any point: what goes in comes out, once and in
//! order.
//!
//! Sends and receives are dropped after a number of polls drawn by lot. Every value has a number
//! and is counted: one whose send was done must be received, one whose send was dropped may be, and
//! none twice. The same bodies run on one shard, and between threads with a runtime each.

mod support {
    pub(crate) mod drivers;
    pub(crate) mod random;
    pub(crate) mod watchdog;
}

use std::cell::Cell;
use std::collections::BTreeSet;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use annulet::sync::generic::queue::{Fifo, Queue};
use annulet::sync::generic::{mpsc, rendezvous};
use annulet::sync::kind::{Kind, Local, Shared};
use annulet::sync::shared::broadcast;
use annulet::sync::shared::mpsc::bounded;
use annulet::{Builder, ShardId, spawn, spawn_on, yield_now};
use support::drivers::for_each_builder;
use support::random::{Random, seed};
use support::watchdog::Watchdog;

/// Senders of a test.
const SENDERS: u64 = 3;
/// Values that each of them sends.
const VALUES: u64 = 400;

/// A value, known by its number, and counted for as long as it lives.
struct Token {
    number: u64,
    ledger: Arc<Ledger>,
}

/// What became of the values.
#[derive(Default)]
struct Ledger {
    alive: AtomicU64,
    sent: Mutex<BTreeSet<u64>>,
    given_up: Mutex<BTreeSet<u64>>,
    received: Mutex<Vec<u64>>,
}

impl Ledger {
    fn token(self: &Arc<Self>, number: u64) -> Token {
        self.alive.fetch_add(1, Ordering::Relaxed);
        Token {
            number,
            ledger: Arc::clone(self),
        }
    }

    /// Nothing was lost, doubled or leaked, and each sender's values came in their order.
    fn check(&self, in_order: bool, dog: &Watchdog) {
        assert_eq!(
            self.alive.load(Ordering::Relaxed),
            0,
            "values that still live"
        );
        let received = held(&self.received);
        let once: BTreeSet<u64> = received.iter().copied().collect();
        assert_eq!(once.len(), received.len(), "a value came twice");
        let sent = held(&self.sent);
        let lost: Vec<_> = sent.difference(&once).collect();
        assert!(lost.is_empty(), "sent and not received: {lost:?}");
        let given_up = held(&self.given_up);
        assert!(
            once.iter()
                .all(|number| sent.contains(number) || given_up.contains(number))
        );
        assert!(!given_up.is_empty(), "nobody gave up");
        dog.say(&format!("{} sends were given up", given_up.len()));
        for sender in 0..SENDERS {
            let own = received.iter().filter(|number| *number / VALUES == sender);
            assert!(!in_order || own.is_sorted(), "out of order");
        }
    }
}

fn held<T>(ledger: &Mutex<T>) -> MutexGuard<'_, T> {
    ledger.lock().expect("nothing panics with it")
}

impl Drop for Token {
    fn drop(&mut self) {
        self.ledger.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A channel of some sort, of either kind.
trait Lane<K: Kind>: 'static {
    type Sender: 'static;
    type Receiver: 'static;

    fn open(capacity: usize) -> (Self::Sender, Self::Receiver);
    fn another(sender: &Self::Sender) -> Self::Sender;
    /// False if the value was refused.
    fn send(sender: &Self::Sender, value: Token) -> impl Future<Output = bool>;
    fn receive(receiver: &mut Self::Receiver) -> impl Future<Output = Option<Token>>;
    /// Refuses what is sent from now on.
    fn close(receiver: &mut Self::Receiver);
}

struct Mpsc;

impl<K: Kind> Lane<K> for Mpsc {
    type Sender = mpsc::Sender<Token, K>;
    type Receiver = mpsc::Receiver<Token, K>;

    fn open(capacity: usize) -> (Self::Sender, Self::Receiver) {
        mpsc::bounded(capacity)
    }

    fn another(sender: &Self::Sender) -> Self::Sender {
        sender.clone()
    }

    async fn send(sender: &Self::Sender, value: Token) -> bool {
        sender.send(value).await.is_ok()
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<Token> {
        receiver.recv().await
    }

    fn close(receiver: &mut Self::Receiver) {
        receiver.close();
    }
}

/// The same channel, by permits.
struct Permits;

impl<K: Kind> Lane<K> for Permits {
    type Sender = mpsc::Sender<Token, K>;
    type Receiver = mpsc::Receiver<Token, K>;

    fn open(capacity: usize) -> (Self::Sender, Self::Receiver) {
        mpsc::bounded(capacity)
    }

    fn another(sender: &Self::Sender) -> Self::Sender {
        sender.clone()
    }

    async fn send(sender: &Self::Sender, value: Token) -> bool {
        match sender.reserve().await {
            Ok(permit) => permit.send(value).is_ok(),
            Err(_) => false,
        }
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<Token> {
        let mut values = Vec::new();
        receiver.recv_many(&mut values, 1).await;
        values.pop()
    }

    fn close(receiver: &mut Self::Receiver) {
        receiver.close();
    }
}

struct Rendezvous;

impl<K: Kind> Lane<K> for Rendezvous {
    type Sender = rendezvous::Sender<Token, K>;
    type Receiver = rendezvous::Receiver<Token, K>;

    fn open(_capacity: usize) -> (Self::Sender, Self::Receiver) {
        rendezvous::channel()
    }

    fn another(sender: &Self::Sender) -> Self::Sender {
        sender.clone()
    }

    async fn send(sender: &Self::Sender, value: Token) -> bool {
        sender.send(value).await.is_ok()
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<Token> {
        receiver.recv().await
    }

    fn close(receiver: &mut Self::Receiver) {
        receiver.close();
    }
}

/// The queue, which has no ends: the last sender that is dropped shuts it down.
struct Queued;

struct Putter<K: Kind> {
    queue: K::Rc<Queue<Fifo<Token>, K>>,
    putters: Arc<()>,
}

impl<K: Kind> Drop for Putter<K> {
    fn drop(&mut self) {
        // Two threads that both find themselves not to be the last cannot be: the count only falls.
        let putters = std::mem::take(&mut self.putters);
        if Arc::into_inner(putters).is_some() {
            self.queue.shutdown();
        }
    }
}

impl<K: Kind> Lane<K> for Queued {
    type Sender = Putter<K>;
    type Receiver = K::Rc<Queue<Fifo<Token>, K>>;

    fn open(capacity: usize) -> (Self::Sender, Self::Receiver) {
        let queue = K::rc(Queue::bounded(capacity));
        let putter = Putter {
            queue: queue.clone(),
            putters: Arc::default(),
        };
        (putter, queue)
    }

    fn another(sender: &Self::Sender) -> Self::Sender {
        Putter {
            queue: sender.queue.clone(),
            putters: Arc::clone(&sender.putters),
        }
    }

    async fn send(sender: &Self::Sender, value: Token) -> bool {
        sender.queue.put(value).await.is_ok()
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<Token> {
        receiver.get().await.ok()
    }

    fn close(receiver: &mut Self::Receiver) {
        receiver.shutdown();
    }
}

/// What a future gives, unless it is not done after a poll and so many more. Then it is dropped at
/// the next turn, without a poll: what it was given since the last one must go elsewhere.
async fn within<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = Some(polls);
    let output = std::future::poll_fn(|cx| {
        let Some(more) = left else {
            return Poll::Ready(None);
        };
        let polled = future.as_mut().poll(cx).map(Some);
        if polled.is_pending() {
            left = more.checked_sub(1);
            cx.waker().wake_by_ref();
        }
        polled
    });
    output.await
}

/// How many polls somebody has patience for: often few, at times without end.
fn patience(random: &mut Random) -> Option<u32> {
    (!random.once_in(3)).then(|| random.below(4))
}

async fn sends<L: Lane<K>, K: Kind>(
    sender: L::Sender,
    number: u64,
    ledger: Arc<Ledger>,
    mut random: Random,
) {
    for value in number * VALUES..(number + 1) * VALUES {
        let sending = L::send(&sender, ledger.token(value));
        let sent = match patience(&mut random) {
            Some(polls) => within(polls, sending).await,
            None => Some(sending.await),
        };
        match sent {
            Some(true) => {
                held(&ledger.sent).insert(value);
            }
            Some(false) => return,
            None => {
                held(&ledger.given_up).insert(value);
            }
        }
    }
}

/// Receives until the end, and closes after so many.
async fn receives<L: Lane<K>, K: Kind>(
    mut receiver: L::Receiver,
    close_after: usize,
    ledger: Arc<Ledger>,
    mut random: Random,
) {
    let mut count = 0;
    loop {
        let receiving = L::receive(&mut receiver);
        let received = match patience(&mut random) {
            Some(polls) => within(polls, receiving).await,
            None => Some(receiving.await),
        };
        match received {
            None => {}
            Some(None) => return,
            Some(Some(token)) => {
                held(&ledger.received).push(token.number);
                count += 1;
                if count == close_after {
                    L::close(&mut receiver);
                }
            }
        }
    }
}

/// Whether a test closes the channel halfway, by turns.
fn close_after(capacity: usize) -> usize {
    if capacity == 2 { 300 } else { usize::MAX }
}

fn seeds(random: &mut Random) -> Random {
    Random::new(u64::from(random.below(u32::MAX)))
}

fn on_one_shard<L: Lane<Local>>(random: &mut Random, dog: &Watchdog) {
    dog.now(std::any::type_name::<L>());
    for capacity in [1, 2, 7] {
        let runtime = Builder::new().build().expect("a runtime");
        let ledger = Arc::<Ledger>::default();
        runtime.block_on(async {
            let (sender, receiver) = L::open(capacity);
            let mut sending = Vec::new();
            for number in 0..SENDERS {
                let (sender, ledger) = (L::another(&sender), Arc::clone(&ledger));
                let sends = sends::<L, Local>(sender, number, ledger, seeds(random));
                sending.push(spawn(sends));
            }
            drop(sender);
            let ledger = Arc::clone(&ledger);
            let after = close_after(capacity);
            receives::<L, Local>(receiver, after, ledger, seeds(random)).await;
            // A value may be received before its sender, woken, could say that it was sent.
            for task in sending {
                task.await.expect("no panic");
            }
        });
        drop(runtime);
        ledger.check(true, dog);
    }
}

fn between_threads<L: Lane<Shared>>(random: &mut Random, dog: &Watchdog)
where
    L::Sender: Send,
{
    for capacity in [1, 2, 7] {
        for_each_builder(|kind, builder| {
            let lane = std::any::type_name::<L>();
            dog.now(&format!("{kind}: {lane} of {capacity}"));
            let ledger = Arc::<Ledger>::default();
            let runtime = builder.clone().build().expect("a runtime");
            let (sender, receiver) = L::open(capacity);
            std::thread::scope(|scope| {
                for number in 0..SENDERS {
                    let (sender, ledger) = (L::another(&sender), Arc::clone(&ledger));
                    let (builder, random) = (builder.clone(), seeds(random));
                    scope.spawn(move || {
                        let runtime = builder.build().expect("a runtime");
                        runtime.block_on(sends::<L, Shared>(sender, number, ledger, random));
                    });
                }
                drop(sender);
                let ledger = Arc::clone(&ledger);
                let after = close_after(capacity);
                runtime.block_on(receives::<L, Shared>(
                    receiver,
                    after,
                    ledger,
                    seeds(random),
                ));
            });
            ledger.check(true, dog);
        });
    }
}

#[test]
fn what_is_sent_on_one_shard_is_received_once_whoever_gives_up() {
    let (random, dog) = (&mut Random::new(seed()), &Watchdog::new());
    on_one_shard::<Mpsc>(random, dog);
    on_one_shard::<Permits>(random, dog);
    on_one_shard::<Rendezvous>(random, dog);
    on_one_shard::<Queued>(random, dog);
}

#[test]
fn what_is_sent_between_threads_is_received_once_whoever_gives_up() {
    let (random, dog) = (&mut Random::new(seed()), &Watchdog::new());
    between_threads::<Mpsc>(random, dog);
    between_threads::<Permits>(random, dog);
    between_threads::<Rendezvous>(random, dog);
    between_threads::<Queued>(random, dog);
}

#[test]
fn every_item_of_a_queue_goes_to_one_of_its_getters_whoever_gives_up() {
    let (mut random, dog) = (Random::new(seed()), Watchdog::new());
    for capacity in [1, 5] {
        dog.now(&format!("three getters, with room for {capacity}"));
        let runtime = Builder::new().build().expect("a runtime");
        let ledger = Arc::<Ledger>::default();
        runtime.block_on(async {
            let (sender, receiver) = <Queued as Lane<Local>>::open(capacity);
            let getters: Vec<_> = (0..3)
                .map(|_| {
                    let (receiver, ledger) = (receiver.clone(), Arc::clone(&ledger));
                    let random = seeds(&mut random);
                    spawn(receives::<Queued, Local>(
                        receiver,
                        usize::MAX,
                        ledger,
                        random,
                    ))
                })
                .collect();
            for number in 0..SENDERS {
                let (sender, ledger) = (
                    <Queued as Lane<Local>>::another(&sender),
                    Arc::clone(&ledger),
                );
                let random = seeds(&mut random);
                drop(spawn(sends::<Queued, Local>(
                    sender, number, ledger, random,
                )));
            }
            drop(sender);
            for getter in getters {
                getter.await.expect("no panic");
            }
        });
        ledger.check(false, &dog);
    }
}

/// Every shard sends to every other through channels with room for one, and receives from all.
async fn floods(
    senders: Vec<annulet::sync::shared::mpsc::Sender<u64>>,
    mut receiver: annulet::sync::shared::mpsc::Receiver<u64>,
    values: u64,
) -> u64 {
    for sender in senders {
        drop(spawn(async move {
            for value in 1..=values {
                sender.send(value).await.expect("every shard receives all");
            }
        }));
    }
    let mut sum = 0;
    while let Some(value) = receiver.recv().await {
        sum += value;
    }
    sum
}

#[test]
fn shards_that_flood_each_other_through_full_channels_come_to_an_end() {
    const SHARDS: usize = 3;
    const VALUES: u64 = 500;
    let dog = Watchdog::new();
    for_each_builder(|kind, builder| {
        dog.now(&format!("{kind}: all to all, with room for one"));
        let shards = builder.shards(SHARDS).start().expect("shards");
        let sums = shards.run(|| async {
            let (senders, receivers): (Vec<_>, Vec<_>) = (0..SHARDS).map(|_| bounded(1)).unzip();
            let tasks: Vec<_> = receivers
                .into_iter()
                .enumerate()
                .map(|(shard, receiver)| {
                    let senders = senders.clone();
                    spawn_on(ShardId(shard), move || floods(senders, receiver, VALUES))
                })
                .collect();
            drop(senders);
            let mut sums = Vec::new();
            for task in tasks {
                sums.push(task.await.expect("no panic"));
            }
            sums
        });
        let each = VALUES * (VALUES + 1) / 2 * u64::try_from(SHARDS).expect("few");
        assert_eq!(sums.expect("no panic"), [each; SHARDS]);
    });
}

#[test]
fn a_broadcast_between_shards_reaches_all_or_tells_what_was_missed() {
    const SHARDS: usize = 2;
    const VALUES: u64 = 1000;
    for_each_builder(|_, builder| {
        let shards = builder.shards(SHARDS).start().expect("shards");
        let seen = shards.run(|| async {
            let (sender, receiver) = broadcast::channel(8);
            let tasks: Vec<_> = (0..SHARDS)
                .map(|shard| {
                    let mut receiver = receiver.resubscribe();
                    spawn_on(ShardId(shard), move || async move {
                        let mut seen = 0;
                        loop {
                            match receiver.recv().await {
                                Ok(_) => seen += 1,
                                Err(broadcast::RecvError::Lagged(missed)) => seen += missed,
                                Err(broadcast::RecvError::Closed) => return seen,
                            }
                        }
                    })
                })
                .collect();
            drop(receiver);
            for value in 0..VALUES {
                sender.send(value).expect("receivers");
                if value % 16 == 0 {
                    yield_now().await;
                }
            }
            drop(sender);
            let mut seen = Vec::new();
            for task in tasks {
                seen.push(task.await.expect("no panic"));
            }
            seen
        });
        assert_eq!(seen.expect("no panic"), [VALUES; SHARDS]);
    });
}

/// Values that are there when a receiver begins: more than fit into its slice of time.
const AT_ONCE: usize = 200_000;

/// Receives values that are all there, beside a task that is ready.
fn runs_beside(receive: impl AsyncFnOnce(Rc<Cell<usize>>) + 'static) -> bool {
    let runtime = Builder::new().build().expect("a runtime");
    runtime.block_on(async {
        let received = Rc::new(Cell::new(0));
        let counted = Rc::clone(&received);
        let receives = spawn(async move { receive(counted).await });
        let beside = spawn(async move { received.get() < AT_ONCE });
        let ran_before_the_end = beside.await.expect("no panic");
        receives.await.expect("no panic");
        ran_before_the_end
    })
}

#[test]
fn a_receiver_that_never_has_to_wait_lets_others_run() {
    assert!(runs_beside(async |received| {
        let (sender, mut receiver) = annulet::sync::mpsc::unbounded();
        for _ in 0..AT_ONCE {
            sender.try_send(()).expect("no bound");
        }
        drop(sender);
        while receiver.recv().await.is_some() {
            received.set(received.get() + 1);
        }
    }));
    assert!(runs_beside(async |received| {
        let (sender, mut receiver) = annulet::sync::broadcast::channel(AT_ONCE);
        for _ in 0..AT_ONCE {
            sender.send(()).expect("a receiver");
        }
        while receiver.recv().await.is_ok() {
            received.set(received.get() + 1);
            if received.get() == AT_ONCE {
                return;
            }
        }
    }));
}
