//! A large file that has to be read and written: several chunks under way on the shard's ring.
//!
//! The chunks lie at the same places in both files, so their order does not matter. Each *hand*
//! takes the next chunk, reads and writes it, and comes again; the first fault ends them all.
//!
//! Past the page cache chunks are aligned. What is left at the end is poured afterwards, when the
//! files go through the cache again. A file system that takes no chunk so gets all of them the
//! usual way.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulet_runtime::buf::Registered;
use annulet_runtime::time::sleep;
use annulet_runtime::{spawn, spawn_blocking};

use super::data::{Fault, Rest, Tally};
use super::file::Filling;
use super::shared::Shared;
use super::work::Work;
use super::{CHUNK_BYTES, platform};

/// Bytes of a chunk that goes past the page cache.
const DIRECT_BYTES: usize = 1 << 20;
/// What every disk takes as a place and a length.
const ALIGN_BYTES: u64 = 4096;
/// How long to sleep before looking whether the copy was stopped.
const NAP: Duration = Duration::from_millis(50);

/// A file whose bytes are to be piped.
pub(super) struct Pipe {
    pub(super) file: Filling,
    pub(super) rest: Rest,
}

/// What can be copied past the page cache, and what is left for later.
struct Direct {
    ranges: Vec<Range<u64>>,
    tail: Vec<Range<u64>>,
}

impl Pipe {
    /// Copies it. Answers with what else is to be done then.
    pub(super) async fn run(mut self, shared: &Arc<Shared>) -> Vec<Work> {
        let mut poured = Ok(());
        if let Some(Direct { ranges, tail }) = self.go_direct() {
            poured = self.pour(ranges, DIRECT_BYTES, shared).await;
            self.leave_direct();
            match &poured {
                Err(Fault::Read(error) | Fault::Write(error))
                    if error.kind() == io::ErrorKind::InvalidInput =>
                {
                    self.file.tally.reset();
                }
                _ => self.rest.ranges = tail,
            }
        }
        // A tail, which is less than a chunk, is left to the end.
        let bytes: u64 = self
            .rest
            .ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum();
        if bytes >= ALIGN_BYTES {
            let ranges = std::mem::take(&mut self.rest.ranges);
            poured = self.pour(ranges, CHUNK_BYTES, shared).await;
        }
        let ended = spawn_blocking(move || self.end(poured)).await;
        ended.unwrap_or_default()
    }

    fn leave_direct(&self) {
        for file in [&self.file.from, &self.file.draft.file] {
            let _was_on = platform::set_direct(file, false);
        }
    }

    /// Has both files go past the page cache, if that was asked for and can be. Answers with what
    /// can be copied so, and what is left for later.
    fn go_direct(&mut self) -> Option<Direct> {
        let last = self.rest.ranges.len().checked_sub(1)?;
        let aligned = |at: u64| at.is_multiple_of(ALIGN_BYTES);
        let fits = |(index, range): (usize, &Range<u64>)| {
            aligned(range.start) && (index == last || aligned(range.end))
        };
        if !self.rest.direct || !self.rest.ranges.iter().enumerate().all(fits) {
            return None;
        }
        let files = [&self.file.from, &self.file.draft.file];
        if !files.iter().all(|file| platform::set_direct(file, true)) {
            self.leave_direct();
            return None;
        }
        if last == 0 && self.rest.ranges[0].start == 0 {
            // Writes that lengthen a file follow one another; what is reserved they only fill. A
            // disk that is too full for it will say so again.
            let _reserved = platform::reserve(&self.file.draft.file, self.file.stat.bytes);
        }
        let mut ranges = self.rest.ranges.clone();
        let end = ranges[last].end;
        let tail = end - end % ALIGN_BYTES;
        ranges[last].end = tail;
        Some(Direct {
            ranges,
            tail: Vec::from_iter((tail < end).then_some(tail..end)),
        })
    }

