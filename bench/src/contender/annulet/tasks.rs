//! Tasks, timers and what they weigh, on one shard.

use std::cell::Cell;
use std::future::poll_fn;
use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use annulet::sync::mpsc;
use annulet::{JoinHandle, spawn, time, yield_now};

use crate::case::Timers;
use crate::cases::memory::OVERHEAD_BYTES;
use crate::cases::timers::CREATE_NS;
use crate::machine;
use crate::recorder::{Figures, Recorder};

/// Operations between two looks at the clock.
const BATCH: u64 = 1000;

/// Spawns a batch and joins it, again and again.
pub(super) async fn spawns(batch: u32, mut recorder: Recorder) -> io::Result<Figures> {
    let mut tasks: Vec<JoinHandle<u32>> = Vec::with_capacity(batch as usize);
    loop {
        tasks.extend((0..batch).map(|number| spawn(async move { number })));
        for (expected, task) in (0..).zip(tasks.drain(..)) {
            if task.await.map_err(io::Error::other)? != expected {
                return Err(io::Error::other("a task answered for another"));
            }
        }
        if !recorder.record_batch(u64::from(batch), Instant::now()) {
            return Ok(recorder.finish());
        }
    }
}

/// Has so many tasks yield to each other.
pub(super) async fn yields(tasks: u64, mut recorder: Recorder) -> io::Result<Figures> {
    let stop = Rc::new(Cell::new(false));
    let others: Vec<_> = (1..tasks)
        .map(|_| {
            let stop = Rc::clone(&stop);
            spawn(async move {
                while !stop.get() {
                    yield_now().await;
                }
            })
        })
        .collect();
    // Counted in the last of them: each of its turns is one of everybody's.
    let counter = spawn(async move {
        loop {
            for _ in 0..BATCH {
                yield_now().await;
            }
            if !recorder.record_batch(BATCH * tasks, Instant::now()) {
                stop.set(true);
                return recorder.finish();
            }
        }
    });
    let figures = counter.await.map_err(io::Error::other)?;
    for other in others {
        other.await.map_err(io::Error::other)?;
    }
    Ok(figures)
}

/// Starts many sleeps, each in a task, and says how late they ended.
pub(super) async fn timers(timers: Timers, mut recorder: Recorder) -> io::Result<Figures> {
    let started = Instant::now();
    let spread_ns = u64::from(timers.spread_ms - 1) * 1_000_000;
    let sleeps: Vec<_> = (0..u64::from(timers.count))
        .map(|number| {
            let after = 1_000_000 + spread_ns * number / u64::from(timers.count);
            let due = started + Duration::from_nanos(after);
            spawn(async move {
                time::sleep_until(due).await;
                let now = Instant::now();
                (now.saturating_duration_since(due), now)
            })
        })
        .collect();
    // The tasks start at their first turn, which a yield gives to all.
    yield_now().await;
    let create_ns = started.elapsed().as_nanos() as f64 / f64::from(timers.count);
    for sleep in sleeps {
        let (lateness, now) = sleep.await.map_err(io::Error::other)?;
        recorder.record(lateness, now);
    }
    let mut figures = recorder.finish();
    figures.extra.insert(CREATE_NS.to_owned(), create_ns);
    Ok(figures)
}

/// Sends numbers from one task to another, which checks their order.
pub(super) async fn messages(capacity: usize, mut recorder: Recorder) -> io::Result<Figures> {
    let (sender, mut receiver) = mpsc::bounded(capacity);
    let sending = spawn(async move {
        for number in 0_u64.. {
            if sender.send(number).await.is_err() {
                return;
            }
        }
    });
    let mut next = 0;
    loop {
        for _ in 0..BATCH {
            if receiver.recv().await != Some(next) {
                return Err(io::Error::other("a message is lost"));
            }
            next += 1;
        }
        if !recorder.record_batch(BATCH, Instant::now()) {
            break;
        }
    }
    drop(receiver);
    sending.await.map_err(io::Error::other)?;
    Ok(recorder.finish())
}

/// Longer than any round.
const NEVER: Duration = Duration::from_secs(3600);

/// Starts a sleep and gives it up, again and again.
pub(super) async fn sleeps_one_by_one(mut recorder: Recorder) -> io::Result<Figures> {
    loop {
        // One turn of the task for all, so that its own state is not what is measured.
        poll_fn(|cx| {
            for _ in 0..BATCH {
                let mut sleep = time::sleep(black_box(NEVER));
                let _pending = Pin::new(&mut sleep).poll(cx);
            }
            Poll::Ready(())
        })
        .await;
        if !recorder.record_batch(BATCH, Instant::now()) {
            return Ok(recorder.finish());
        }
    }
}

/// Starts so many sleeps, then gives all up, again and again; the first time is warm-up.
pub(super) async fn sleeps_at_once(count: u32, mut recorder: Recorder) -> io::Result<Figures> {
    let mut sleeps = Vec::with_capacity(count as usize);
    let mut create_ns = Vec::new();
    loop {
        let started = Instant::now();
        poll_fn(|cx| {
            for _ in 0..count {
                let mut sleep = time::sleep(black_box(NEVER));
                let _pending = Pin::new(&mut sleep).poll(cx);
                sleeps.push(sleep);
            }
            Poll::Ready(())
        })
        .await;
        create_ns.push(started.elapsed().as_nanos() as f64 / f64::from(count));
        sleeps.clear();
        if !recorder.record_batch(u64::from(count), Instant::now()) {
            break;
        }
        yield_now().await;
    }
    create_ns.sort_unstable_by(f64::total_cmp);
    let median = create_ns[create_ns.len() / 2];
    let mut figures = recorder.finish();
    figures.extra.insert(CREATE_NS.to_owned(), median);
    Ok(figures)
}

/// Waits for ever, and keeps as much for itself as a small handler would.
struct Wait([u64; 8]);

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        black_box(&self.0);
        Poll::Pending
    }
}

/// Spawns tasks that wait, and weighs them: memory of the process, that of the futures taken off.
pub(super) async fn memory(count: u32, mut recorder: Recorder) -> io::Result<Figures> {
    // Filled once beforehand, so that the handles' own memory is in use already.
    let mut tasks: Vec<Option<JoinHandle<()>>> = Vec::new();
    tasks.resize_with(count as usize, || None);
    let before = machine::resident_bytes()?;
    for task in &mut tasks {
        *task = Some(spawn(Wait([1; 8])));
    }
    yield_now().await;
    let grown = machine::resident_bytes()?.saturating_sub(before);
    recorder.record_batch(u64::from(count), Instant::now());
    let mut figures = recorder.finish();
    let overhead = grown as f64 / f64::from(count) - size_of::<Wait>() as f64;
    figures.extra.insert(OVERHEAD_BYTES.to_owned(), overhead);
    Ok(figures)
}
