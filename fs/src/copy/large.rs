//! A large file: cloned, copied inside the kernel, or chunk by chunk through the ring.
//!
//! The three are tried in this order, and each but the last may refuse before it has copied a byte
//! of a range; what it has copied counts. Only errors that say "not here" lead on to the next: a
//! full disk is a full disk. Calls that wait are jobs of the pool; the chunks are operations of the
//! shard.

use std::cell::RefCell;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use annulet_runtime::spawn;

use super::jobs::{Draft, Place};
use super::{CHUNK_BYTES, CHUNKS, Dir, Failure, Shared, platform};
use crate::offload::offload;

/// Bytes that the kernel copies in one call: short enough to be stopped between two.
const PIECE_BYTES: u64 = 16 << 20;

/// A large file to copy. Holds its directory until it is done.
pub(super) struct Large {
    place: Place,
    dir: Option<Arc<Dir>>,
}

/// The two files while they are under way.
struct Open {
    from: File,
    draft: Draft,
    metadata: Metadata,
    cloned: bool,
}

impl Large {
    pub(super) fn new(place: Place, dir: Option<Arc<Dir>>) -> Self {
        Self { place, dir }
    }

    /// Copies it, and reports to the observer whatever the end.
    pub(super) async fn copy(self, shared: &Arc<Shared>) {
        let Self { place, dir } = self;
        if shared.stopped() {
            drop_on_the_pool(dir).await;
            return;
        }
        let place = Arc::new(place);
        if let Err(failure) = copy(&place, shared).await
            && !shared.stopped()
        {
            shared.fail(&failure);
        }
        drop_on_the_pool(dir).await;
    }
}

/// The last holder of a directory finishes it, by calls that wait.
async fn drop_on_the_pool(dir: Option<Arc<Dir>>) {
    let dropped = offload(move || {
        drop(dir);
        Ok(())
    });
    // A pool that takes no job has dropped it already.
    let _dropped = dropped.await;
}

async fn copy(place: &Arc<Place>, shared: &Arc<Shared>) -> Result<(), Failure> {
    let (inner_place, inner_shared) = (Arc::clone(place), Arc::clone(shared));
    let open = run(place, move || Ok(open(&inner_place, &inner_shared))).await??;
    let draft = if open.cloned {
        Shared::count(&shared.bytes, open.metadata.len());
        open.draft
    } else {
        fill(place, shared, open.from, open.draft, &open.metadata).await?
    };
    let (place, shared, metadata) = (Arc::clone(place), Arc::clone(shared), open.metadata);
    let publish = move || {
        let published = draft.publish(&metadata);
        if published.is_ok() {
            shared.copied_file(&place.from, &place.to);
        }
        Ok(published)
    };
    offload(publish)
        .await
        .map_err(|error| Failure::new("a job was lost at", std::path::Path::new("."), error))?
}

/// Runs a call on the pool; that it may fail to run is a failure at the file.
async fn run<T: Send + 'static>(
    place: &Place,
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    offload(call)
        .await
        .map_err(|error| Failure::new("cannot copy", &place.from, error))
}

fn open(place: &Place, shared: &Shared) -> Result<Open, Failure> {
    let (from, metadata) = place.open()?;
    let draft = Draft::new(shared, &place.to)?;
    let cannot_write = |error| Failure::new("cannot write", &place.to, error);
    let cloned = !shared.no_clone.load(Ordering::Relaxed)
        && platform::clone(&from, &draft.file).map_err(cannot_write)?;
    if !cloned {
        shared.no_clone.store(true, Ordering::Relaxed);
        if platform::has_holes(&metadata) {
            // Its end may be a hole, which nothing would write.
            draft.file.set_len(metadata.len()).map_err(cannot_write)?;
        }
    }
    Ok(Open {
        from,
        draft,
        metadata,
        cloned,
    })
}

