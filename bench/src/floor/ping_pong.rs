//! Two threads that wake each other through their rings (`IORING_OP_MSG_RING`), asleep in between;
//! and two that look for each other's number in memory and never sleep.
//!
//! No queue and no payload: a round trip is two wake-ups, or two cache lines, and nothing else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use io_uring::IoUring;

use super::ring::{self, Ring, Wait};
use crate::machine;
use crate::recorder::{Figures, Recorder};

const PING: i32 = 0;
const STOP: i32 = 1;

/// Makes round trips with a thread on `other_cpu` until the recorder has enough.
///
/// # Errors
///
/// If a ring cannot be had or fails.
pub fn message_rings(other_cpu: usize, mut recorder: Recorder) -> io::Result<Figures> {
    let mut uring = ring::build(8)?;
    let home = descriptor(&uring)?;
    let other_enters = AtomicU64::new(0);
    let (sender, receiver) = mpsc::channel();

    std::thread::scope(|scope| {
        let (other_enters, home) = (&other_enters, home.as_fd());
        let other = scope.spawn(move || -> io::Result<()> {
            machine::pin_to(other_cpu);
            // A ring belongs to the thread that makes it.
            let mut uring = ring::build(8)?;
            let away = descriptor(&uring)?;
            sender.send(away).map_err(io::Error::other)?;
            answer(&mut Ring::new(&mut uring), home, other_enters)
        });
        let Ok(away) = receiver.recv() else {
            return other
                .join()
                .map_err(|_| panicked())?
                .map(|()| Figures::default());
        };

        let mut ring = Ring::new(&mut uring);
        let mut sent_at = Instant::now();
        loop {
            ring.message(away.as_fd(), PING)?;
            await_message(&mut ring)?;
            let now = Instant::now();
            recorder.syscalls(ring.enters() + other_enters.load(Ordering::Relaxed));
            if !recorder.record(now - sent_at, now) {
                break;
            }
            sent_at = now;
        }
        ring.message(away.as_fd(), STOP)?;
        ring.enter(Wait::No)?;
        other.join().map_err(|_| panicked())??;
        Ok(recorder.finish())
    })
}

/// A number on a cache line of its own, and its neighbour, which processors fetch with it.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Line(AtomicU64);

/// Makes round trips through memory with a thread on `other_cpu` until the recorder has enough.
///
/// # Errors
///
/// If the other side panicked.
pub fn in_memory(other_cpu: usize, mut recorder: Recorder) -> io::Result<Figures> {
    let (there, back, stop) = (Line::default(), Line::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            machine::pin_to(other_cpu);
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                let number = there.0.load(Ordering::Acquire);
                if number != seen {
                    seen = number;
                    back.0.store(number, Ordering::Release);
                }
                std::hint::spin_loop();
            }
        });
        for number in 1.. {
            let sent_at = Instant::now();
            there.0.store(number, Ordering::Release);
            while back.0.load(Ordering::Acquire) != number {
                std::hint::spin_loop();
            }
            let now = Instant::now();
            if !recorder.record(now - sent_at, now) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        other.join().map_err(|_| panicked())?;
        Ok(recorder.finish())
    })
}

/// The far side: answers until told to stop.
fn answer(ring: &mut Ring<'_>, home: BorrowedFd<'_>, enters: &AtomicU64) -> io::Result<()> {
    while await_message(ring)? != STOP {
        ring.message(home, PING)?;
        enters.store(ring.enters() + 1, Ordering::Relaxed);
    }
    Ok(())
}

/// Submits what is queued and sleeps until there is a message.
fn await_message(ring: &mut Ring<'_>) -> io::Result<i32> {
    loop {
        ring.enter(Wait::One)?;
        if let Some(completion) = ring.next() {
            return match completion.result() {
                error if error < 0 => Err(io::Error::from_raw_os_error(-error)),
                message => Ok(message),
            };
        }
    }
}

/// A second descriptor of the ring, which can be named while the first is in use.
fn descriptor(uring: &IoUring) -> io::Result<OwnedFd> {
    Ok(rustix::io::dup(ring::borrow(uring))?)
}

fn panicked() -> io::Error {
    io::Error::other("the other side panicked")
}
