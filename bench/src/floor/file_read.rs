//! Random blocks: `READ` or `WRITE` entries at a fixed depth, and one `pread` or `pwrite` after the
//! other.
//!
//! At depth 32 the ring loop submits again for whatever one enter brought, and so settles into
//! batches by itself. Nothing is registered: neither is what a program opens and reads in passing.
//!
//! # Invariants
//!
//! 1. Buffer `i` is named by the entry with `user_data` `i` and by no other at the same time.
//! 2. The buffers outlive the ring's last completion: on every way out the ring is drained first,
//!    and if it will not drain, the buffers are leaked.

#![expect(unsafe_code, reason = "entries name buffers")]

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use io_uring::types::Fd;
use io_uring::{opcode, squeue};

use super::ring::{self, Ring, Wait};
use crate::case::{BLOCK_BYTES, FileJob};
use crate::cases::file_read::Offsets;
use crate::recorder::{Figures, Recorder};

/// A buffer that `O_DIRECT` accepts anywhere.
#[derive(Clone)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES as usize]);

/// Reads or writes through a ring, `depth` at once.
///
/// # Errors
///
/// If a ring cannot be had, or a read fails or comes back short.
pub fn through_ring(job: &FileJob<'_>, recorder: Recorder) -> io::Result<Figures> {
    let mut buffers = vec![Block([0; BLOCK_BYTES as usize]); job.read.depth as usize];
    let mut uring = ring::build(job.read.depth.max(2))?;
    let mut ring = Ring::new(&mut uring);

    let result = in_turns(job, &mut ring, &mut buffers, recorder);
    if !ring.drain(Duration::from_secs(5)) {
        // Invariant 2: the kernel may still write here.
        buffers.leak();
    }
    result
}

fn in_turns(
    job: &FileJob<'_>,
    ring: &mut Ring<'_>,
    buffers: &mut [Block],
    mut recorder: Recorder,
) -> io::Result<Figures> {
    let mut offsets = Offsets::new(job.file_bytes);
    let mut now = Instant::now();
    let mut sent_at = vec![now; buffers.len()];
    for index in 0..buffers.len() {
        let entry = entry(job, buffers, index, offsets.next_offset());
        // SAFETY: the buffer is free and outlives the entry: Invariants 1 and 2.
        unsafe { ring.push(&entry) }?;
    }
    loop {
        ring.enter(Wait::One)?;
        recorder.syscalls(ring.enters());
        while let Some(completion) = ring.next() {
            let index = usize::try_from(completion.user_data()).expect("it is an index");
            check(completion.result())?;
            now = Instant::now();
            if !recorder.record(now - sent_at[index], now) {
                return Ok(recorder.finish());
            }
            sent_at[index] = now;
            let entry = entry(job, buffers, index, offsets.next_offset());
            // SAFETY: its last entry has completed, and it outlives this one: Invariants 1 and 2.
            unsafe { ring.push(&entry) }?;
        }
    }
}

fn entry(job: &FileJob<'_>, buffers: &mut [Block], index: usize, offset: u64) -> squeue::Entry {
    let (fd, start) = (Fd(job.file.as_raw_fd()), buffers[index].0.as_mut_ptr());
    let entry = if job.read.overwrite {
        let write = opcode::Write::new(fd, start, BLOCK_BYTES);
        write.offset(offset).build()
    } else {
        let read = opcode::Read::new(fd, start, BLOCK_BYTES);
        read.offset(offset).build()
    };
    entry.user_data(index as u64)
}

fn check(result: i32) -> io::Result<()> {
    match u32::try_from(result) {
        Ok(BLOCK_BYTES) => Ok(()),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::from_raw_os_error(-result)),
    }
}

/// Reads or writes with one system call each, one after the other; `each` is called after each.
///
/// # Errors
///
/// If a read fails or comes back short.
pub fn one_by_one(
    job: &FileJob<'_>,
    mut recorder: Recorder,
    mut each: impl FnMut(),
) -> io::Result<Figures> {
    let mut offsets = Offsets::new(job.file_bytes);
    let mut buffer = Block([0; BLOCK_BYTES as usize]);
    let mut syscalls = 0;
    let mut sent_at = Instant::now();
    loop {
        let offset = offsets.next_offset();
        if job.read.overwrite {
            job.file.write_all_at(&buffer.0, offset)?;
        } else {
            job.file.read_exact_at(&mut buffer.0, offset)?;
        }
        each();
        let now = Instant::now();
        syscalls += 1;
        recorder.syscalls(syscalls);
        if !recorder.record(now - sent_at, now) {
            return Ok(recorder.finish());
        }
        sent_at = now;
    }
}
