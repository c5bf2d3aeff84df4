//! Many wakes from two threads, an owner that sleeps whenever it can: no wake may be lost.

use std::panic::Location;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::thread::{self, Thread};

use super::{Census, Executor, Unpark};
use crate::shim::census;

const TASKS: usize = 8;
const WAKES: u64 = if cfg!(miri) { 200 } else { 100_000 };

struct Unparker(Thread);

impl Unpark for Unparker {
    fn unpark(&self) {
        self.0.unpark();
    }
}

/// What a thread and a task share: the thread raises the number and wakes; the task must get to see
/// the last.
#[derive(Default)]
struct Line {
    number: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

/// A small generator of numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(len).unwrap()).unwrap()
    }
}

fn waking_thread(lines: Vec<Arc<Line>>, seed: u64) -> u64 {
    let mut random = Random(seed);
    for _ in 0..WAKES {
        let line = &lines[random.index(lines.len())];
        line.number.fetch_add(1, Ordering::Relaxed);
        // A kept waker, woken outside of the lock: clones and drops on this thread, too.
        let waker = line.waker.lock().unwrap().clone();
        if let Some(waker) = waker {
            match random.index(3) {
                0 => waker.wake_by_ref(),
                1 => waker.wake(),
                _ => waker.clone().wake(),
            }
        }
        if random.index(64) == 0 {
            thread::yield_now();
        }
    }
    // The last word: the tasks end when both threads have said it.
    for line in lines {
        line.number.fetch_add(1 << 40, Ordering::Relaxed);
        let waker = line.waker.lock().unwrap().clone();
        waker.into_iter().for_each(Waker::wake);
    }
    census::read().1
}

#[test]
fn no_wake_from_two_threads_is_lost_to_a_sleeping_owner() {
    let census = Census::start();
    let seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |now| u64::from(now.subsec_nanos()) | 1);
    println!("seed {seed}");
    let executor = Executor::new(Arc::new(Unparker(thread::current())), Arc::default());
    let lines: Vec<Arc<Line>> = (0..TASKS).map(|_| Arc::default()).collect();
    let handles: Vec<_> = lines
        .iter()
        .map(|line| {
            let line = Arc::clone(line);
            let task = std::future::poll_fn(move |cx| {
                *line.waker.lock().unwrap() = Some(cx.waker().clone());
                if line.number.load(Ordering::Relaxed) >> 40 == 2 {
                    line.waker.lock().unwrap().take();
                    return Poll::Ready(());
                }
                Poll::Pending
            });
            executor.spawn(task, None, None, Location::caller())
        })
        .collect();
    let threads: Vec<_> = (1..3)
        .map(|number| {
            let lines = lines.clone();
            thread::spawn(move || waking_thread(lines, seed.wrapping_mul(number)))
        })
        .collect();
    let all = async {
        for handle in handles {
            handle.await.unwrap();
        }
    };
    executor.block_on_root(all, Location::caller(), |view| {
        executor.drain_inbox();
        let _end = executor.run(|_| false);
        if !view.is_done() && executor.prepare_park() {
            thread::park();
            executor.unparked();
        }
    });
    let freed = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    drop(executor);
    drop(lines);
    census.end(freed);
}
