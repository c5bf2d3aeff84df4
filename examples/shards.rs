//! One shard per CPU, and work sent between them.
//!
//! Teaches: `#[annulet::main(shards = …)]`, `spawn_on` with a closure that makes the future where
//! it will run, `map_reduce`, and `Sharded`: a value on each shard that needs no lock. Only
//! closures and answers cross; futures and values never do.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::io::Write;
use std::thread;

use annulet::{ShardId, Sharded, map_reduce, shards, spawn_on};

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
    let part = move |ShardId(index)| async move {
        (0..1_000_000_u64).skip(index).step_by(count).sum::<u64>()
    };
    let sum = map_reduce(part, 0, |a, b| a + b).await?;
    writeln!(out, "the parts make {sum}")?;

    // A table in parts: each shard has its own, and keys have a shard they belong to.
    let table = Sharded::new(|_shard| async { RefCell::new(HashMap::new()) }).await?;
    for key in 0..10_usize {
        let home = ShardId(key % count);
        let put = table.call(home, move |part| async move {
            part.borrow_mut().insert(key, here());
        });
        put.await?;
    }
    let sizes = table.map_reduce(|part| async move { part.borrow().len() }, 0, |a, b| a + b);
    writeln!(out, "{} keys in {count} parts", sizes.await?)?;
    table.with(|own| writeln!(out, "{} of them here", own.borrow().len()))
}
