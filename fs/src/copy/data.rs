//! The bytes of a file, from one open file into another, on a thread that may wait.
//!
//! Three means are tried in this order: a *clone* shares the blocks; a *range* is copied inside the
//! kernel, piece by piece; else the bytes are *poured*, read and written. Only an answer that says
//! "not between these two" leads on to the next, and is remembered for the two devices: a full disk
//! is a full disk. What is large and has to be poured is left to the [pipe](super::pipe), which has
//! several reads and writes under way.
//!
//! Sizes are claims. A file that claims to be empty is read to its end, as under `/proc`; one that
//! ends sooner than it claims is copied as far as it goes; what is appended meanwhile is left out.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::draft::Draft;
use super::item::Item;
use super::options::{Direct, Reflink, Sparse};
use super::report::Failure;
use super::shared::{Means, Shared, count};
use super::stat::{Kind, Stat};
use super::{CHUNK_BYTES, LARGE_BYTES, platform};

/// Bytes that the kernel copies in one call: short enough to be stopped between two.
const PIECE_BYTES: u64 = 8 << 20;
/// The unit of holes that are made where the original has none.
const HOLE_BYTES: usize = 4096;

/// Why the bytes did not get there.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    Write(io::Error),
    /// The copy was stopped.
    Stopped,
}

impl Fault {
    pub(super) fn at(self, item: &Item) -> Failure {
        match self {
            Self::Read(error) => item.cannot_read(error),
            Self::Write(error) => Failure::new("cannot write", item.to_path(), error),
            Self::Stopped => Failure::new("stopped at", item.source_path(), ErrorKind::Interrupted),
        }
    }
}

/// What is left of a file when the kernel has done its part.
pub(super) enum Filled {
    Whole,
    /// To be poured by several hands.
    Rest(Rest),
}

/// Data that is not copied yet.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) ranges: Vec<Range<u64>>,
    /// Whether it is to go past the page cache.
    pub(super) direct: bool,
}

/// The bytes counted for one file. They are taken back unless there is a copy in the end.
pub(super) struct Tally {
    shared: Arc<Shared>,
    counted: AtomicU64,
}

impl Tally {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            counted: AtomicU64::new(0),
        }
    }

    pub(super) fn add(&self, bytes: u64) {
        count(&self.counted, bytes);
        count(&self.shared.counts.bytes, bytes);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// Begins anew.
    pub(super) fn reset(&self) {
        let counted = self.counted.swap(0, Ordering::Relaxed);
        self.shared
            .counts
            .bytes
            .fetch_sub(counted, Ordering::Relaxed);
    }

    /// The copy has so many bytes, holes among them.
    pub(super) fn settle(&self, bytes: u64) {
        let counted = self.counted.swap(0, Ordering::Relaxed);
        // Wraps round where more was counted than is there: the sum is right again.
        count(&self.shared.counts.bytes, bytes.wrapping_sub(counted));
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.reset();
    }
}

/// One file on its way into another.
pub(super) struct Transfer<'a> {
    pub(super) shared: &'a Shared,
    pub(super) from: &'a File,
    pub(super) to: &'a File,
    pub(super) stat: &'a Stat,
    pub(super) tally: &'a Tally,
}

/// Copies what is in a file, as far as this thread is the best to do it.
pub(super) fn fill(
    item: &Item,
    from: &File,
    draft: &Draft,
    stat: &Stat,
    tally: &Tally,
) -> Result<Filled, Fault> {
    let transfer = Transfer {
        shared: item.shared(),
        from,
        to: &draft.file,
        stat,
        tally,
    };
    let device = item.dir.to.as_ref().and_then(|to| to.identity());
    let devices = (stat.device(), device.map_or(0, |(device, _)| device));
    if stat.bytes == 0 {
        transfer.pour(0..u64::MAX)?;
        return Ok(Filled::Whole);
    }
    let at = transfer.take_up(draft.has_bytes)?;
    if at == 0 && transfer.clone(devices)? {
        return Ok(Filled::Whole);
    }
    transfer.copy(at, devices)
}

