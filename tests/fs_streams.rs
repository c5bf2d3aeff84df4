//! Files as streams: cursors, buffered readers and writers, against the same done in memory, on
//! every driver; and that what was accepted is neither lost nor its failure hidden.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod fds;
    pub(crate) mod fds_back;
    pub(crate) mod on_disk;
    pub(crate) mod random;
    pub(crate) mod variants;
}

use std::cell::{Cell, RefCell};
use std::fs as std_fs;
use std::future::poll_fn;
use std::io::{self, Cursor as Memory, ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulet::fs::{BufReader, BufWriter, Cursor, File, OpenOptions};
use annulet::{Context, Feature};
use futures_util::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt, StreamExt,
};
use support::fds::open_fds;
use support::fds_back::fds_are_back_to;
use support::on_disk::on_every_variant;
use support::random::{Random, seed};
use support::variants::variants;

fn made(dir: &Path, bytes: &[u8]) -> PathBuf {
    let path = dir.join("file");
    std_fs::write(&path, bytes).expect("written");
    path
}

async fn opened(path: &Path) -> File {
    let options = OpenOptions::new().read(true).write(true).create(true);
    options.open(path).await.expect("opened")
}

/// One random step of a cursor over a file and of one over memory; both say the same.
async fn step(random: &mut Random, ours: &mut Cursor, model: &mut Memory<Vec<u8>>) {
    match random.below(4) {
        0 => {
            let (mut got, mut wanted) = (vec![0; 5000], vec![0; 5000]);
            let room = random.below(5000) as usize;
            // A read may give less than there is: both are read until the end or full.
            let mut read = 0;
            while read < room {
                match ours.read(&mut got[read..room]).await.expect("read") {
                    0 => break,
                    more => read += more,
                }
            }
            let modelled = io::Read::read(model, &mut wanted[..room]).expect("memory");
            assert_eq!((read, got), (modelled, wanted));
        }
        1 => {
            let byte = u8::try_from(random.below(256)).expect("a byte");
            let bytes = vec![byte; random.below(7000) as usize];
            ours.write_all(&bytes).await.expect("written");
            io::Write::write_all(model, &bytes).expect("memory");
        }
        2 => {
            let by = i64::from(random.below(4000)) - 2000;
            let to = match random.below(3) {
                0 => SeekFrom::Start(u64::from(random.below(30_000))),
                1 => SeekFrom::Current(by),
                _ => SeekFrom::End(by),
            };
            let (sought, modelled) = (ours.seek(to).await, io::Seek::seek(model, to));
            assert_eq!(sought.is_ok(), modelled.is_ok(), "{to:?}");
        }
        _ => ours.flush().await.expect("written"),
    }
    assert_eq!(ours.position(), model.position());
}

#[test]
fn a_cursor_does_what_one_over_memory_does() {
    let seed = seed();
    on_every_variant(async |name, dir| {
        let mut random = Random::new(seed);
        for round in 0..4 {
            let start = vec![7; random.below(20_000) as usize];
            let path = made(dir, &start);
            let mut ours = Cursor::new(opened(&path).await);
            let mut model = Memory::new(start);
            for _ in 0..60 {
                step(&mut random, &mut ours, &mut model).await;
            }
            ours.close().await.expect("closed");
            let content = std_fs::read(&path).expect("read");
            assert!(content == model.into_inner(), "{name}, round {round}");
        }
    });
}

#[test]
fn a_buffered_reader_reads_what_is_there_wherever_it_is_moved() {
    let seed = seed();
    on_every_variant(async |name, dir| {
        let mut random = Random::new(seed);
        let bytes: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
        let path = made(dir, &bytes);
        let mut reader = BufReader::with_capacity(3000, File::open(&path).await.expect("there"));
        for _ in 0..100 {
            let at = reader.position();
            let by = i64::from(random.below(8000)) - 4000;
            let to = match random.below(6) {
                0 => {
                    reader
                        .seek(SeekFrom::Start(u64::from(random.below(170_000))))
                        .await
                }
                1 => reader.seek(SeekFrom::Current(by)).await,
                2 => reader.seek(SeekFrom::End(-by.abs())).await,
                _ => Ok(at),
            };
            let at = usize::try_from(to.unwrap_or(at)).expect("small");
            let mut got = vec![0; random.below(4000) as usize];
            let there = bytes.len().saturating_sub(at).min(got.len());
            reader.read_exact(&mut got[..there]).await.expect("there");
            assert_eq!(
                &got[..there],
                &bytes[at.min(bytes.len())..][..there],
                "{name}: {at}"
            );
        }
        // futures' own helpers find the same.
        reader.seek(SeekFrom::Start(0)).await.expect("moved");
        let mut until = Vec::new();
        AsyncBufReadExt::read_until(&mut reader, 9, &mut until)
            .await
            .expect("read");
        assert_eq!(until, &bytes[..37], "{name}");
    });
}