/// Copies the data of one file into the other, range by range.
async fn fill(
    place: &Place,
    shared: &Arc<Shared>,
    from: File,
    draft: Draft,
    metadata: &Metadata,
) -> Result<Draft, Failure> {
    let end = metadata.len();
    let cannot_read = |error| Failure::new("cannot read", &place.from, error);
    let cannot_write = |error| Failure::new("cannot write", &place.to, error);
    let from = Arc::new(from);
    let to = Arc::new(draft.file.try_clone().map_err(cannot_write)?);
    let holes = platform::has_holes(metadata);
    let mut in_kernel = true;
    let mut at = 0;
    while at < end {
        let mut range = at..end;
        if holes {
            let file = Arc::clone(&from);
            match run(place, move || platform::next_data(&file, at)).await? {
                Some(data) => range = data.start.max(at)..data.end.min(end),
                None => break,
            }
        }
        at = range.end;
        while in_kernel && !range.is_empty() {
            stop_here(shared, place)?;
            let (files, piece) = ((Arc::clone(&from), Arc::clone(&to)), range.clone());
            let bytes = piece.end.min(piece.start + PIECE_BYTES) - piece.start;
            let copied = run(place, move || {
                Ok(platform::copy_range(&files.0, &files.1, piece.start, bytes))
            });
            match copied.await?.map_err(cannot_write)? {
                // At the end, or it cannot: reading says which.
                0 => in_kernel = false,
                copied => {
                    Shared::count(&shared.bytes, copied);
                    range.start += copied;
                }
            }
        }
        if !range.is_empty() {
            let files = (
                from.try_clone().map_err(cannot_read)?,
                to.try_clone().map_err(cannot_write)?,
            );
            by_chunks(place, shared, files, range).await?;
        }
    }
    Ok(draft)
}

fn stop_here(shared: &Shared, place: &Place) -> Result<(), Failure> {
    if shared.stopped() {
        // Nobody is told: the copy as a whole was stopped.
        return Err(Failure::new(
            "stopped at",
            &place.from,
            io::ErrorKind::Interrupted,
        ));
    }
    Ok(())
}

/// Where the next chunk begins, and the first failure.
struct Chunks {
    from: crate::File,
    to: crate::File,
    range: RefCell<Range<u64>>,
    failed: RefCell<Option<(bool, io::Error)>>,
}

/// Reads and writes with several chunks under way.
async fn by_chunks(
    place: &Place,
    shared: &Arc<Shared>,
    (from, to): (File, File),
    range: Range<u64>,
) -> Result<(), Failure> {
    let chunks = Rc::new(Chunks {
        from: crate::File::from_std(from),
        to: crate::File::from_std(to),
        range: RefCell::new(range),
        failed: RefCell::new(None),
    });
    let lanes: Vec<_> = (0..CHUNKS)
        .map(|_| {
            let (chunks, shared) = (Rc::clone(&chunks), Arc::clone(shared));
            spawn(async move { chunks.lane(&shared).await })
        })
        .collect();
    for lane in lanes {
        if let Err(error) = lane.await {
            return Err(Failure::new(
                "cannot copy",
                &place.from,
                io::Error::other(error),
            ));
        }
    }
    match chunks.failed.take() {
        Some((true, error)) => Err(Failure::new("cannot write", &place.to, error)),
        Some((false, error)) => Err(Failure::new("cannot read", &place.from, error)),
        None => stop_here(shared, place),
    }
}

impl Chunks {
    /// The next chunk, unless something ended the copy.
    fn next(&self, shared: &Shared) -> Option<Range<u64>> {
        if shared.stopped() || self.failed.borrow().is_some() {
            return None;
        }
        let mut range = self.range.borrow_mut();
        let start = range.start;
        range.start = range.end.min(start + CHUNK_BYTES as u64);
        (start < range.start).then_some(start..range.start)
    }

    async fn lane(&self, shared: &Shared) {
        let mut buffer = Vec::with_capacity(CHUNK_BYTES);
        while let Some(chunk) = self.next(shared) {
            match self.chunk(buffer, chunk, shared).await {
                Ok(back) => buffer = back,
                Err(failed) => {
                    self.failed.borrow_mut().get_or_insert(failed);
                    return;
                }
            }
        }
    }

    /// Copies one chunk; short reads are resumed. An error says whether it was writing that failed.
    async fn chunk(
        &self,
        mut buffer: Vec<u8>,
        mut chunk: Range<u64>,
        shared: &Shared,
    ) -> Result<Vec<u8>, (bool, io::Error)> {
        while !chunk.is_empty() {
            let (read, mut back) = self
                .from
                .read_at(buffer, chunk.start)
                .await
                .map_err(|failure| (false, failure.error))?;
            if read == 0 {
                let why = "it became shorter while it was copied; copy it again when it is at rest";
                return Err((false, io::Error::new(io::ErrorKind::UnexpectedEof, why)));
            }
            let wanted = usize::try_from(chunk.end - chunk.start).unwrap_or(usize::MAX);
            back.truncate(wanted);
            let bytes = back.len() as u64;
            ((), buffer) = self
                .to
                .write_all_at(back, chunk.start)
                .await
                .map_err(|failure| (true, failure.error))?;
            Shared::count(&shared.bytes, bytes);
            chunk.start += bytes;
        }
        Ok(buffer)
    }
}
