//! Random 4 KiB blocks of a file written anew while it goes to the disk over and over: how long a
//! loop stands still.
//!
//! A buffered write is a copy into memory until it meets what write-back holds: a page on its way to
//! the disk, a journal that commits, too many dirty pages. A loop that waits there makes everything
//! wait that it serves. So a thread on the other CPU flushes the file again and again, while the
//! contender overwrites it and every turn of its loop is [timed](crate::turns). Whatever threads the
//! contender starts may run on either CPU. First of all a loop that does nothing runs for as long,
//! which shows what of the figures is the machine's.
//!
//! The loop never sleeps, and the flushes are made by the same process, so CPU time is not to be
//! compared with that of other cases.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::file_read::{self, warm};
use crate::case::{Case, Contender, FileJob, FileRead, Work, WriteBack};
use crate::child::Task;
use crate::machine;
use crate::recorder::{Figures, Recorder};
use crate::turns::{self, IDLE_MAX_US, Turns};

/// Between two flushes, so that something is there to be written.
const PAUSE: Duration = Duration::from_millis(1);

/// The name of the extra figure: how often the file was flushed.
pub const FLUSHES: &str = "flushes";

/// The cases of overwrites under write-back.
#[must_use]
pub fn cases() -> Vec<Case> {
    [1, 32]
        .map(|depth| Case {
            name: format!("write_back/depth-{depth}"),
            work: Work::WriteBack(WriteBack { depth }),
        })
        .into()
}

/// Times an idle loop, then lets the contender write while the file is flushed.
///
/// # Errors
///
/// If there is no file, or it cannot be written or flushed.
pub fn measure(case: &WriteBack, contender: &dyn Contender, task: &Task) -> io::Result<Figures> {
    let path = file_read::path(task)?;
    let file = File::options().read(true).write(true).open(path)?;
    warm(path)?;
    let idle_max = turns::idle(task.slice.measured);
    // The contender pins its loop itself, after it has made what may run elsewhere.
    machine::unpin()?;

    let read = FileRead {
        depth: case.depth,
        direct: false,
        overwrite: true,
    };
    let job = FileJob {
        file: &file,
        path,
        file_bytes: file.metadata()?.len(),
        read: &read,
    };
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let flusher = scope.spawn(|| {
            machine::pin_to(task.client_cpu);
            flush(&file, &ended)
        });
        let recorder = Recorder::new(task.slice);
        let turns = Turns::new(task.slice.warm_up);
        let figures = contender.write_back(&job, task.server_cpu, recorder, turns);
        ended.store(true, Ordering::Relaxed);
        let flushes = flusher
            .join()
            .map_err(|_| io::Error::other("the flusher panicked"))??;
        let mut figures = figures?;
        let idle_max_us = idle_max.as_nanos() as f64 / 1e3;
        let extra = [(FLUSHES, flushes as f64), (IDLE_MAX_US, idle_max_us)];
        let extra = extra.map(|(name, value)| (name.to_owned(), value));
        figures.extra.extend(extra);
        Ok(figures)
    })
}

/// Has the file written out again and again; how often.
fn flush(file: &File, ended: &AtomicBool) -> io::Result<u64> {
    let mut flushes = 0;
    while !ended.load(Ordering::Relaxed) {
        file.sync_data()?;
        flushes += 1;
        thread::sleep(PAUSE);
    }
    Ok(flushes)
}
