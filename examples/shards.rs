//! One shard per CPU, and work sent between them.
//!
//! Teaches: `#[annulet::main(shards = …)]`, `spawn_on` with a closure that makes the future where it
//! will run, and `on_every_shard`. Only the closure and the answer cross; the future never does.

use std::io;
use std::io::Write;
use std::thread;

use annulet::{ShardId, on_every_shard, shards, spawn_on};

fn here() -> String {
    thread::current().name().unwrap_or("unnamed").to_owned()
}

#[annulet::main(shards = 2)]
async fn main() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{} shards; this is {}", shards(), here())?;

    let far = spawn_on(ShardId(1), || async { here() });
    writeln!(
        out,
        "spawn_on went to {}",
        far.await.map_err(io::Error::other)?
    )?;

    // A sum in parts, each of them where its data would be.
    let count = shards();
    let parts = on_every_shard(move |ShardId(index)| async move {
        (0..1_000_000_u64).skip(index).step_by(count).sum::<u64>()
    });
    let parts = parts.await.map_err(io::Error::other)?;
    writeln!(out, "{parts:?} make {}", parts.iter().sum::<u64>())
}