impl Transfer<'_> {
    fn wants_holes(&self) -> bool {
        self.shared.options.sparse != Sparse::Never && self.stat.has_holes()
    }

    /// How much of what an earlier copy has left is right.
    fn take_up(&self, has_bytes: u64) -> Result<u64, Fault> {
        if has_bytes == 0 {
            return Ok(0);
        }
        let end = has_bytes.min(self.stat.bytes);
        let same = first_difference(self.from, self.to, 0..end, &|| self.shared.is_stopped())?;
        let same = same.map_or(end, |at| at - at % CHUNK_BYTES as u64);
        self.to.set_len(same).map_err(Fault::Write)?;
        self.tally.add(same);
        Ok(same)
    }

    fn clone(&self, (from, to): (u64, u64)) -> Result<bool, Fault> {
        let options = &self.shared.options;
        let always = options.reflink == Reflink::Always;
        // The kernel clones small files too when it copies a range, with one call less elsewhere.
        let worth_it = self.stat.bytes > LARGE_BYTES && options.sparse == Sparse::Auto;
        let wanted = options.reflink == Reflink::Auto && worth_it;
        if always || wanted && self.shared.may_try(Means::Clone, from, to) {
            if platform::clone(self.from, self.to).map_err(Fault::Write)? {
                self.tally.add(self.stat.bytes);
                return Ok(true);
            }
            self.shared.refused(Means::Clone, from, to);
        }
        if always {
            let why = "the file systems share no blocks between these two";
            return Err(Fault::Write(io::Error::new(ErrorKind::Unsupported, why)));
        }
        Ok(false)
    }

    fn copy(&self, mut at: u64, devices: (u64, u64)) -> Result<Filled, Fault> {
        if self.goes_direct() {
            return Ok(Filled::Rest(self.rest(at, true)?));
        }
        let options = &self.shared.options;
        let mut in_kernel = options.reflink != Reflink::Never
            && match options.sparse {
                Sparse::Auto => true,
                Sparse::Always => false,
                Sparse::Never => !self.stat.has_holes(),
            }
            && self.shared.may_try(Means::Range, devices.0, devices.1);
        let end = self.stat.bytes;
        while at < end {
            let Some(mut range) = self.next_data(at)? else {
                break;
            };
            at = range.end;
            if in_kernel && !self.copy_in_kernel(&mut range)? {
                in_kernel = false;
                self.shared.refused(Means::Range, devices.0, devices.1);
            }
            if range.is_empty() {
                continue;
            }
            if range.end - range.start > LARGE_BYTES && options.sparse != Sparse::Always {
                return Ok(Filled::Rest(self.rest(range.start, false)?));
            }
            if self.pour(range.clone())? < range.end {
                return Ok(Filled::Whole);
            }
        }
        self.end_in_a_hole()?;
        Ok(Filled::Whole)
    }

    fn goes_direct(&self) -> bool {
        let options = &self.shared.options;
        let from_bytes = match options.direct {
            Direct::Never => return false,
            Direct::Always => LARGE_BYTES,
            Direct::Auto => self.shared.limits.direct_from_bytes,
        };
        self.stat.bytes > from_bytes && options.sparse != Sparse::Always
    }

    /// The next data at or behind an offset, within what the file claims to have.
    fn next_data(&self, at: u64) -> Result<Option<Range<u64>>, Fault> {
        let end = self.stat.bytes;
        if !self.wants_holes() {
            return Ok(Some(at..end));
        }
        let data = platform::next_data(self.from, at).map_err(Fault::Read)?;
        Ok(data
            .map(|data| data.start..data.end.min(end))
            .filter(|data| data.start < data.end))
    }

    fn rest(&self, mut at: u64, direct: bool) -> Result<Rest, Fault> {
        let mut ranges = Vec::new();
        while at < self.stat.bytes
            && let Some(range) = self.next_data(at)?
        {
            at = range.end;
            ranges.push(range);
        }
        if ranges.last().is_none_or(|last| last.end < self.stat.bytes) {
            self.to.set_len(self.stat.bytes).map_err(Fault::Write)?;
        }
        Ok(Rest { ranges, direct })
    }

    /// Moves the start of a range as far as the kernel copies. False if it cannot copy between the
    /// two; a file that ends sooner than it claims is left to be poured.
    fn copy_in_kernel(&self, range: &mut Range<u64>) -> Result<bool, Fault> {
        while !range.is_empty() {
            if self.shared.is_stopped() {
                return Err(Fault::Stopped);
            }
            let bytes = (range.end - range.start).min(self.shared.pace.piece_bytes(PIECE_BYTES));
            let copied = platform::copy_range(self.from, self.to, range.start, bytes);
            match copied.map_err(Fault::Write)? {
                None => return Ok(false),
                Some(0) => break,
                Some(copied) => {
                    range.start += copied;
                    self.tally.add(copied);
                    self.shared.pace.wait(copied);
                }
            }
        }
        Ok(true)
    }

    /// Reads and writes a range, or less if the file ends before. Answers with where it ended.
    pub(super) fn pour(&self, range: Range<u64>) -> Result<u64, Fault> {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(CHUNK_BYTES, 0);
            let mut at = range.start;
            while at < range.end {
                if self.shared.is_stopped() {
                    return Err(Fault::Stopped);
                }
                let most = self
                    .shared
                    .pace
                    .piece_bytes(CHUNK_BYTES as u64)
                    .min(range.end - at);
                let most = usize::try_from(most).expect("no more than a chunk");
                let read = match self.read(&mut buffer[..most], at) {
                    Ok(0) => break,
                    Ok(read) => read,
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::Interrupted | ErrorKind::WouldBlock
                        ) =>
                    {
                        continue;
                    }
                    Err(error) => return Err(Fault::Read(error)),
                };
                self.write(&buffer[..read], at).map_err(Fault::Write)?;
                at += read as u64;
                self.tally.add(read as u64);
                self.shared.pace.wait(read as u64);
            }
            if self.shared.options.sparse == Sparse::Always {
                // Zeros at the end were not written.
                self.grow_to(at)?;
            }
            Ok(at)
        })
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        match self.stat.kind {
            Kind::File => platform::read_at(self.from, buffer, at),
            _ => platform::read_next(self.from, buffer),
        }
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        if self.shared.options.sparse != Sparse::Always {
            return platform::write_all_at(self.to, bytes, at);
        }
        let is_zero = |piece: &[u8]| piece.iter().all(|byte| *byte == 0);
        let mut start = 0;
        while start < bytes.len() {
            let pieces = || bytes[start..].chunks(HOLE_BYTES);
            let zeros: usize = pieces()
                .take_while(|piece| is_zero(piece))
                .map(<[u8]>::len)
                .sum();
            start += zeros;
            let pieces = bytes[start..].chunks(HOLE_BYTES);
            let data: usize = pieces
                .take_while(|piece| !is_zero(piece))
                .map(<[u8]>::len)
                .sum();
            platform::write_all_at(self.to, &bytes[start..start + data], at + start as u64)?;
            start += data;
        }
        Ok(())
    }

    fn grow_to(&self, end: u64) -> Result<(), Fault> {
        let stat = platform::stat(self.to).map_err(Fault::Write)?;
        match stat.bytes < end {
            true => self.to.set_len(end).map_err(Fault::Write),
            false => Ok(()),
        }
    }

    /// A file may end in a hole, which nothing has written; unless it has become shorter.
    fn end_in_a_hole(&self) -> Result<(), Fault> {
        if !self.wants_holes() {
            return Ok(());
        }
        let now = platform::stat(self.from).map_err(Fault::Read)?;
        self.grow_to(self.stat.bytes.min(now.bytes))
    }
}

