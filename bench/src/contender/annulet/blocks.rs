//! Random blocks of a file: one task for each that is under way at once, one open file for all.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Instant;

use annulet::buf::Aligned;
use annulet::fs::direct::DirectFile;
use annulet::fs::{File, OpenOptions};
use annulet::{Context, Driver, JoinHandle, spawn, yield_now};

use super::syscalls;
use crate::case::{BLOCK_BYTES, FileJob};
use crate::cases::file_read::Offsets;
use crate::recorder::{Figures, Recorder};
use crate::turns::Turns;

/// Reads or overwrites blocks until the recorder has enough.
pub(super) async fn run(job: &FileJob<'_>, recorder: Recorder) -> io::Result<Figures> {
    let (blocks, tasks) = start(job, recorder).await?;
    finish(blocks, tasks).await
}

/// The same, and times the turns of this shard from one of its tasks.
pub(super) async fn run_in_turns(
    job: &FileJob<'_>,
    recorder: Recorder,
    mut turns: Turns,
) -> io::Result<Figures> {
    let (blocks, tasks) = start(job, recorder).await?;
    let seen = Rc::clone(&blocks);
    let watching = spawn(async move {
        while !seen.ended.get() {
            turns.turn();
            yield_now().await;
        }
        turns
    });
    let turns = watching.await.map_err(io::Error::other)?;
    let mut figures = finish(blocks, tasks).await?;
    turns.tell(&mut figures);
    Ok(figures)
}

type Tasks = Vec<JoinHandle<io::Result<()>>>;

async fn start(job: &FileJob<'_>, recorder: Recorder) -> io::Result<(Rc<Blocks>, Tasks)> {
    let driver = Context::current().driver().clone();
    let blocks = Rc::new(Blocks::new(job, recorder, driver));
    let depth = 0..job.read.depth;
    let shared = || Rc::clone(&blocks);
    let tasks = if job.read.direct {
        let file = Rc::new(DirectFile::open(job.path).await?);
        let task = |_| spawn(read_past_cache(Rc::clone(&file), shared()));
        depth.map(task).collect()
    } else if job.read.overwrite {
        let options = OpenOptions::new().read(true).write(true);
        let file = Rc::new(options.open(job.path).await?);
        let task = |_| spawn(write(Rc::clone(&file), shared()));
        depth.map(task).collect()
    } else {
        let file = Rc::new(File::open(job.path).await?);
        let task = |_| spawn(read(Rc::clone(&file), shared()));
        depth.map(task).collect()
    };
    Ok((blocks, tasks))
}

async fn finish(blocks: Rc<Blocks>, tasks: Tasks) -> io::Result<Figures> {
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    let blocks = Rc::into_inner(blocks).expect("every task has ended");
    Ok(blocks.recorder.into_inner().finish())
}

/// What the tasks of a file share.
struct Blocks {
    offsets: RefCell<Offsets>,
    recorder: RefCell<Recorder>,
    ended: Cell<bool>,
    driver: Driver,
}

impl Blocks {
    fn new(job: &FileJob<'_>, recorder: Recorder, driver: Driver) -> Self {
        Self {
            offsets: RefCell::new(Offsets::new(job.file_bytes)),
            recorder: RefCell::new(recorder),
            ended: Cell::new(false),
            driver,
        }
    }

    /// Records a block; false once there are enough.
    fn record(&self, sent_at: Instant, now: Instant) -> bool {
        let mut recorder = self.recorder.borrow_mut();
        recorder.syscalls(syscalls(&self.driver));
        if !self.ended.get() && !recorder.record(now - sent_at, now) {
            self.ended.set(true);
        }
        !self.ended.get()
    }
}

async fn read(file: Rc<File>, blocks: Rc<Blocks>) -> io::Result<()> {
    let mut buf = Aligned::new(BLOCK_BYTES as usize);
    let mut sent_at = Instant::now();
    loop {
        let offset = blocks.offsets.borrow_mut().next_offset();
        let (read, back) = file.read_at(buf, offset).await?;
        if read != BLOCK_BYTES as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buf = back;
        let now = Instant::now();
        if !blocks.record(sent_at, now) {
            return Ok(());
        }
        sent_at = now;
    }
}

async fn read_past_cache(file: Rc<DirectFile>, blocks: Rc<Blocks>) -> io::Result<()> {
    let mut sent_at = Instant::now();
    loop {
        let offset = blocks.offsets.borrow_mut().next_offset();
        let block = file.read_at(offset, BLOCK_BYTES as usize).await?;
        if block.len() != BLOCK_BYTES as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let now = Instant::now();
        if !blocks.record(sent_at, now) {
            return Ok(());
        }
        sent_at = now;
    }
}

async fn write(file: Rc<File>, blocks: Rc<Blocks>) -> io::Result<()> {
    let mut buf = Aligned::new(BLOCK_BYTES as usize);
    buf.set_len(BLOCK_BYTES as usize);
    let mut sent_at = Instant::now();
    loop {
        let offset = blocks.offsets.borrow_mut().next_offset();
        let ((), back) = file.write_all_at(buf, offset).await?;
        buf = back;
        let now = Instant::now();
        if !blocks.record(sent_at, now) {
            return Ok(());
        }
        sent_at = now;
    }
}
