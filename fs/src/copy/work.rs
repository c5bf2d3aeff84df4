//! What is still to be done, and who does it.
//!
//! Directories and files are jobs of the blocking pool: making, opening and naming are at their
//! best as plain calls on a few threads, and a ring would hand each to a worker of its own. A job
//! takes one thing, does what comes of it, newest first, and after a share of that, or when a lane
//! has nothing to do, gives back what is left. So a tree is walked in depth, what waits stays
//! little, and jobs are long enough to be worth their way to the pool.
//!
//! Lanes are tasks of the shard that hand these jobs out. What is left of large files that must be
//! read and written they do themselves, through the ring. When nothing is left and nobody can bring
//! more, they end. A lane is not ended by whoever waits for it: a copy that is given up is stopped,
//! and the lanes end in good order.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use annulet_runtime::spawn_blocking;

use super::dir::{Dir, Entry};
use super::file::{self, Written};
use super::item::Item;
use super::pipe::Pipe;
use super::report::Failure;
use super::shared::Shared;
use super::start;
use super::stat::Kind;

/// Names that a job copies before it gives back what is left.
const SHARE: usize = 256;

/// What is still to be done.
pub(super) enum Work {
    /// A source.
    Source(start::Pair),
    /// A directory to enter.
    Enter(Arc<Dir>, std::ffi::OsString),
    /// A piece of the names in a directory, from the beginning or from where the last one ended.
    List(Arc<Dir>, Option<u64>),
    /// Files and other things in a directory.
    Batch(Arc<Dir>, Vec<Entry>),
    /// One of them, which takes long.
    Alone(Item),
    /// The rest of a large file.
    Pipe(Box<Pipe>),
    /// The name of a file in a batch, once it is on the disk.
    Publish(Box<Written>),
}

impl Work {
    fn is_large(&self) -> bool {
        matches!(self, Self::Alone(_) | Self::Pipe(_))
    }

    /// Does it, on a thread that may wait. Answers with what comes of it, and for how much it
    /// counts.
    fn run(self, shared: &Arc<Shared>) -> (Vec<Self>, usize) {
        if shared.is_stopped() {
            return (Vec::new(), 0);
        }
        match self {
            Self::Source(pair) => (start::start(shared, pair), 1),
            Self::Enter(dir, name) => {
                let item = dir.item(&name, &name);
                (item.copy(Kind::Directory, false), 1)
            }
            Self::List(dir, piece) => (dir.list(piece), 1),
            Self::Batch(dir, entries) => {
                let names = entries.len();
                let mut more = Vec::new();
                let mut written = Vec::new();
                for entry in entries {
                    if shared.is_stopped() {
                        break;
                    }
                    let item = dir.item(&entry.name, &entry.name);
                    for work in item.copy(entry.kind, false) {
                        match work {
                            Self::Publish(file) => written.push(*file),
                            work => more.push(work),
                        }
                    }
                }
                more.append(&mut file::publish(written));
                (more, names)
            }
            Self::Alone(item) => (item.copy(Kind::Unknown, true), 1),
            Self::Publish(file) => (file::publish(vec![*file]), 1),
            Self::Pipe(_) => unreachable!("the lanes run pipes"),
        }
    }
}

/// The job of a lane: one thing, and what comes of it for a while.
fn job(shared: &Arc<Shared>, first: Work) -> Vec<Work> {
    let mut back = Vec::new();
    let mut stack = Vec::new();
    let mut done = 0;
    let mut next = Some(first);
    while let Some(work) = next {
        let (more, names) = work.run(shared);
        done += names;
        let (large, more): (Vec<_>, Vec<_>) = more.into_iter().partition(Work::is_large);
        back.extend(large);
        stack.extend(more);
        let others_wait = shared.idle.load(Ordering::Relaxed) > 0;
        if done >= SHARE || others_wait && (stack.len() > 1 || !back.is_empty()) {
            break;
        }
        next = stack.pop();
    }
    back.append(&mut stack);
    back
}

/// What is to be done, the newest first.
pub(super) struct Queue {
    shared: Arc<Shared>,
    _call: Rc<Call>,
    work: RefCell<Vec<Work>>,
    large: RefCell<Vec<Work>>,
    /// Lanes that have something to do, and may bring more.
    busy: Cell<usize>,
    busy_large: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl Queue {
    pub(super) fn new(call: &Rc<Call>, first: Vec<Work>) -> Rc<Self> {
        Rc::new(Self {
            shared: Arc::clone(&call.0),
            _call: Rc::clone(call),
            work: RefCell::new(first),
            large: RefCell::default(),
            busy: Cell::new(0),
            busy_large: Cell::new(0),
            waiting: RefCell::default(),
        })
    }

    fn add(&self, more: Vec<Work>) {
        for work in more {
            match work.is_large() {
                true => self.large.borrow_mut().push(work),
                false => self.work.borrow_mut().push(work),
            }
        }
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    fn take(&self) -> Option<Work> {
        if self.busy_large.get() < self.shared.limits.large_files
            && let Some(large) = self.large.borrow_mut().pop()
        {
            self.busy_large.set(self.busy_large.get() + 1);
            return Some(large);
        }
        self.work.borrow_mut().pop()
    }

    /// Something to do, or `None` once nothing is left and nobody can bring more.
    async fn next(&self) -> Option<Work> {
        let mut is_idle = false;
        let next = poll_fn(|cx| {
            if let Some(work) = self.take() {
                self.busy.set(self.busy.get() + 1);
                return Poll::Ready(Some(work));
            }
            if self.busy.get() == 0 {
                return Poll::Ready(None);
            }
            if !std::mem::replace(&mut is_idle, true) {
                self.shared.idle.fetch_add(1, Ordering::Relaxed);
            }
            self.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
        if is_idle {
            self.shared.idle.fetch_sub(1, Ordering::Relaxed);
        }
        next
    }

    fn done(&self, was_large: bool, more: Vec<Work>) {
        self.busy.set(self.busy.get() - 1);
        if was_large {
            self.busy_large.set(self.busy_large.get() - 1);
        }
        self.add(more);
    }

    /// Does one thing after another until there is none.
    pub(super) async fn lane(self: Rc<Self>) {
        while let Some(work) = self.next().await {
            let was_large = work.is_large();
            let shared = Arc::clone(&self.shared);
            let more = match work {
                Work::Pipe(pipe) => pipe.run(&shared).await,
                work => {
                    let done = spawn_blocking(move || job(&shared, work)).await;
                    done.unwrap_or_else(|error| {
                        let error = io::Error::other(error);
                        let lost = Failure::new("a part of the copy was lost in", ".", error);
                        self.shared.fail(&lost);
                        Vec::new()
                    })
                }
            };
            self.done(was_large, more);
        }
    }
}

/// One call to copy; when the last queue of it is gone, so is what was kept for later names.
pub(super) struct Call(pub(super) Arc<Shared>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.links.clear();
    }
}