#[test]
fn lines_and_parts_are_those_of_the_standard_library() {
    on_every_variant(async |name, dir| {
        let long = "x".repeat(10_000);
        let text = format!("one\r\ntwo\n\n{long}\nlast without an end");
        let path = made(dir, text.as_bytes());
        for capacity in [1, 7, 64 * 1024] {
            let file = File::open(&path).await.expect("there");
            let mut lines = BufReader::with_capacity(capacity, file).lines();
            let mut ours = Vec::new();
            while let Some(line) = lines.next_line().await.expect("text") {
                ours.push(line);
            }
            assert_eq!(ours, text.lines().collect::<Vec<_>>(), "{name}: {capacity}");
            let file = File::open(&path).await.expect("there");
            let parts = BufReader::with_capacity(capacity, file).split(b'o');
            let parts: Vec<Vec<u8>> = parts.map(|part| part.expect("read")).collect().await;
            let theirs = text.split('o').map(|part| part.as_bytes().to_vec());
            assert_eq!(parts, theirs.collect::<Vec<_>>(), "{name}: {capacity}");
        }
        let path = made(dir, b"fine\n\xff\xfe\nfine again\n");
        let mut lines = BufReader::new(File::open(&path).await.expect("there")).lines();
        assert_eq!(
            lines.next_line().await.expect("text").as_deref(),
            Some("fine")
        );
        let bad = lines.next_line().await.expect_err("no text");
        assert_eq!(bad.kind(), ErrorKind::InvalidData, "{name}");
        assert_eq!(
            lines.next_line().await.expect("text").as_deref(),
            Some("fine again")
        );
        assert_eq!(lines.next_line().await.expect("the end"), None);
    });
}

#[test]
fn a_given_up_line_is_read_from_where_it_was() {
    on_every_variant(async |name, dir| {
        let path = made(dir, &b"0123456789".repeat(10_000));
        let file = File::open(&path).await.expect("there");
        let mut split = BufReader::with_capacity(64, file).split(b'9');
        let mut parts = 0;
        let mut given_up = 0_u32;
        loop {
            // Poll once; given up wherever it waits, which depends on the cache.
            let part = {
                let mut next = pin!(split.next_part());
                poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await
            };
            let part = match part {
                Poll::Ready(part) => part,
                Poll::Pending => {
                    given_up += 1;
                    split.next_part().await
                }
            };
            match part.expect("read") {
                Some(part) => assert_eq!(part, b"012345678", "{name}: after {given_up}"),
                None => break,
            }
            parts += 1;
        }
        assert_eq!(parts, 10_000, "{name}: {given_up} given up");
    });
}

#[test]
fn a_buffered_writer_writes_all_in_order_and_tells_where_it_is() {
    let seed = seed();
    on_every_variant(async |name, dir| {
        let mut random = Random::new(seed);
        let path = dir.join("out");
        let mut out = BufWriter::with_capacity(1000, File::create(&path).await.expect("made"));
        let mut model = Memory::new(Vec::new());
        for _ in 0..200 {
            let byte = u8::try_from(random.below(256)).expect("a byte");
            let bytes = vec![byte; random.below(1500) as usize];
            if random.below(2) == 0 {
                out.write(&bytes).await.expect("accepted");
            } else {
                AsyncWriteExt::write_all(&mut out, &bytes)
                    .await
                    .expect("accepted");
            }
            io::Write::write_all(&mut model, &bytes).expect("memory");
            if random.once_in(20) {
                let to = SeekFrom::Start(u64::from(random.below(50_000)));
                out.seek(to).await.expect("moved");
                io::Seek::seek(&mut model, to).expect("memory");
            }
            assert_eq!(out.position(), model.position(), "{name}");
        }
        out.close().await.expect("closed");
        assert!(
            std_fs::read(&path).expect("read") == model.into_inner(),
            "{name}"
        );
    });
}

#[test]
fn writers_append_to_a_file_that_was_opened_so() {
    on_every_variant(async |name, dir| {
        let path = made(dir, b"before ");
        let append = OpenOptions::new().append(true);
        let mut out = BufWriter::with_capacity(4, append.open(&path).await.expect("opened"));
        out.write(b"and after").await.expect("accepted");
        out.close().await.expect("closed");
        let mut cursor = Cursor::new(append.open(&path).await.expect("opened"));
        cursor.write_all(b"!").await.expect("accepted");
        cursor.close().await.expect("closed");
        assert_eq!(
            std_fs::read(&path).expect("read"),
            b"before and after!",
            "{name}"
        );
    });
}

