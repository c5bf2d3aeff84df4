//! Calls that would stop the shard, on the blocking pool.
//!
//! Teaches: `spawn_blocking`, that the shard's other tasks go on meanwhile, and that a panic of the
//! call comes back as an error.

use std::io;
use std::io::Write;
use std::time::Duration;

use annulet::time::interval;

/// Something that computes for a while.
fn primes_below(limit: u32) -> usize {
    (2..limit)
        .filter(|number| (2..=number.isqrt()).all(|divisor| number % divisor != 0))
        .count()
}

#[annulet::main]
async fn main() -> io::Result<()> {
    let mut out = io::stdout();
    let heartbeat = annulet::spawn(async {
        let mut beats = interval(Duration::from_millis(1));
        loop {
            beats.tick().await;
        }
    });

    let calls: Vec<_> = [200_000, 400_000]
        .map(|limit| (limit, annulet::spawn_blocking(move || primes_below(limit))))
        .into();
    for (limit, call) in calls {
        let primes = call.await.map_err(io::Error::other)?;
        writeln!(out, "{primes} primes below {limit}")?;
    }

    let failed = annulet::spawn_blocking(|| "7up".parse::<u32>().expect("a number"));
    match failed.await {
        Ok(number) => writeln!(out, "parsed {number}")?,
        Err(error) => writeln!(out, "the call failed, and the shard did not: {error}")?,
    }
    writeln!(
        out,
        "the heartbeat still runs: {}",
        !heartbeat.is_finished()
    )?;
    heartbeat.abort();
    Ok(())
}
