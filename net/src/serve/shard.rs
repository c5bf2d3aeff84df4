//! A server's part on one shard: accepting, the connections that are open, and their end.
//!
//! Each connection is a task. Its entry among the open ones goes with its future, however that
//! ends: so a task that panics is nobody's to join, and the runtime's hook hears of it. The loop
//! that accepts is woken by an entry only if it waits for one.
//!
//! ```text
//! accept  ->  stop: close the listener, serve what it had taken  ->  drain  ->  abort the rest
//! ```

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use annulet_runtime::time::timeout;
use annulet_runtime::{JoinHandle, spawn, yield_now};

use super::Listener;
use super::counts::Counts;
use super::gate::Gate;

/// Connections that are accepted in a row before the connections that are open have their turn.
const IN_A_ROW_MAX: u32 = 16;
/// Errors of the listener in a row at which a server gives up.
const ERRORS_MAX: u32 = 10;

/// How a server behaves, the same on all shards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) open_max: usize,
    pub(crate) shard_open_max: usize,
    pub(crate) refuses: bool,
    pub(crate) nodelay: bool,
    pub(crate) steers: bool,
    pub(crate) drain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            open_max: usize::MAX,
            shard_open_max: usize::MAX,
            refuses: false,
            nodelay: true,
            steers: false,
            drain: Duration::from_secs(10),
        }
    }
}

/// What the shards of a server have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(super) settings: Settings,
    pub(super) gate: Gate,
    pub(super) counts: Box<[Counts]>,
}

impl Common {
    pub(crate) fn new(settings: Settings, shards: usize) -> Self {
        Self {
            settings,
            gate: Gate::new(settings.open_max),
            counts: (0..shards).map(|_| Counts::default()).collect(),
        }
    }
}

/// The connections that are open on this shard.
struct Open {
    common: Arc<Common>,
    /// Which of the counts are this shard's.
    shard: usize,
    next: Cell<u64>,
    tasks: RefCell<HashMap<u64, JoinHandle<()>>>,
    count: Cell<usize>,
    /// Whoever waits for a connection to end.
    waker: RefCell<Option<Waker>>,
}

impl Open {
    fn counts(&self) -> &Counts {
        &self.common.counts[self.shard]
    }

    fn has_room(&self) -> bool {
        self.count.get() < self.common.settings.shard_open_max && self.common.gate.has_room()
    }

