//! Reading files: whole, and many places of one at once.
//!
//! Teaches: `fs::read` and `fs::write`, reads at offsets that do not disturb each other, and buffers
//! that go into an operation and come back with its answer.

use std::io;
use std::io::Write;

use annulet::fs::{self, File};

const BLOCK: usize = 64 * 1024;
const BLOCKS: usize = 32;

#[annulet::main]
async fn main() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("annulet-example-{}", std::process::id()));
    let bytes: Vec<u8> = (0_u8..=250).cycle().take(BLOCK * BLOCKS).collect();
    let bytes = fs::write(&path, bytes).await?;

    // Each task has its own descriptor's worth of reads under way; the shard submits them together.
    let tasks: Vec<_> = (0..BLOCKS)
        .map(|block| {
            let path = path.clone();
            annulet::spawn(async move {
                let file = File::open(path).await?;
                let (read, buf) = file
                    .read_at(Vec::with_capacity(BLOCK), (block * BLOCK) as u64)
                    .await?;
                Ok::<_, io::Error>((read, buf))
            })
        })
        .collect();
    let mut together = Vec::with_capacity(bytes.len());
    for task in tasks {
        let (_, block) = task.await.map_err(io::Error::other)??;
        together.extend(block);
    }

    let whole = fs::read(&path).await?;
    fs::remove_file(&path).await?;
    writeln!(
        io::stdout(),
        "{} bytes read whole, {} in {BLOCKS} blocks at once, equal: {}",
        whole.len(),
        together.len(),
        whole == together && whole == bytes
    )
}
