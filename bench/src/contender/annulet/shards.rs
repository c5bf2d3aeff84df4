//! What goes between threads: round trips of two shards, and calls on the blocking pool.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use annulet::sync::shared::{mpsc, oneshot};
use annulet::{Context, Handle, Runtime, spawn, spawn_blocking};

use super::syscalls;
use crate::case::Road;
use crate::machine;
use crate::recorder::{Figures, Recorder};

/// Makes round trips between a runtime of this thread and one on `other_cpu`.
pub(super) fn ping_pong(
    runtime: &(dyn Fn() -> io::Result<Runtime> + Sync),
    road: Road,
    other_cpu: usize,
    recorder: Recorder,
) -> io::Result<Figures> {
    let (tell, told) = std::sync::mpsc::channel::<Handle>();
    // No timer on either side: an idle shard without one asks the kernel for nothing but the wait.
    let (stop, stopped) = oneshot::channel::<()>();
    let here = runtime()?;
    std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            machine::pin_to(other_cpu);
            let there = runtime()?;
            // The first side may have failed and gone.
            let _gone = tell.send(there.handle());
            let _dropped = there.block_on(stopped);
            Ok::<(), io::Error>(())
        });
        let figures = match told.recv() {
            Ok(handle) => here.block_on(async {
                match road {
                    Road::Call => calls(handle, recorder).await,
                    Road::Channel => messages(handle, recorder).await,
                }
            }),
            Err(gone) => Err(io::Error::other(gone)),
        };
        drop(stop);
        match other.join() {
            Ok(ended) => ended.and(figures),
            Err(_panic) => Err(io::Error::other("the other side panicked")),
        }
    })
}

/// Has the other side run tasks, one after another, and awaits their outputs.
async fn calls(other: Handle, mut recorder: Recorder) -> io::Result<Figures> {
    let driver = Context::current().driver().clone();
    let mut number = 0_u64;
    loop {
        let sent_at = Instant::now();
        let answer = other.spawn(move || async move { number }).await;
        if answer.map_err(io::Error::other)? != number {
            return Err(io::Error::other("an answer to another call"));
        }
        number += 1;
        let now = Instant::now();
        recorder.syscalls(syscalls(&driver));
        if !recorder.record(now - sent_at, now) {
            return Ok(recorder.finish());
        }
    }
}

/// Sends the other side numbers, one after another, and awaits them back.
async fn messages(other: Handle, mut recorder: Recorder) -> io::Result<Figures> {
    let driver = Context::current().driver().clone();
    let (there, mut arrivals) = mpsc::bounded(CAPACITY);
    let (back, mut answers) = mpsc::bounded(CAPACITY);
    let echo = other.spawn(move || async move {
        while let Some(number) = arrivals.recv().await {
            if back.send(number).await.is_err() {
                return;
            }
        }
    });
    for number in 0_u64.. {
        let sent_at = Instant::now();
        there.send(number).await.map_err(io::Error::other)?;
        if answers.recv().await != Some(number) {
            return Err(io::Error::other("an answer to another message"));
        }
        let now = Instant::now();
        recorder.syscalls(syscalls(&driver));
        if !recorder.record(now - sent_at, now) {
            break;
        }
    }
    drop(there);
    echo.await.map_err(io::Error::other)?;
    Ok(recorder.finish())
}

/// Messages that a channel between the two sides holds at most.
const CAPACITY: usize = 16;

/// Calls of one task between two looks at the clock.
const BATCH: u64 = 8;

/// Keeps so many calls on the blocking pool under way, each awaited by a task of its own.
pub(super) async fn blocking(in_flight: u32, recorder: Recorder) -> io::Result<Figures> {
    let recorder = Rc::new(RefCell::new(Some(recorder)));
    let callers: Vec<_> = (0..in_flight)
        .map(|number| spawn(call_on(number, Rc::clone(&recorder))))
        .collect();
    for caller in callers {
        caller.await.map_err(io::Error::other)??;
    }
    let recorder = recorder.take().expect("the callers have left it there");
    Ok(recorder.finish())
}

/// Has the pool make calls until the recorder has enough.
async fn call_on(number: u32, recorder: Rc<RefCell<Option<Recorder>>>) -> io::Result<()> {
    loop {
        for _ in 0..BATCH {
            let answer = spawn_blocking(move || number).await;
            if answer.map_err(io::Error::other)? != number {
                return Err(io::Error::other("an answer to another call"));
            }
        }
        let mut recorder = recorder.borrow_mut();
        let recorder = recorder.as_mut().expect("it is there until the end");
        if !recorder.record_batch(BATCH, Instant::now()) {
            return Ok(());
        }
    }
}