    /// Waits until there is room here and on the server.
    async fn room(&self) {
        poll_fn(|cx| {
            if self.count.get() >= self.common.settings.shard_open_max {
                self.waker.replace(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            self.common.gate.poll_room(cx)
        })
        .await;
    }

    async fn all_ended(&self) {
        poll_fn(|cx| {
            if self.count.get() == 0 {
                return Poll::Ready(());
            }
            self.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// A place for one connection, if there is one.
    fn enter(self: &Rc<Self>) -> Option<Entry> {
        let here = self.count.get() < self.common.settings.shard_open_max;
        if !here || !self.common.gate.try_enter() {
            return None;
        }
        self.count.set(self.count.get() + 1);
        self.counts().accepted.bump();
        let id = self.next.get();
        self.next.set(id + 1);
        Some(Entry {
            id,
            open: Rc::clone(self),
        })
    }

    /// Serves a connection as a task.
    fn spawn(&self, entry: Entry, served: impl Future<Output = ()> + 'static) {
        let id = entry.id;
        let task = spawn(async move {
            let _until_the_end = entry;
            served.await;
        });
        // A runtime that is ending drops it at once.
        if !task.is_finished() {
            self.tasks.borrow_mut().insert(id, task);
        }
    }
}

/// One connection's place among the open ones.
struct Entry {
    id: u64,
    open: Rc<Open>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let open = &self.open;
        let handle = open.tasks.borrow_mut().remove(&self.id);
        drop(handle);
        if std::thread::panicking() {
            open.counts().panicked.bump();
        }
        open.counts().ended.bump();
        open.count.set(open.count.get() - 1);
        open.common.gate.leave();
        let waker = open.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Ends what is open when the server ends in whatever way.
struct AbortAll(Rc<Open>);

impl Drop for AbortAll {
    fn drop(&mut self) {
        let tasks = self.0.tasks.take();
        for task in tasks.into_values() {
            self.0.counts().aborted.bump();
            task.abort();
        }
    }
}

/// The output of `future`, or `None` once told to stop.
async fn unless<S: Future<Output = ()>, F: Future>(
    mut stop: Pin<&mut S>,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Serves the connections of `listener` until `stop` is done and those then open have ended, or
/// the time to drain is over. `stopping` is called between the two.
///
/// Dropping it ends all connections at once.
pub(crate) async fn serve_shard<L, H>(
    listener: L,
    stop: impl Future<Output = ()>,
    stopping: impl FnOnce(),
    handler: H,
    common: Arc<Common>,
    shard: usize,
) -> io::Result<()>
where
    L: Listener,
    H: AsyncFn(L::Stream, L::Peer) + 'static,
{
    let drain = common.settings.drain;
    let open = Rc::new(Open {
        common,
        shard,
        next: Cell::new(0),
        tasks: RefCell::default(),
        count: Cell::new(0),
        waker: RefCell::default(),
    });
    let at_the_end = AbortAll(Rc::clone(&open));
    let handler = Rc::new(handler);
    let ended = accept_all(&listener, pin!(stop), &handler, &open).await;
    for (stream, peer) in listener.close().await {
        match open.enter() {
            Some(entry) => start::<L, H>(&open, entry, &handler, stream, peer),
            None => open.counts().refused.bump(),
        }
    }
    stopping();
    // Late connections are dropped by the guard.
    let _late = timeout(drain, open.all_ended()).await;
    drop(at_the_end);
    ended
}

fn start<L, H>(open: &Open, entry: Entry, handler: &Rc<H>, stream: L::Stream, peer: L::Peer)
where
    L: Listener,
    H: AsyncFn(L::Stream, L::Peer) + 'static,
{
    if open.common.settings.nodelay {
        L::send_at_once(&stream);
    }
    let handler = Rc::clone(handler);
    open.spawn(entry, async move { handler(stream, peer).await });
}

/// Accepts until told to stop, or until the listener is of no use any more.
async fn accept_all<L, H, S>(
    listener: &L,
    mut stop: Pin<&mut S>,
    handler: &Rc<H>,
    open: &Rc<Open>,
) -> io::Result<()>
where
    L: Listener,
    H: AsyncFn(L::Stream, L::Peer) + 'static,
    S: Future<Output = ()>,
{
    let refuses = open.common.settings.refuses;
    let (mut in_a_row, mut errors) = (0, 0);
    loop {
        if !refuses && !open.has_room() {
            listener.pause();
            open.counts().pauses.bump();
            if unless(stop.as_mut(), open.room()).await.is_none() {
                return Ok(());
            }
        }
        let Some(accepted) = unless(stop.as_mut(), listener.accept()).await else {
            return Ok(());
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                open.counts().errors.bump();
                errors += 1;
                if errors == ERRORS_MAX {
                    return Err(error);
                }
                continue;
            }
        };
        errors = 0;
        // Another shard may have taken the last place meanwhile.
        let entry = loop {
            match open.enter() {
                Some(entry) => break Some(entry),
                None if refuses => break None,
                None => {}
            }
            if unless(stop.as_mut(), open.room()).await.is_none() {
                break None;
            }
        };
        match entry {
            Some(entry) => start::<L, H>(open, entry, handler, stream, peer),
            None => open.counts().refused.bump(),
        }
        in_a_row += 1;
        if in_a_row == IN_A_ROW_MAX {
            in_a_row = 0;
            yield_now().await;
        }
    }
}
