//! Files past the page cache: any range is read and written as if there were no blocks, streams go
//! from front to back, and what the kernel holds is what was written.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../fs/tests/ground/mod.rs"]
mod ground;
mod support {
    pub(crate) mod on_disk;
    pub(crate) mod pattern;
    pub(crate) mod random;
    pub(crate) mod variants;
}

use std::fs as std_fs;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;
use std::task::Poll;

use annulet::buf::Aligned;
use annulet::fs::direct::DirectFile;
use annulet::fs::{Cursor, File, OpenOptions};
use futures_util::{AsyncReadExt, StreamExt};
use support::on_disk::on_every_variant;
use support::pattern::pattern;
use support::random::{Random, seed};

#[test]
fn any_range_is_read_and_written_as_if_there_were_no_blocks() {
    let seed = seed();
    on_every_variant(async |name, dir| {
        let mut random = Random::new(seed);
        let path = dir.join("file");
        let file = DirectFile::create(&path).await.expect("made");
        assert!(file.is_direct(), "{name}: this disk can");
        let mut model: Vec<u8> = Vec::new();
        for step in 0..60 {
            let at = random.below(40_000) as usize;
            let len = match random.below(3) {
                0 => random.below(50) as usize,
                1 => random.below(20_000) as usize,
                // Whole blocks.
                _ => (random.below(4) as usize) * file.block_bytes(),
            };
            if random.once_in(2) {
                let bytes = pattern(step, len);
                file.write_at(&bytes, at as u64).await.expect("written");
                if len > 0 {
                    model.resize(model.len().max(at + len), 0);
                    model[at..at + len].copy_from_slice(&bytes);
                }
            } else {
                let read = file.read_at(at as u64, len).await.expect("read");
                let there = &model[at.min(model.len())..model.len().min(at + len)];
                assert!(*read == *there, "{name}: {len} at {at}, step {step}");
            }
            let there = file.file().metadata().await.expect("known");
            assert_eq!(there.len(), model.len() as u64, "{name}: step {step}");
        }
        file.close().await.expect("closed");
        assert!(std_fs::read(&path).expect("read") == model, "{name}");
    });
}

#[test]
fn writes_to_parts_of_one_block_do_not_undo_each_other() {
    on_every_variant(async |name, dir| {
        let path = dir.join("file");
        let file = DirectFile::create(&path).await.expect("made");
        file.write_at(&[0xFF; 4096], 0).await.expect("written");
        let file = std::rc::Rc::new(file);
        let writers: Vec<_> = (0..32_u8)
            .map(|part| {
                let file = std::rc::Rc::clone(&file);
                annulet::spawn(async move {
                    let bytes = [part; 128];
                    file.write_at(&bytes, u64::from(part) * 128).await
                })
            })
            .collect();
        for writer in writers {
            writer.await.expect("no panic").expect("written");
        }
        let wanted: Vec<u8> = (0..32_u8).flat_map(|part| [part; 128]).collect();
        assert!(std_fs::read(&path).expect("read") == wanted, "{name}");
    });
}

#[test]
fn a_write_in_the_last_block_leaves_the_file_as_long_as_it_is() {
    on_every_variant(async |name, dir| {
        let path = dir.join("file");
        let file = DirectFile::create(&path).await.expect("made");
        let block = file.block_bytes();
        let mut model = pattern(1, block + 100);
        file.write_at(&model, 0).await.expect("written");
        for (at, len) in [(block + 10, 10), (0, block + 99), (block + 99, 1)] {
            let bytes = pattern(at, len);
            file.write_at(&bytes, at as u64).await.expect("written");
            model[at..at + len].copy_from_slice(&bytes);
            assert!(std_fs::read(&path).expect("read") == model, "{name}: {at}");
        }
    });
}

