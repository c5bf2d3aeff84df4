//! Messages from other threads to an owner: closures, run on its thread.
//!
//! A lock and a queue, since a message is boxed anyway; and a flag, so that the owner need not take
//! the lock to see that there is nothing. The flag is written under the lock only, so it is never
//! false while the queue is not empty. The owner takes the queue by giving an empty one for it, so
//! that the memory of both is used over and over. Each message carries the time at which it was
//! sent, in [ticks], so that the owner can tell how long it was under way.

use std::collections::VecDeque;
use std::fmt;
use std::mem;

use super::owner::LocalOwner;
use crate::metrics::ticks;
use crate::shim::{AtomicBool, Mutex, Ordering, lock};

/// A message to an owner.
pub(crate) enum Message {
    /// Code that knows nothing of the owner.
    Call(Box<dyn FnOnce() + Send>),
    /// Code that works on the owner, as a remote spawn does.
    Visit(Box<dyn FnOnce(&LocalOwner) + Send>),
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call(_) => "Message::Call",
            Self::Visit(_) => "Message::Visit",
        })
    }
}

/// A message, and when it was sent, in ticks.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) at: u64,
    pub(super) message: Message,
}

#[derive(Debug, Default)]
struct Held {
    queue: VecDeque<Sent>,
    closed: bool,
}

/// The messages of one owner.
#[derive(Debug)]
pub(super) struct Messages {
    pending: AtomicBool,
    held: Mutex<Held>,
}

impl Messages {
    pub(super) fn new() -> Self {
        Self {
            pending: AtomicBool::new(false),
            held: Mutex::new(Held::default()),
        }
    }

    /// Whether something is in it; see [`Inbox::is_pending`](super::inbox::Inbox::is_pending).
    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        // Relaxed: partner is the sleep protocol's fence; the lock synchronises.
        self.pending.load(Ordering::Relaxed)
    }

    /// Puts a message in, or gives it back if nobody takes any more.
    pub(super) fn push(&self, message: Message) -> Result<(), Message> {
        let at = ticks::now();
        let mut held = lock(&self.held);
        if held.closed {
            return Err(message);
        }
        held.queue.push_back(Sent { at, message });
        // Relaxed: under the lock.
        self.pending.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Appends everything to `backlog`, first come first.
    pub(super) fn take(&self, backlog: &mut VecDeque<Sent>) {
        if !self.is_pending() {
            return;
        }
        let mut held = lock(&self.held);
        // Relaxed: under the lock.
        self.pending.store(false, Ordering::Relaxed);
        if backlog.is_empty() {
            mem::swap(&mut held.queue, backlog);
        } else {
            backlog.append(&mut held.queue);
        }
    }

    /// Takes everything and refuses whatever comes later.
    pub(super) fn close(&self) -> VecDeque<Sent> {
        let mut held = lock(&self.held);
        held.closed = true;
        // Relaxed: under the lock.
        self.pending.store(false, Ordering::Relaxed);
        mem::take(&mut held.queue)
    }

    /// Whether it was closed.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.held).closed
    }
}
