//! What is to be said, between those who copy and the one thread that says it.
//!
//! # Protocol
//!
//! Messages are said in the order in which they were put. A thread of the blocking pool that finds
//! [`WAITING_MAX`] waiting is held until there is room: who reads slowly makes the copy slow, not
//! the memory full. The shard is never held, since signals are heard there. Once somebody has said
//! [`hurry`](Queue::hurry), nobody is held: the copy has been asked to end, and ends even if nobody
//! reads.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

const WAITING_MAX: usize = 1000;

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    /// There is something to say.
    filled: Condvar,
    /// There is room.
    emptied: Condvar,
    /// The thread that is never held.
    shard: ThreadId,
}

struct State<T> {
    waiting: VecDeque<T>,
    hurried: bool,
}

impl<T> Queue<T> {
    /// A queue that does not hold the thread it is made on.
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                hurried: false,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            shard: thread::current().id(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, message: T) {
        let mut state = self.lock();
        while state.waiting.len() >= WAITING_MAX
            && !state.hurried
            && thread::current().id() != self.shard
        {
            state = self
                .emptied
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.push_back(message);
        self.filled.notify_one();
    }

    /// From now on nobody is held.
    pub(crate) fn hurry(&self) {
        self.lock().hurried = true;
        self.emptied.notify_all();
    }

    pub(crate) fn is_hurried(&self) -> bool {
        self.lock().hurried
    }

    /// All that waits, once something does; nothing if that is not before the deadline.
    pub(crate) fn take(&self, deadline: Instant) -> VecDeque<T> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.filled.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let taken = mem::take(&mut state.waiting);
        self.emptied.notify_all();
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Instant;

    use super::{Queue, WAITING_MAX};

    #[test]
    fn threads_are_held_by_a_full_queue_until_there_is_room_and_the_maker_never() {
        let queue = Arc::new(Queue::new());
        for number in 0..WAITING_MAX + 10 {
            queue.put(number);
        }
        let (done, is_done) = mpsc::channel();
        let putter = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                queue.put(7);
                done.send(()).expect("somebody waits");
            }
        });
        assert!(is_done.try_recv().is_err());
        let taken: Vec<usize> = queue.take(Instant::now()).into();
        assert!(
            taken
                .iter()
                .take(WAITING_MAX + 10)
                .copied()
                .eq(0..WAITING_MAX + 10)
        );
        is_done.recv().expect("there is room");
        putter.join().expect("no panic");
    }

    #[test]
    fn nobody_is_held_once_it_is_hurried() {
        let queue = Arc::new(Queue::new());
        for number in 0..WAITING_MAX {
            queue.put(number);
        }
        let putters: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.put(1))
            })
            .collect();
        queue.hurry();
        for putter in putters {
            putter.join().expect("no panic");
        }
        assert_eq!(queue.take(Instant::now()).len(), WAITING_MAX + 4);
        assert!(queue.take(Instant::now()).is_empty());
    }
}
