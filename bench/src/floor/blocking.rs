//! A pool made by hand: two threads, a queue under a lock for the calls and one for the answers.
//!
//! The calls are boxed, as they must be where they differ. Threads and caller take all that is
//! there at once, and only who finds a queue empty sleeps, and only who fills an empty queue wakes.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::case::Blocking;
use crate::recorder::{Figures, Recorder};

/// Threads of the pool.
const THREADS: usize = 2;

/// Jobs that a thread takes at once.
const BATCH: usize = 8;

type Job = Box<dyn FnOnce() -> u32 + Send>;

/// A queue that can be waited at.
#[derive(Debug)]
struct Queue<T> {
    held: Mutex<Held<T>>,
    filled: Condvar,
}

#[derive(Debug)]
struct Held<T> {
    items: VecDeque<T>,
    waiting: usize,
    closed: bool,
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self {
            held: Mutex::new(Held {
                items: VecDeque::new(),
                waiting: 0,
                closed: false,
            }),
            filled: Condvar::new(),
        }
    }

    fn push(&self, items: impl Iterator<Item = T>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.items.extend(items);
        let waiting = held.waiting;
        drop(held);
        if waiting > 0 {
            self.filled.notify_one();
        }
    }

    /// Takes up to so many; none once the queue is closed.
    fn take(&self, count: usize, into: &mut Vec<T>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.items.is_empty() && !held.closed {
            held.waiting += 1;
            held = self
                .filled
                .wait(held)
                .unwrap_or_else(PoisonError::into_inner);
            held.waiting -= 1;
        }
        let count = count.min(held.items.len());
        into.extend(held.items.drain(..count));
    }

    fn close(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.closed = true;
        drop(held);
        self.filled.notify_all();
    }
}

/// Keeps the case's number of calls under way until the recorder has enough.
///
/// # Errors
///
/// If a call answered for another.
pub fn two_threads(case: &Blocking, mut recorder: Recorder) -> io::Result<Figures> {
    let (jobs, answers) = (Queue::<Job>::new(), Queue::<u32>::new());
    let job = |number: u32| -> Job { Box::new(move || number) };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut taken = Vec::with_capacity(BATCH);
                loop {
                    jobs.take(BATCH, &mut taken);
                    if taken.is_empty() {
                        return;
                    }
                    answers.push(taken.drain(..).map(|job| job()));
                }
            });
        }
        jobs.push((0..case.in_flight).map(job));
        let mut taken = Vec::with_capacity(case.in_flight as usize);
        loop {
            answers.take(usize::MAX, &mut taken);
            let count = taken.len() as u64;
            if taken.iter().any(|&answer| answer >= case.in_flight) {
                jobs.close();
                return Err(io::Error::other("an answer to no call"));
            }
            if !recorder.record_batch(count, Instant::now()) {
                jobs.close();
                return Ok(recorder.finish());
            }
            jobs.push(taken.drain(..).map(job));
        }
    })
}