#[test]
fn what_a_dropped_writer_had_accepted_is_written() {
    let before = open_fds();
    for variant in variants() {
        let dir = tempfile::tempdir_in(".").expect("a directory on a disk");
        let runtime = variant.builder().build().expect("a runtime");
        runtime.block_on(async {
            let (buffered, direct) = (dir.path().join("buffered"), dir.path().join("direct"));
            let mut out = BufWriter::with_capacity(10, opened(&buffered).await);
            out.write(b"0123456789 and then some")
                .await
                .expect("accepted");
            drop(out);
            let mut out = Cursor::new(opened(&direct).await);
            out.write_all(&[1; 300_000]).await.expect("accepted");
            drop(out);
            // The tasks that see to it end by themselves.
            let done = |path: &Path| std_fs::metadata(path).expect("there").len();
            while done(&buffered) < 24 || done(&direct) < 300_000 {
                annulet::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(
                std_fs::read(&buffered).expect("read"),
                b"0123456789 and then some"
            );
        });
        drop(runtime);
        drop(dir);
    }
    fds_are_back_to(before, "every file was closed");
}

#[test]
fn a_failed_write_is_told_by_the_next_call_and_by_close() {
    on_every_variant(async |name, _| {
        let full = OpenOptions::new().write(true);
        let full = async || full.open("/dev/full").await.expect("opened");
        let mut out = BufWriter::with_capacity(4, full().await);
        out.write(b"abc").await.expect("buffered");
        let failed = out.close().await.expect_err("full");
        assert_eq!(failed.kind(), ErrorKind::StorageFull, "{name}");

        let mut out = BufWriter::with_capacity(4, full().await);
        let mut failures = 0;
        for _ in 0..4 {
            failures += usize::from(out.write(b"12345678").await.is_err());
        }
        assert!(failures > 0, "{name}: it is told before the end");

        let mut cursor = Cursor::new(full().await);
        let accepted = poll_fn(|cx| Pin::new(&mut cursor).poll_write(cx, b"abc")).await;
        assert_eq!(accepted.expect("accepted"), 3, "{name}");
        let failed = cursor.flush().await.expect_err("full");
        assert_eq!(failed.kind(), ErrorKind::StorageFull, "{name}");
        cursor.close().await.expect("told already");
    });
}

/// Direct tries, and requests made of the ring or the pool, since the runtime began.
fn roads() -> (u64, u64) {
    let stats = Context::current().driver().stats();
    (stats.attempts, stats.submitted)
}

#[test]
fn writers_hand_over_in_place_while_the_kernel_takes_it_at_once() {
    on_every_variant(async |name, _| {
        let takes_all = OpenOptions::new().write(true).open("/dev/null").await;
        let mut out = BufWriter::with_capacity(16, takes_all.expect("opened"));
        let before = roads();
        out.write(&[1; 16 * 64]).await.expect("accepted");
        out.flush().await.expect("written");
        let after = roads();
        let ways = (after.0 - before.0, after.1 - before.1);
        let tries = Context::current().driver().has(Feature::ReadNowait);
        assert_eq!(ways, if tries { (64, 0) } else { (0, 64) }, "{name}");
        out.close().await.expect("closed");
    });
}

#[test]
fn a_reader_of_what_is_never_cached_seldom_tries_the_cache() {
    on_every_variant(async |name, _| {
        let file = File::open("/proc/self/status").await.expect("opened");
        let mut reader = BufReader::with_capacity(8, file);
        let (before, mut reads) = (roads(), 0);
        loop {
            let bytes = reader.fill().await.expect("read").len();
            if bytes == 0 {
                break;
            }
            reader.consume(bytes);
            reads += 1;
        }
        let tries = roads().0 - before.0;
        assert!(
            reads > 99 && tries <= reads / 32 + 1,
            "{name}: {tries} of {reads}"
        );
    });
}

/// How much a reader has read at each turn of a task beside it.
async fn turns_beside(read: impl AsyncFnOnce(&Cell<usize>)) -> Vec<usize> {
    let (done, turns) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(vec![0])));
    let (seen, log) = (Rc::clone(&done), Rc::clone(&turns));
    let beside = annulet::spawn(async move {
        loop {
            log.borrow_mut().push(seen.get());
            annulet::yield_now().await;
        }
    });
    read(&done).await;
    turns.borrow_mut().push(done.get());
    beside.abort();
    let _aborted = beside.await;
    turns.take()
}

#[test]
fn whoever_reads_what_is_cached_lets_others_have_their_turn() {
    const BYTES: usize = 16 << 20;
    // What one turn may copy, and one attempt more.
    const TURN_BYTES_MAX: usize = 2 << 20;
    on_every_variant(async |name, dir| {
        let path = made(dir, &vec![5; BYTES]);
        let by_file = turns_beside(async |done| {
            let file = File::open(&path).await.expect("there");
            while done.get() < BYTES {
                // As much as there is, if the file gave as much.
                let space = Vec::with_capacity(BYTES);
                let read = file.read_at(space, done.get() as u64).await;
                done.set(done.get() + read.expect("read").0);
            }
        });
        let by_file = by_file.await;
        let by_cursor = turns_beside(async |done| {
            let mut cursor = Cursor::new(File::open(&path).await.expect("there"));
            let mut space = vec![0; 8192];
            while done.get() < BYTES {
                done.set(done.get() + cursor.read(&mut space).await.expect("read"));
            }
        });
        let tries = Context::current().driver().has(Feature::ReadNowait);
        for (who, turns) in [("file", by_file), ("cursor", by_cursor.await)] {
            let most = turns.windows(2).map(|pair| pair[1] - pair[0]).max();
            let most = most.expect("turns");
            // Without tries the ring or the pool reads, which is nobody's turn.
            assert!(
                !tries || most <= TURN_BYTES_MAX,
                "{name}: {who} has read {most}"
            );
        }
    });
}