#[test]
fn a_write_that_lengthens_the_file_takes_nothing_from_one_beside_it() {
    on_every_variant(async |name, dir| {
        let path = dir.join("file");
        let file = std::rc::Rc::new(DirectFile::create(&path).await.expect("made"));
        let block = file.block_bytes();
        for round in 0..8 {
            let start = round * 8 * block;
            let writers = [(start, 100), (start + 4 * block, block)].map(|(at, len)| {
                let file = std::rc::Rc::clone(&file);
                annulet::spawn(async move { file.write_at(&pattern(at, len), at as u64).await })
            });
            for writer in writers {
                writer.await.expect("no panic").expect("written");
            }
            let all = std_fs::read(&path).expect("read");
            assert_eq!(all.len(), start + 5 * block, "{name}");
            let (at, len) = (start + 4 * block, block);
            assert!(all[at..] == pattern(at, len), "{name}");
        }
    });
}

#[test]
fn streams_read_and_write_whole_files_of_any_length() {
    on_every_variant(async |name, dir| {
        for len in [0, 1, 4095, 4096, 262_144, 262_145, 1_500_000, 2_097_152] {
            let path = dir.join(format!("file-{len}"));
            let bytes = pattern(len, len);
            let file = DirectFile::create(&path).await.expect("made");
            let mut out = file.writer(0).expect("at the beginning");
            for piece in bytes.chunks(70_001) {
                out.write(piece).await.expect("accepted");
            }
            assert_eq!(out.position(), len as u64, "{name}");
            assert_eq!(out.finish().await.expect("written"), len as u64, "{name}");
            assert!(std_fs::read(&path).expect("read") == bytes, "{name}: {len}");
            for from in [0, 100, len / 2, len] {
                let from = from.min(len);
                let mut got = Vec::new();
                let mut reader = file.reader(from as u64);
                while let Some(piece) = reader.next().await {
                    got.extend_from_slice(&piece.expect("read"));
                }
                assert!(got == bytes[from..], "{name}: {len} from {from}");
                assert!(reader.next_piece().await.expect("the end").is_none());
            }
        }
    });
}

#[test]
fn a_piece_that_is_given_up_is_read_by_the_next_call() {
    on_every_variant(async |name, dir| {
        let path = dir.join("file");
        let bytes = pattern(1, 3_000_000);
        std_fs::write(&path, &bytes).expect("written");
        let file = DirectFile::open(&path).await.expect("there");
        let mut reader = file.reader(0);
        let (mut got, mut given_up) = (Vec::new(), 0);
        loop {
            let polled = {
                let mut piece = pin!(reader.next_piece());
                poll_fn(|cx| Poll::Ready(piece.as_mut().poll(cx))).await
            };
            let piece = match polled {
                Poll::Ready(piece) => piece,
                Poll::Pending => {
                    given_up += 1;
                    reader.next_piece().await
                }
            };
            match piece.expect("read") {
                Some(piece) => got.extend_from_slice(&piece),
                None => break,
            }
        }
        assert!(got == bytes, "{name}: {given_up} given up");
        assert!(given_up > 0, "{name}: a disk is not that fast");
    });
}

#[test]
fn a_file_that_is_cut_while_it_is_read_ends_where_it_ends() {
    on_every_variant(async |name, dir| {
        let path = dir.join("file");
        let bytes = pattern(2, 4_000_000);
        std_fs::write(&path, &bytes).expect("written");
        let file = DirectFile::open(&path).await.expect("there");
        let mut reader = file.reader(0);
        let first = reader
            .next_piece()
            .await
            .expect("read")
            .expect("not the end");
        assert!(*first == bytes[..first.len()], "{name}");
        let cut = std_fs::OpenOptions::new().write(true).open(&path);
        cut.expect("there").set_len(1_000_001).expect("cut");
        let mut got = first.len();
        while let Some(piece) = reader.next_piece().await.expect("read") {
            assert!(*piece == bytes[got..got + piece.len()], "{name}: at {got}");
            got += piece.len();
        }
        // Reads that were under way may still have found what was there.
        assert!(got >= 1_000_001, "{name}: {got}");
        let tail = file.read_at(1_000_000, 100).await.expect("read");
        assert_eq!(tail.len(), 1, "{name}");
    });
}