/// Reads the copy back from the disk, as far as the system lets us, and compares it.
pub(super) fn verify(transfer: &Transfer<'_>) -> Result<(), Fault> {
    transfer.to.sync_all().map_err(Fault::Write)?;
    platform::forget_cache(transfer.to).map_err(Fault::Write)?;
    let end = platform::stat(transfer.to).map_err(Fault::Write)?.bytes;
    let stopped = || transfer.shared.is_stopped();
    let mut at = 0;
    while at < end {
        // What is a hole in both is the same.
        let data = |file| platform::next_data(file, at);
        let (from, to) = (
            data(transfer.from).map_err(Fault::Read)?,
            data(transfer.to).map_err(Fault::Write)?,
        );
        let (start, stop) = match (from, to) {
            (Some(from), Some(to)) => (from.start.min(to.start), from.end.max(to.end)),
            (Some(one), None) | (None, Some(one)) => (one.start, one.end),
            (None, None) => break,
        };
        let range = start..stop.min(end);
        if let Some(at) = first_difference(transfer.from, transfer.to, range.clone(), &stopped)? {
            let why = format!("what is read back from the disk differs from the original at {at}");
            return Err(Fault::Write(io::Error::other(why)));
        }
        at = range.end.max(at + 1);
    }
    Ok(())
}

/// Where two files first differ within a range.
fn first_difference(
    one: &File,
    other: &File,
    range: Range<u64>,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<u64>, Fault> {
    let (mut left, mut right) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut at = range.start;
    while at < range.end {
        if stopped() {
            return Err(Fault::Stopped);
        }
        let most = (range.end - at).min(CHUNK_BYTES as u64);
        let most = usize::try_from(most).expect("no more than a chunk");
        let in_one = read_full(one, &mut left[..most], at).map_err(Fault::Read)?;
        let in_other = read_full(other, &mut right[..most], at).map_err(Fault::Write)?;
        if left[..in_one] != right[..in_other] {
            let pairs = left[..in_one].iter().zip(&right[..in_other]);
            let same = pairs.take_while(|(one, other)| one == other).count();
            return Ok(Some(at + same as u64));
        }
        if in_one < most {
            break;
        }
        at += most as u64;
    }
    Ok(None)
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut full = 0;
    while full < buffer.len() {
        match platform::read_at(file, &mut buffer[full..], at + full as u64) {
            Ok(0) => break,
            Ok(read) => full += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(full)
}
