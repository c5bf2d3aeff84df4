//! Time: an interval, a deadline, and ten thousand sleepers.
//!
//! Teaches: `interval` with its policy for late ticks, `timeout` around any future, and that a
//! sleep costs a place on the shard's wheel and no system call.

use std::io;
use std::io::Write;
use std::time::{Duration, Instant};

use annulet::time::{self, MissedTick, interval, sleep, timeout};

#[annulet::main]
async fn main() -> io::Result<()> {
    let mut out = io::stdout();

    let mut ticks = interval(Duration::from_millis(20)).missed_tick(MissedTick::Skip);
    let started = time::now();
    for number in 0..5 {
        ticks.tick().await;
        writeln!(out, "tick {number} after {:?}", started.elapsed())?;
    }

    match timeout(Duration::from_millis(30), std::future::pending::<()>()).await {
        Ok(()) => unreachable!("a pending future never ends"),
        Err(elapsed) => writeln!(out, "waiting for nothing: {elapsed}")?,
    }

    let started = Instant::now();
    let sleepers: Vec<_> = (0..10_000_u64)
        .map(|index| annulet::spawn(sleep(Duration::from_millis(50 + index % 50))))
        .collect();
    for sleeper in sleepers {
        sleeper.await.map_err(io::Error::other)?;
    }
    writeln!(
        out,
        "10000 sleeps of 50 to 99 ms took {:?}",
        started.elapsed()
    )
}
