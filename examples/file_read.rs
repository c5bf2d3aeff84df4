//! Reading files: whole, and many places of one at once.
//!
//! Teaches: `fs::read` and `fs::write`, reads at offsets that do not disturb each other, and
//! buffers that go into an operation and come back with its answer.

use std::io;
use std::io::Write;
use std::rc::Rc;

use annulet::fs::{self, File};

const BLOCK: usize = 64 * 1024;
const BLOCKS: usize = 32;

#[annulet::main]
async fn main() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("annulet-example-{}", std::process::id()));
    let bytes: Vec<u8> = (0_u8..=250).cycle().take(BLOCK * BLOCKS).collect();
    let bytes = fs::write(&path, bytes).await?;

    // One open file, read by many tasks: the shard submits what they ask for together.
    let file = Rc::new(File::open(&path).await?);
    let tasks: Vec<_> = (0..BLOCKS)
        .map(|block| {
            let file = Rc::clone(&file);
            let offset = (block * BLOCK) as u64;
            annulet::spawn(async move { file.read_at(Vec::with_capacity(BLOCK), offset).await })
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
