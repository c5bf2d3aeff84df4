//! The trap: a call that blocks its thread, inside a task. And the way out.
//!
//! Teaches: tasks of a shard take turns at their awaits, so a call that sleeps, or computes,
//! without one stops them all. Nothing is wrong to look at: the program is only slow, for
//! everybody. The *stall detector* looks on from a thread of its own and names the task and the
//! place where it was spawned (by itself it writes a line to standard error; here it is asked to
//! tell us). The cure is `spawn_blocking` (asyncio's `to_thread`), which gives the call a thread of
//! the pool.

use std::cell::Cell;
use std::error::Error;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use annulet::time::interval;
use annulet::{Builder, Stall, spawn, spawn_blocking, spawn_named};

/// How long the call takes. It stands for a driver of a database, a resolver, a large regex.
const CALL: Duration = Duration::from_millis(500);

/// A call that knows nothing of tasks.
fn make_report() -> &'static str {
    thread::sleep(CALL);
    "the report"
}

/// The longest time that a heartbeat of 5 ms stood still while `work` was done.
async fn longest_gap_during(work: impl Future) -> Duration {
    let longest = Rc::new(Cell::new(Duration::ZERO));
    let gap = Rc::clone(&longest);
    let heartbeat = spawn(async move {
        let mut beats = interval(Duration::from_millis(5));
        let mut last = Instant::now();
        loop {
            beats.tick().await;
            gap.set(gap.get().max(last.elapsed()));
            last = Instant::now();
        }
    });
    annulet::yield_now().await;
    work.await;
    // Let it beat once more: it cannot have done so while the thread was taken.
    annulet::time::sleep(Duration::from_millis(10)).await;
    heartbeat.abort();
    longest.get()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout();
    let (hear, heard) = mpsc::channel::<Stall>();
    let runtime = Builder::new()
        .stall_threshold(Duration::from_millis(50))
        .on_stall(move |stall| drop(hear.send(stall.clone())))
        .build()?;

    // The trap. It compiles, and it gives the report.
    let trapped = runtime.block_on(async {
        let report = async { spawn_named("report", async { make_report() }).await };
        longest_gap_during(report).await
    });
    writeln!(out, "in a task: everything stood still for {trapped:.0?}")?;
    assert!(trapped >= CALL);

    let stall = heard.recv_timeout(Duration::from_secs(10))?;
    writeln!(out, "the stall detector said:\n  {stall}")?;
    assert_eq!(stall.name.as_deref(), Some("report"));
    assert!(stall.location.file().ends_with("blocking_trap.rs"));

    // The cure: the same call on a thread where it keeps nobody waiting.
    let cured = runtime.block_on(async {
        let report = async { spawn_named("report", spawn_blocking(make_report)).await };
        longest_gap_during(report).await
    });
    writeln!(out, "on the pool: the longest pause was {cured:.0?}")?;
    assert!(cured < CALL / 2);
    assert!(heard.try_recv().is_err(), "nothing to report");
    Ok(())
}