    async fn pour(
        &self,
        ranges: Vec<Range<u64>>,
        chunk_bytes: usize,
        shared: &Arc<Shared>,
    ) -> Result<(), Fault> {
        let chunk_bytes = shared.pace.piece_bytes(chunk_bytes as u64);
        let chunks = Rc::new(Chunks {
            from: crate::File::from_std(self.file.from.try_clone().map_err(Fault::Read)?),
            to: crate::File::from_std(self.file.draft.file.try_clone().map_err(Fault::Write)?),
            chunk_bytes: chunk_bytes - chunk_bytes % ALIGN_BYTES,
            ranges: RefCell::new(ranges.into_iter()),
            range: RefCell::new(0..0),
            fault: RefCell::new(None),
            ended: Cell::new(false),
            tally: Arc::clone(&self.file.tally),
            shared: Arc::clone(shared),
        });
        let hands: Vec<_> = (0..shared.options.depth.get())
            .map(|_| spawn(Chunks::hand(Rc::clone(&chunks))))
            .collect();
        for hand in hands {
            if let Err(error) = hand.await {
                return Err(Fault::Write(io::Error::other(error)));
            }
        }
        match chunks.fault.take() {
            Some(fault) => Err(fault),
            None if shared.is_stopped() => Err(Fault::Stopped),
            None => Ok(()),
        }
    }
}

/// Where the next chunk begins, and the first fault.
struct Chunks {
    from: crate::File,
    to: crate::File,
    chunk_bytes: u64,
    ranges: RefCell<std::vec::IntoIter<Range<u64>>>,
    range: RefCell<Range<u64>>,
    fault: RefCell<Option<Fault>>,
    /// Whether the original ended before it should have.
    ended: Cell<bool>,
    tally: Arc<Tally>,
    shared: Arc<Shared>,
}

impl Chunks {
    /// The next chunk, unless something ended the copy.
    fn next(&self) -> Option<Range<u64>> {
        if self.shared.is_stopped() || self.ended.get() || self.fault.borrow().is_some() {
            return None;
        }
        let mut range = self.range.borrow_mut();
        while range.is_empty() {
            *range = self.ranges.borrow_mut().next()?;
        }
        let start = range.start;
        range.start = range.end.min(start + self.chunk_bytes);
        Some(start..range.start)
    }

    async fn hand(self: Rc<Self>) {
        let bytes = usize::try_from(self.chunk_bytes).expect("no more than a chunk");
        let mut buffer = self.from.shared().driver().registered_buffer(bytes);
        while let Some(chunk) = self.next() {
            match self.copy(buffer, chunk).await {
                Ok(back) => buffer = back,
                Err(fault) => {
                    self.fault.borrow_mut().get_or_insert(fault);
                    return;
                }
            }
        }
    }

    /// Copies one chunk; short reads are resumed.
    async fn copy(
        &self,
        mut buffer: Registered,
        mut chunk: Range<u64>,
    ) -> Result<Registered, Fault> {
        while !chunk.is_empty() {
            let (read, mut back) = self
                .from
                .read_at(buffer, chunk.start)
                .await
                .map_err(|failure| Fault::Read(failure.error))?;
            if read == 0 {
                self.ended.set(true);
                return Ok(back);
            }
            let wanted = usize::try_from(chunk.end - chunk.start).unwrap_or(usize::MAX);
            back.truncate(read.min(wanted));
            let bytes = back.len() as u64;
            ((), buffer) = self
                .to
                .write_all_at(back, chunk.start)
                .await
                .map_err(|failure| Fault::Write(failure.error))?;
            self.tally.add(bytes);
            chunk.start += bytes;
            self.wait(self.shared.pace.spend(bytes)).await;
        }
        Ok(buffer)
    }

    /// Keeps to the speed limit. A stop ends it.
    async fn wait(&self, mut rest: Duration) {
        while !rest.is_zero() && !self.shared.is_stopped() {
            let nap = rest.min(NAP);
            sleep(nap).await;
            rest -= nap;
        }
    }
}
