//! Who may use the disk next: classes with shares, a limit on what is under way, and a goal for how
//! long it may take.
//!
//! A disk that is given all requests at once answers none of them soon, and whoever asks most has
//! most of it. So with a [`Scheduler`] requests wait here instead, where they can be put in order.
//! It is one shard's, and optional: what does not go through it is not held up.
//!
//! # How the next one is chosen
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996): a class has a virtual time that goes on by
//! the cost of what it is let through, divided by its shares; the waiting class with the earliest
//! goes next. A class that comes back begins at the time that the others have reached, so it saves
//! up nothing. Within a class the order is that of asking. A cost is bytes, with so many for the
//! request itself that small requests are not free.
//!
//! # How much is under way
//!
//! At most `depth`. With a latency goal that limit goes down by a quarter whenever, of so many
//! requests that ended, more than one in eight took longer than the goal, and up by one when none
//! did and the limit held somebody up.
//!
//! # Invariants
//!
//! 1. `under_way` counts the turns that were granted and not yet given back: a [`Turn`] gives itself
//!    back on drop, and so does a `Wait` that was granted one; one that was not leaves the queue.
//! 2. Nobody waits while there is room: each turn given back or queue joined is followed by
//!    `let_through`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use annulet_runtime::time::now;

/// What a request costs beside its bytes.
const REQUEST_COST: u64 = 4096;
/// Requests that end before the limit is judged anew.
const JUDGED_AFTER: u32 = 16;

/// Puts the requests of a shard to a disk in order. Clones are the same.
///
/// # Examples
///
/// ```no_run
/// # async fn example(file: &annulet_fs::File) -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulet_fs::Scheduler;
///
/// let disk = Scheduler::new(32).with_latency_goal(Duration::from_micros(750));
/// let queries = disk.class("queries", 8);
/// let compaction = disk.class("compaction", 1);
///
/// let turn = compaction.turn(1 << 20).await;
/// let (_, buf) = file.read_at(Vec::with_capacity(1 << 20), 0).await?;
/// drop(turn);
///
/// let _turn = queries.turn(4096).await;
/// file.read_at(buf, 4096).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scheduler(Rc<Shared>);

/// A kind of requests, with its shares of a [`Scheduler`]. Clones are the same.
#[derive(Clone)]
pub struct IoClass {
    shared: Rc<Shared>,
    index: usize,
}

/// The right to have one request under way. Given back when it is dropped.
#[must_use = "dropped, the turn is given back"]
pub struct Turn {
    shared: Rc<Shared>,
    begun: Instant,
}

/// The wait for a turn.
struct Wait {
    shared: Rc<Shared>,
    class: usize,
    cost: u64,
    /// In the queue, or granted a turn that was not handed on yet.
    waiter: Option<Rc<Waiter>>,
}

struct Waiter {
    cost: u64,
    granted: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

struct Class {
    name: String,
    shares: u64,
    /// Its virtual time.
    time: u64,
    waiting: VecDeque<Rc<Waiter>>,
    granted: u64,
}

struct Shared {
    depth_max: usize,
    goal: Cell<Option<Duration>>,
    queues: RefCell<Queues>,
}

struct Queues {
    classes: Vec<Class>,
    /// The virtual time of the last one that was let through.
    time: u64,
    depth: usize,
    under_way: usize,
    /// Of the requests that ended since the limit was judged: how many, and how many late.
    ended: u32,
    late: u32,
    /// Somebody has had to wait since.
    held_up: bool,
}

impl Scheduler {
    /// Lets at most `depth` requests be under way, at least one.
    #[must_use]
    pub fn new(depth: usize) -> Self {
        let depth = depth.max(1);
        Self(Rc::new(Shared {
            depth_max: depth,
            goal: Cell::new(None),
            queues: RefCell::new(Queues {
                classes: Vec::new(),
                time: 0,
                depth,
                under_way: 0,
                ended: 0,
                late: 0,
                held_up: false,
            }),
        }))
    }

    /// Lets fewer be under way while they take longer than `goal`.
    #[must_use]
    pub fn with_latency_goal(self, goal: Duration) -> Self {
        self.0.goal.set(Some(goal));
        self
    }

    /// A class that gets `shares`, at least one, out of those of all classes that have something
    /// to do.
    #[must_use]
    pub fn class(&self, name: &str, shares: u32) -> IoClass {
        let mut queues = self.0.queues.borrow_mut();
        let time = queues.time;
        queues.classes.push(Class {
            name: name.to_owned(),
            shares: u64::from(shares.max(1)),
            time,
            waiting: VecDeque::new(),
            granted: 0,
        });
        IoClass {
            shared: Rc::clone(&self.0),
            index: queues.classes.len() - 1,
        }
    }

    /// How many requests may be under way at the moment.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.queues.borrow().depth
    }

