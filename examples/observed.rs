//! A program that lets itself be looked at.
//!
//! Teaches: names of tasks, `inspect::serve` and what `annulet-top` shows, the dump on a signal,
//! and Prometheus text. With an argument, the path of a socket, it works until it is interrupted:
//! `cargo run --example observed -- /tmp/observed.sock`, then `annulet-top /tmp/observed.sock`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use annulet::time::sleep;
use annulet::{Builder, spawn_named};

/// Computes for a while, again and again.
async fn worker(load: Duration) {
    loop {
        sleep(Duration::from_millis(10)).await;
        let started = Instant::now();
        while started.elapsed() < load {}
    }
}

/// By `annulet-top` at the socket, for as long as the answer lives; and by `kill -USR1`.
#[cfg(unix)]
fn let_others_look(path: &Path) -> io::Result<annulet::inspect::Server> {
    use annulet::inspect::{dump_on, serve};
    use annulet::signal::unix::SignalKind;

    dump_on(SignalKind::user_defined1())?;
    serve(path)
}

/// There are no such sockets here; the program still sees itself.
#[cfg(not(unix))]
fn let_others_look(_path: &Path) -> io::Result<()> {
    Ok(())
}

fn main() -> io::Result<()> {
    let path = std::env::args_os().nth(1);
    let stays = path.is_some();
    let path = path.map_or_else(
        || std::env::temp_dir().join(format!("observed-{}.sock", std::process::id())),
        PathBuf::from,
    );
    let server = let_others_look(&path)?;

    let shards = Builder::new().shards(2).start()?;
    let end = shards.run(move || async move {
        let started = annulet::for_each_shard(|shard| async move {
            for number in 1..=3 {
                let load = Duration::from_micros(200 * number) * if shard.0 == 0 { 1 } else { 3 };
                drop(spawn_named(&format!("worker {number}"), worker(load)));
            }
        });
        started.await.map_err(io::Error::other)?;
        if stays {
            annulet::signal::shutdown()?.await;
        } else {
            sleep(Duration::from_millis(200)).await;
            // Shards answer in turn, so the one that asks must not wait for them itself.
            let snapshot =
                annulet::spawn_blocking(|| annulet::inspect::snapshot(Duration::from_secs(1)));
            let snapshot = snapshot.await.map_err(io::Error::other)?;
            let mut out = io::stdout();
            writeln!(out, "{snapshot}\n")?;
            let metrics = snapshot.prometheus();
            for line in metrics.lines().filter(|line| line.contains("busy_seconds")) {
                writeln!(out, "{line}")?;
            }
        }
        Ok::<(), io::Error>(())
    });
    // The socket goes with it, after the last look.
    let _closed = server;
    end.map_err(io::Error::other)?
}