#[test]
fn failures_are_told_in_order_and_say_what_was_written() {
    on_every_variant(async |name, dir| {
        let path = dir.join("file");
        std_fs::write(&path, vec![1; 10_000]).expect("written");
        // Not opened to write.
        let file = DirectFile::open(&path).await.expect("there");
        let failed = file.write_at(&[2; 4096], 0).await.expect_err("read only");
        assert_eq!(failed.raw_os_error(), Some(9), "{name}: EBADF");
        let mut out = file.writer(4096).expect("a multiple");
        let odd = file.writer(1).map(drop).expect_err("no multiple");
        assert_eq!(odd.kind(), ErrorKind::InvalidInput, "{name}");
        let mut told = None;
        for _ in 0..32 {
            if let Err(error) = out.write(&vec![2; 256 * 1024]).await {
                told = Some(error);
                break;
            }
        }
        assert_eq!(
            told.and_then(|error| error.raw_os_error()),
            Some(9),
            "{name}"
        );
        assert_eq!(out.written(), 4096, "{name}: nothing was");
        assert!(
            std_fs::read(&path).expect("read") == vec![1; 10_000],
            "{name}"
        );
        let missing = DirectFile::open(dir.join("missing"))
            .await
            .expect_err("missing");
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{name}");
    });
}

#[test]
fn where_the_cache_cannot_be_passed_it_is_used() {
    on_every_variant(async |name, _| {
        // A file of /proc cannot be opened so.
        let options = OpenOptions::new().read(true);
        let file = DirectFile::with(options, "/proc/self/status")
            .await
            .expect("there");
        assert!(!file.is_direct(), "{name}");
        let head = file.read_at(0, 5).await.expect("read");
        assert_eq!(&*head, b"Name:", "{name}");
    });
}

#[test]
fn what_waits_for_the_device_is_never_tried_by_the_shard_itself() {
    let attempts = || annulet::Context::current().driver().stats().attempts;
    on_every_variant(async |name, dir| {
        let path = dir.join("file");
        std_fs::write(&path, vec![7; 1 << 20]).expect("written");
        let options = OpenOptions::new().read(true).write(true);
        let direct = options.clone().direct();
        let opened = direct.open(&path).await.expect("opened");
        let taken_over = File::from_std(direct.open(&path).await.expect("opened").into_std().await);
        let before = attempts();
        for file in [&opened, &taken_over, &opened.try_clone().expect("cloned")] {
            let mut buf = Aligned::new(4096);
            for block in 0..8 {
                let (read, back) = file.read_at(buf, block * 4096).await.expect("read");
                assert_eq!((read, back[0]), (4096, 7), "{name}");
                let ((), back) = file
                    .write_all_at(back, block * 4096)
                    .await
                    .expect("written");
                buf = back;
            }
        }
        assert_eq!(attempts(), before, "{name}: past the cache");
        // Reads of a file whose writes are to be durable are as others.
        let durable = options.data_sync().open(&path).await.expect("opened");
        for block in 0..8 {
            let written = durable.write_all_at(vec![8; 4096], block * 4096).await;
            written.expect("written");
            let parts = vec![vec![9; 10], vec![10; 10]];
            let written = durable.write_all_vectored_at(parts, block * 4096).await;
            written.expect("written");
        }
        assert_eq!(attempts(), before, "{name}: durable");
        let mut head = [0; 21];
        let mut cursor = Cursor::new(durable);
        cursor.read_exact(&mut head).await.expect("read");
        assert_eq!(head[..20], [[9; 10], [10; 10]].concat(), "{name}");
        assert_eq!(head[20], 8, "{name}");
    });
}

#[test]
fn all_this_holds_on_other_file_systems() {
    let grounds = [ground::XFS, ground::BTRFS, ground::TMPFS];
    ground::others(
        "all_this_holds_on_other_file_systems",
        &grounds,
        &["a_write_", "any_range_", "writes_to_"],
    );
}