    /// How many are.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.0.queues.borrow().under_way
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queues = self.0.queues.borrow();
        f.debug_struct("Scheduler")
            .field("classes", &queues.classes.len())
            .field("depth", &queues.depth)
            .field("under_way", &queues.under_way)
            .finish_non_exhaustive()
    }
}

impl IoClass {
    /// Waits for the turn of a request of so many `bytes`. The turn lasts until it is dropped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: who gives up leaves the queue, and its turn is the next one's.
    pub async fn turn(&self, bytes: u64) -> Turn {
        Wait {
            shared: Rc::clone(&self.shared),
            class: self.index,
            cost: bytes.saturating_add(REQUEST_COST),
            waiter: None,
        }
        .await
    }

    /// How many requests wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let queues = self.shared.queues.borrow();
        queues.classes[self.index].waiting.len()
    }

    /// How many were let through so far.
    #[must_use]
    pub fn granted(&self) -> u64 {
        self.shared.queues.borrow().classes[self.index].granted
    }
}

impl fmt::Debug for IoClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queues = self.shared.queues.borrow();
        let class = &queues.classes[self.index];
        f.debug_struct("IoClass")
            .field("name", &class.name)
            .field("shares", &class.shares)
            .field("waiting", &class.waiting.len())
            .field("granted", &class.granted)
            .finish_non_exhaustive()
    }
}

impl Queues {
    /// The waiting class whose virtual time is the earliest.
    fn next(&self) -> Option<usize> {
        let waiting = self.classes.iter().enumerate();
        let waiting = waiting.filter(|(_, class)| !class.waiting.is_empty());
        waiting
            .min_by_key(|(_, class)| class.time)
            .map(|(index, _)| index)
    }

    /// Takes one out of its queue, if there is room.
    fn let_one_through(&mut self) -> Option<Rc<Waiter>> {
        if self.under_way >= self.depth {
            self.held_up |= self.next().is_some();
            return None;
        }
        let index = self.next()?;
        let class = &mut self.classes[index];
        let waiter = class.waiting.pop_front()?;
        self.time = class.time;
        class.time = class.time.saturating_add(waiter.cost / class.shares + 1);
        class.granted += 1;
        self.under_way += 1;
        Some(waiter)
    }

    /// Judges the limit after an end.
    fn ended(&mut self, took: Duration, goal: Duration, depth_max: usize) {
        self.ended += 1;
        self.late += u32::from(took > goal);
        if self.ended < JUDGED_AFTER {
            return;
        }
        if self.late * 8 > self.ended {
            self.depth = (self.depth - self.depth / 4).min(self.depth - 1).max(1);
        } else if self.late == 0 && self.held_up {
            self.depth = (self.depth + 1).min(depth_max);
        }
        (self.ended, self.late, self.held_up) = (0, 0, false);
    }
}

impl Shared {
    /// Grants turns while there is room.
    fn let_through(&self) {
        loop {
            let Some(waiter) = self.queues.borrow_mut().let_one_through() else {
                return;
            };
            waiter.granted.set(true);
            if let Some(waker) = waiter.waker.take() {
                waker.wake();
            }
        }
    }

    /// Takes a turn back; `begun` if its request had begun.
    fn give_back(&self, begun: Option<Instant>) {
        {
            let mut queues = self.queues.borrow_mut();
            queues.under_way -= 1;
            if let (Some(begun), Some(goal)) = (begun, self.goal.get()) {
                queues.ended(now().duration_since(begun), goal, self.depth_max);
            }
        }
        self.let_through();
    }
}

impl Wait {
    /// Joins its class's queue.
    fn join(&self, cx: &Context<'_>) -> Rc<Waiter> {
        let waiter = Rc::new(Waiter {
            cost: self.cost,
            granted: Cell::new(false),
            waker: Cell::new(Some(cx.waker().clone())),
        });
        let mut queues = self.shared.queues.borrow_mut();
        let time = queues.time;
        let class = &mut queues.classes[self.class];
        if class.waiting.is_empty() {
            class.time = class.time.max(time);
        }
        class.waiting.push_back(Rc::clone(&waiter));
        waiter
    }
}

impl Future for Wait {
    type Output = Turn;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn> {
        let this = self.get_mut();
        let waiter = match &this.waiter {
            Some(waiter) => Rc::clone(waiter),
            None => {
                let waiter = this.join(cx);
                this.waiter = Some(Rc::clone(&waiter));
                this.shared.let_through();
                waiter
            }
        };
        if !waiter.granted.get() {
            waiter.waker.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        this.waiter = None;
        Poll::Ready(Turn {
            shared: Rc::clone(&this.shared),
            begun: now(),
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else {
            return;
        };
        if waiter.granted.get() {
            self.shared.give_back(None);
            return;
        }
        let mut queues = self.shared.queues.borrow_mut();
        let waiting = &mut queues.classes[self.class].waiting;
        waiting.retain(|other| !Rc::ptr_eq(other, &waiter));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.give_back(Some(self.begun));
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}
