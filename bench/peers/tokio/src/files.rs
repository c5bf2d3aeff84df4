//! Random 4 KiB blocks of a file, read or written anew, so many at once.
//!
//! There are two ways. [`Api::Fs`] is what tokio offers: each task has a `tokio::fs::File` of its
//! own, for it has a cursor and no positioned calls, and seeks before it reads or writes. Either is
//! a call on a thread of the blocking pool. [`Api::At`] is what those do who know that: one
//! positioned call by `spawn_blocking`, on one file for all. Past the page cache (`O_DIRECT`) only
//! this is possible: `File` reads into a buffer of its own, which is not aligned.
//!
//! All threads run on one CPU, as everybody's do whom `annulet-bench` measures.

use std::cell::{Cell, RefCell};
use std::fs::{self, OpenOptions};
use std::io::{self, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use rustix::fs::OFlags;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{spawn_blocking, spawn_local};

use crate::protocol;
use crate::recorder::Recorder;

/// Bytes of one read or write, and what `O_DIRECT` wants buffers aligned to.
const BLOCK_BYTES: usize = 4096;

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Api {
    /// `tokio::fs::File`: seek, then read or write.
    Fs,
    /// Positioned calls by `spawn_blocking`.
    At,
}

/// What the command line asks for.
pub(crate) struct Task {
    path: PathBuf,
    api: Api,
    depth: u32,
    cpu: usize,
    direct: bool,
    overwrite: bool,
    warm_up: Duration,
    measured: Duration,
}

impl Task {
    pub(crate) fn parse(arguments: &[String]) -> io::Result<Self> {
        let mut task = Self {
            path: PathBuf::new(),
            api: Api::Fs,
            depth: 1,
            cpu: 0,
            direct: false,
            overwrite: false,
            warm_up: Duration::from_millis(200),
            measured: Duration::from_secs(1),
        };
        for argument in arguments {
            let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
            let number = || value.parse::<u32>().map_err(|_| usage());
            let duration = || value.parse().map(Duration::from_nanos).map_err(|_| usage());
            match name {
                "--path" => task.path = PathBuf::from(value),
                "--api" if value == "fs" => task.api = Api::Fs,
                "--api" if value == "at" => task.api = Api::At,
                "--depth" => task.depth = number()?.max(1),
                "--cpu" => task.cpu = value.parse().map_err(|_| usage())?,
                "--direct" => task.direct = true,
                "--overwrite" => task.overwrite = true,
                "--warm-up-ns" => task.warm_up = duration()?,
                "--measured-ns" => task.measured = duration()?,
                _ => return Err(usage()),
            }
        }
        Ok(task)
    }

    /// Opens the file, past the page cache if asked and possible.
    fn open(&self) -> io::Result<fs::File> {
        let mut options = OpenOptions::new();
        options.read(true).write(self.overwrite);
        if self.direct {
            let direct = OFlags::DIRECT.bits().cast_signed();
            match options.clone().custom_flags(direct).open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                opened => return opened,
            }
        }
        options.open(&self.path)
    }
}

fn usage() -> io::Error {
    io::Error::other(
        "usage: peer-tokio file --path=FILE [--api=fs|at] [--depth=N] [--cpu=N] [--direct] \
         [--overwrite] [--warm-up-ns=N] [--measured-ns=N]",
    )
}

/// Works on the file and tells the figures.
pub(crate) fn run(task: &Task) -> io::Result<()> {
    // Before any other thread is started: they run where this one does.
    core_affinity::set_for_current(CoreId { id: task.cpu });
    if !task.direct {
        warm(&task.path)?;
    }
    let blocks = fs::metadata(&task.path)?.len() / BLOCK_BYTES as u64;
    if blocks == 0 {
        return Err(io::Error::other("the file has not one block"));
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    let figures = runtime.block_on(async {
        let work = Rc::new(Work::new(task, blocks));
        let file = Arc::new(task.open()?);
        let mut workers = Vec::new();
        for _ in 0..task.depth {
            let (work, overwrite) = (Rc::clone(&work), task.overwrite);
            workers.push(match task.api {
                Api::Fs => {
                    let file = tokio::fs::File::from_std(task.open()?);
                    spawn_local(with_a_cursor(file, overwrite, work))
                }
                Api::At => spawn_local(at_offsets(Arc::clone(&file), overwrite, work)),
            });
        }
        for worker in workers {
            worker.await??;
        }
        let work = Rc::into_inner(work).expect("every worker has ended");
        Ok::<_, io::Error>(work.recorder.into_inner().finish())
    })?;
    protocol::measured(&figures)
}

/// Reads the file once, so that later reads find it in the page cache.
fn warm(path: &Path) -> io::Result<()> {
    io::copy(&mut fs::File::open(path)?, &mut io::sink()).map(drop)
}

/// What the workers share.
struct Work {
    /// The state of the generator, the same as that of `annulet-bench`.
    offsets: Cell<u64>,
    blocks: u64,
    recorder: RefCell<Recorder>,
    ended: Cell<bool>,
}

impl Work {
    fn new(task: &Task, blocks: u64) -> Self {
        Self {
            offsets: Cell::new(0x9e37_79b9_7f4a_7c15),
            blocks,
            recorder: RefCell::new(Recorder::new(task.warm_up, task.measured)),
            ended: Cell::new(false),
        }
    }

    /// The next block-aligned offset: a fixed-seed xorshift generator.
    fn next_offset(&self) -> u64 {
        let mut state = self.offsets.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.offsets.set(state);
        (state >> 16) % self.blocks * BLOCK_BYTES as u64
    }

    /// Records an operation; false once there are enough.
    fn record(&self, sent_at: Instant, now: Instant) -> bool {
        if !self.ended.get() && !self.recorder.borrow_mut().record(now - sent_at, now) {
            self.ended.set(true);
        }
        !self.ended.get()
    }
}

async fn with_a_cursor(
    mut file: tokio::fs::File,
    overwrite: bool,
    work: Rc<Work>,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut sent_at = Instant::now();
    loop {
        file.seek(SeekFrom::Start(work.next_offset())).await?;
        if overwrite {
            file.write_all(&block).await?;
            // Without it the write may not have been made yet, and its error not be told.
            file.flush().await?;
        } else {
            file.read_exact(&mut block).await?;
        }
        let now = Instant::now();
        if !work.record(sent_at, now) {
            return Ok(());
        }
        sent_at = now;
    }
}

async fn at_offsets(file: Arc<fs::File>, overwrite: bool, work: Rc<Work>) -> io::Result<()> {
    // A block somewhere in it is aligned, and stays so: moving the vector does not move its bytes.
    let mut buffer = vec![0_u8; 2 * BLOCK_BYTES];
    let start = buffer.as_ptr().align_offset(BLOCK_BYTES);
    let mut sent_at = Instant::now();
    loop {
        let (file, offset) = (Arc::clone(&file), work.next_offset());
        buffer = spawn_blocking(move || {
            let block = &mut buffer[start..start + BLOCK_BYTES];
            if overwrite {
                file.write_all_at(block, offset)?;
            } else {
                file.read_exact_at(block, offset)?;
            }
            Ok::<_, io::Error>(buffer)
        })
        .await??;
        let now = Instant::now();
        if !work.record(sent_at, now) {
            return Ok(());
        }
        sent_at = now;
    }
}
