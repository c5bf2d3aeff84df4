//! A log, read line by line, and what matters of it written elsewhere.
//!
//! Teaches: `BufReader::lines`, as a method and as a stream; `BufWriter`, and why it is closed and
//! not just dropped: what could not be written is told by `close`; and appending to a file that
//! others append to.

use std::io;
use std::io::Write;

use annulet::fs::{self, BufReader, BufWriter, File, OpenOptions};
use futures_util::StreamExt;

#[annulet::main]
async fn main() -> io::Result<()> {
    let folder = std::env::temp_dir().join(format!("annulet-lines-{}", std::process::id()));
    fs::create_dir_all(&folder).await?;
    let (log, errors) = (folder.join("log"), folder.join("errors"));

    // Ten tasks append to one log; no line is torn or lost.
    let writers: Vec<_> = (0..10)
        .map(|writer| annulet::spawn(append_to(log.clone(), writer)))
        .collect();
    for writer in writers {
        writer.await.map_err(io::Error::other)??;
    }

    let mut out = BufWriter::new(File::create(&errors).await?);
    let mut lines = BufReader::new(File::open(&log).await?).lines();
    let mut read = 0;
    while let Some(line) = lines.next_line().await? {
        read += 1;
        if line.contains("error") {
            out.write(line.as_bytes()).await?;
            out.write(b"\n").await?;
        }
    }
    out.close().await?;

    let found = BufReader::new(File::open(&errors).await?).lines();
    let found: Vec<_> = found.collect().await;
    fs::remove_file(&log).await?;
    fs::remove_file(&errors).await?;
    writeln!(
        io::stdout(),
        "{read} lines read, {} of them errors",
        found.len()
    )
}

async fn append_to(log: std::path::PathBuf, writer: u32) -> io::Result<()> {
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .await?;
    for line in 0..100 {
        let what = if line % 20 == 0 { "error" } else { "fine" };
        log.append(format!("writer {writer}, line {line}: {what}\n").into_bytes())
            .await?;
    }
    log.close().await
}
