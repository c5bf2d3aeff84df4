//! Messages from other threads to an owner: closures, run on its thread.
//!
//! A lock and a vector, since a message is boxed anyway; and a flag, so that the owner need not take
//! the lock to see that there is nothing. The flag is written under the lock only, so it is never
//! false while the vector is not empty.

use std::fmt;
use std::mem;

use super::owner::LocalOwner;
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

#[derive(Debug, Default)]
struct Letters {
    queue: Vec<Message>,
    closed: bool,
}

/// The messages of one owner.
#[derive(Debug)]
pub(super) struct Mailbox {
    pending: AtomicBool,
    letters: Mutex<Letters>,
}

impl Mailbox {
    pub(super) fn new() -> Self {
        Self {
            pending: AtomicBool::new(false),
            letters: Mutex::new(Letters::default()),
        }
    }

    /// Whether something is in it; see [`Inbox::is_pending`](super::inbox::Inbox::is_pending).
    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        // Relaxed: partner is the sleep protocol's fence; the lock synchronises.
        self.pending.load(Ordering::Relaxed)
    }

    /// Puts a message in, or gives it back if the mailbox is closed.
    pub(super) fn push(&self, message: Message) -> Result<(), Message> {
        let mut letters = lock(&self.letters);
        if letters.closed {
            return Err(message);
        }
        letters.queue.push(message);
        // Relaxed: under the lock.
        self.pending.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes everything, first come first.
    pub(super) fn take(&self) -> Vec<Message> {
        if !self.is_pending() {
            return Vec::new();
        }
        let mut letters = lock(&self.letters);
        // Relaxed: under the lock.
        self.pending.store(false, Ordering::Relaxed);
        mem::take(&mut letters.queue)
    }

    /// Takes everything and refuses whatever comes later.
    pub(super) fn close(&self) -> Vec<Message> {
        let mut letters = lock(&self.letters);
        letters.closed = true;
        // Relaxed: under the lock.
        self.pending.store(false, Ordering::Relaxed);
        mem::take(&mut letters.queue)
    }

    /// Whether it was closed.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.letters).closed
    }
}
