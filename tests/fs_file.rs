//! Files: each operation against the plain call of the standard library on the same input, on every
//! driver and on io_uring without each thing it can do without.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../fs/tests/ground/mod.rs"]
mod ground;
mod support {
    pub(crate) mod on_disk;
    pub(crate) mod variants;
}

use std::ffi::OsStr;
use std::fs::{self as std_fs, FileTimes, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use annulet::PoolConfig;
use annulet::fs::{self, Advice, File, FileType, LockKind, OpenOptions};
use rustix::fs::{AtFlags, CWD, StatxFlags, ioctl_ficlone, statx};
use support::on_disk::on_every_variant;
use support::variants::variants;

/// A file with these bytes, opened to be read and written.
async fn made(dir: &Path, bytes: &[u8]) -> (PathBuf, File) {
    let path = dir.join("file");
    std_fs::write(&path, bytes).expect("written");
    let options = OpenOptions::new().read(true).write(true);
    let file = options.open(&path).await.expect("it is there");
    (path, file)
}

/// The system's number for a failure, or that there was none.
fn number<T>(answer: io::Result<T>) -> Option<i32> {
    answer.err().map(|error| error.raw_os_error().unwrap_or(-1))
}

#[test]
fn reads_give_what_is_there_and_less_at_the_end() {
    on_every_variant(async |name, dir| {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let (_, file) = made(dir, &bytes).await;
        for (offset, room) in [(0, 1), (1, 4096), (4095, 8192), (399_990, 64), (400_000, 1)] {
            let space = Vec::with_capacity(room);
            let (read, buf) = file.read_at(space, offset as u64).await.expect("read");
            let wanted = &bytes[offset..bytes.len().min(offset + room)];
            assert_eq!((read, &buf[..]), (wanted.len(), wanted), "{name}");
        }
        let whole = vec![0; 4096].into_boxed_slice();
        let ((), whole) = file.read_exact_at(whole, 7).await.expect("enough");
        assert_eq!(&whole[..], &bytes[7..4103], "{name}");
        let failure = file
            .read_exact_at(Vec::with_capacity(100), 399_950)
            .await
            .expect_err("too little");
        assert_eq!(failure.error.kind(), ErrorKind::UnexpectedEof, "{name}");
        assert_eq!((failure.done, failure.buf.len()), (50, 50), "{name}");
        let (read, all) = file.read_to_end_at(b"<".to_vec(), 10).await.expect("read");
        assert_eq!((read, &all[1..]), (399_990, &bytes[10..]), "{name}");
    });
}

#[test]
fn files_that_claim_to_be_empty_are_read_to_their_end() {
    on_every_variant(async |name, _| {
        for path in ["/proc/self/status", "/proc/cpuinfo"] {
            let ours = fs::read(path).await.expect("read");
            let first = |bytes: &[u8]| {
                bytes
                    .split(|&byte| byte == b'\n')
                    .next()
                    .map(<[u8]>::to_vec)
            };
            let theirs = std_fs::read(path).expect("read");
            assert_eq!(first(&ours), first(&theirs), "{name}: {path}");
            assert!(ours.len() > 100, "{name}: {path} has {} bytes", ours.len());
        }
        let sparse = fs::read("/proc/self/mem").await;
        assert!(sparse.is_err(), "{name}: address 0 is nobody's");
    });
}

#[test]
fn writes_land_where_they_are_told_and_appends_at_the_end() {
    on_every_variant(async |name, dir| {
        let (path, file) = made(dir, b"0123456789").await;
        let ((), buf) = file
            .write_all_at(b"abc".to_vec(), 3)
            .await
            .expect("written");
        assert_eq!(buf, b"abc");
        file.write_all_at(b"far", 12).await.expect("written");
        assert_eq!(
            std_fs::read(&path).expect("read"),
            b"012abc6789\0\0far",
            "{name}"
        );
        let options = OpenOptions::new().append(true);
        let log = options.open(&path).await.expect("opened");
        let refused = log
            .write_at(b"no".to_vec(), 0)
            .await
            .expect_err("no offsets");
        assert_eq!(refused.error.kind(), ErrorKind::InvalidInput, "{name}");
        let other = options.open(&path).await.expect("opened");
        for _ in 0..10 {
            log.append(b"1\n".to_vec()).await.expect("appended");
            other.append(b"2\n".to_vec()).await.expect("appended");
        }
        let all = std_fs::read(&path).expect("read");
        assert_eq!(&all[15..], b"1\n2\n".repeat(10), "{name}");
        let read_only = File::open(&path).await.expect("opened");
        let refused = read_only
            .write_at(b"no".to_vec(), 0)
            .await
            .expect_err("read only");
        let plain = std_fs::File::open(&path)
            .expect("opened")
            .write_at(b"no", 0);
        assert_eq!(number::<()>(Err(refused.error)), number(plain), "{name}");
    });
}

#[test]
fn what_cannot_be_opened_says_what_the_plain_call_says() {
    on_every_variant(async |name, dir| {
        std_fs::write(dir.join("file"), "").expect("written");
        symlink("loop", dir.join("loop")).expect("linked");
        symlink("file", dir.join("link")).expect("linked");
        let long = "x".repeat(256);
        let names: [&OsStr; 7] = [
            "missing".as_ref(),
            "file/below".as_ref(),
            "loop".as_ref(),
            long.as_ref(),
            "".as_ref(),
            "nul\0byte".as_ref(),
            "missing/file".as_ref(),
        ];
        for entry in names {
            let path = if entry.is_empty() {
                PathBuf::new()
            } else {
                dir.join(entry)
            };
            let (ours, plain) = (File::open(&path).await, std_fs::File::open(&path));
            let (ours, plain) = (ours.expect_err("refused"), plain.expect_err("refused"));
            assert_eq!(ours.kind(), plain.kind(), "{name}: {path:?}");
            let (ours, plain) = (fs::metadata(&path).await, std_fs::metadata(&path));
            let (ours, plain) = (ours.expect_err("refused"), plain.expect_err("refused"));
            assert_eq!(ours.kind(), plain.kind(), "{name}: {path:?}");
        }
        let no_follow = OpenOptions::new().read(true).no_follow();
        let refused = no_follow.open(dir.join("link")).await;
        assert_eq!(number(refused), Some(40), "{name}: ELOOP");
        let again = OpenOptions::new().write(true).create_new(true);
        let refused = again.open(dir.join("file")).await.expect_err("there");
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists, "{name}");
        // A directory can be opened to be read; to read from it fails.
        let dir = File::open(dir).await.expect("opened");
        let failure = dir
            .read_at(Vec::with_capacity(8), 0)
            .await
            .expect_err("no file");
        assert_eq!(failure.error.kind(), ErrorKind::IsADirectory, "{name}");
    });
}

#[test]
fn options_of_the_system_are_passed_on() {
    on_every_variant(async |name, dir| {
        let private = OpenOptions::new().write(true).create_new(true).mode(0o600);
        let file = private.open(dir.join("private")).await.expect("made");
        let mode = std_fs::metadata(dir.join("private")).expect("there").mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        file.close().await.expect("closed");
        let unnamed = OpenOptions::new().read(true).write(true).unnamed();
        let file = unnamed.open(dir).await.expect("made");
        file.write_all_at(b"nobody sees it", 0)
            .await
            .expect("written");
        assert_eq!(file.metadata().await.expect("known").nlink(), 0, "{name}");
        let durable = OpenOptions::new().write(true).data_sync();
        let file = durable.open(dir.join("private")).await.expect("opened");
        file.write_all_at(b"kept", 0).await.expect("written");
        let flags = rustix::fs::fcntl_getfl(&file).expect("known");
        assert!(flags.contains(rustix::fs::OFlags::DSYNC), "{name}");
        // What is opened in place has no flag that the plain call would not have set.
        let file = File::open(dir.join("private")).await.expect("opened");
        let plain = std_fs::File::open(dir.join("private")).expect("opened");
        let flags = rustix::fs::fcntl_getfl(&file).expect("known");
        assert_eq!(
            flags,
            rustix::fs::fcntl_getfl(&plain).expect("known"),
            "{name}"
        );
        let inherited = rustix::io::fcntl_getfd(&file).expect("known");
        assert!(inherited.contains(rustix::io::FdFlags::CLOEXEC), "{name}");
    });
}

#[test]
fn metadata_is_what_the_standard_library_says() {
    on_every_variant(async |name, dir| {
        let (path, file) = made(dir, &[1; 5000]).await;
        symlink("file", dir.join("link")).expect("linked");
        rustix::fs::mknodat(
            CWD,
            dir.join("fifo"),
            rustix::fs::FileType::Fifo,
            0o640.into(),
            0,
        )
        .expect("made");
        let looks = [
            path.clone(),
            dir.to_owned(),
            dir.join("fifo"),
            dir.join("link"),
            "/dev/null".into(),
            "/proc/self/stat".into(),
        ];
        for path in looks {
            let ours = fs::metadata(&path).await.expect("there");
            let theirs = std_fs::metadata(&path).expect("there");
            let numbers = [
                (ours.len(), theirs.len()),
                (ours.dev(), theirs.dev()),
                (ours.ino(), theirs.ino()),
                (ours.nlink(), theirs.nlink()),
                (ours.rdev(), theirs.rdev()),
                (ours.mode().into(), theirs.mode().into()),
                (ours.uid().into(), theirs.uid().into()),
                (ours.gid().into(), theirs.gid().into()),
                (ours.block_size(), theirs.blksize()),
                (ours.allocated(), theirs.blocks() * 512),
            ];
            for (index, (ours, theirs)) in numbers.into_iter().enumerate() {
                assert_eq!(ours, theirs, "{name}: number {index} of {path:?}");
            }
            assert_eq!(ours.permissions(), theirs.permissions(), "{name}");
            assert_eq!(ours.is_dir(), theirs.is_dir(), "{name}");
            assert_eq!(ours.is_file(), theirs.is_file(), "{name}");
            // Files of /proc have the time at which they are looked at.
            if !path.starts_with("/proc") {
                assert_eq!(ours.modified().ok(), theirs.modified().ok(), "{name}");
                assert_eq!(
                    ours.created().ok(),
                    theirs.created().ok(),
                    "{name}: {path:?}"
                );
            }
        }
        assert_eq!(
            fs::metadata(dir.join("fifo"))
                .await
                .expect("there")
                .file_type(),
            FileType::Fifo
        );
        let there = file.metadata().await.expect("known");
        // Some file systems say nothing of it.
        let flags = StatxFlags::DIOALIGN;
        let plain = statx(CWD, &path, AtFlags::empty(), flags).expect("there");
        let plain = (plain.stx_dio_mem_align, plain.stx_dio_offset_align);
        let align = there.direct_alignment();
        let align = align.map_or((0, 0), |align| (align.memory_bytes, align.offset_bytes));
        assert_eq!(align, plain, "{name}");
        assert_eq!(there.attributes().is_immutable(), Some(false), "{name}");
        assert!(there.mount_id().is_some(), "{name}");
    });
}

#[test]
fn permissions_times_and_attributes_are_set() {
    on_every_variant(async |name, dir| {
        let (path, file) = made(dir, b"x").await;
        file.set_permissions(Permissions::from_mode(0o640))
            .await
            .expect("set");
        let before = SystemTime::UNIX_EPOCH - Duration::new(86_400, 5);
        let after = SystemTime::UNIX_EPOCH + Duration::new(4_000_000_000, 123_456_789);
        let times = FileTimes::new().set_accessed(before).set_modified(after);
        file.set_times(times).await.expect("set");
        let there = std_fs::metadata(&path).expect("there");
        assert_eq!(there.mode() & 0o7777, 0o640, "{name}");
        assert_eq!(there.modified().ok(), Some(after), "{name}");
        let ours = file.metadata().await.expect("known");
        assert_eq!(ours.accessed().ok(), Some(before), "{name}");
        assert_eq!(ours.modified().ok(), Some(after), "{name}");

        assert_eq!(
            file.xattr("user.none").await.expect("known"),
            None,
            "{name}"
        );
        let large = vec![7_u8; 3000];
        file.set_xattr("user.small", b"1".to_vec())
            .await
            .expect("set");
        file.set_xattr("user.large", large.clone())
            .await
            .expect("set");
        let mut names = file.xattr_names().await.expect("known");
        names.retain(|name| name.as_encoded_bytes().starts_with(b"user."));
        names.sort();
        assert_eq!(names, ["user.large", "user.small"], "{name}");
        let value = file.xattr("user.large").await.expect("known");
        assert_eq!(value, Some(large), "{name}");
        file.remove_xattr("user.large").await.expect("removed");
        let gone = file.remove_xattr("user.large").await;
        assert_eq!(number(gone), Some(61), "{name}: ENODATA");
    });
}

#[test]
fn space_is_set_aside_and_given_back() {
    on_every_variant(async |name, dir| {
        let (path, file) = made(dir, &[9; 65_536]).await;
        file.sync_all().await.expect("durable");
        file.punch_hole(8192, 16_384).await.expect("ext4 can");
        let bytes = std_fs::read(&path).expect("read");
        assert!(bytes[8192..24_576].iter().all(|&byte| byte == 0), "{name}");
        assert!(bytes[24_576..].iter().all(|&byte| byte == 9), "{name}");
        assert_eq!(
            file.seek_hole(0).await.expect("known"),
            Some(8192),
            "{name}"
        );
        assert_eq!(
            file.seek_data(8192).await.expect("known"),
            Some(24_576),
            "{name}"
        );
        assert_eq!(
            file.seek_hole(24_576).await.expect("known"),
            Some(65_536),
            "{name}"
        );
        assert_eq!(file.seek_data(65_536).await.expect("known"), None, "{name}");
        file.set_len(100_000).await.expect("cut");
        assert_eq!(
            std_fs::metadata(&path).expect("there").len(),
            100_000,
            "{name}"
        );
        let before = file.metadata().await.expect("known").allocated();
        file.allocate(131_072, 1 << 20)
            .await
            .expect("there is space");
        let there = file.metadata().await.expect("known");
        assert!(there.allocated() >= before + (1 << 20), "{name}");
        assert_eq!(there.len(), 100_000, "{name}: the length stays");
        for advice in [Advice::Sequential, Advice::WillNeed, Advice::DontNeed] {
            file.advise(0, 0, advice).await.expect("heard");
        }
        file.sync_data().await.expect("durable");
        file.sync_range(0, 65_536).await.expect("written out");
    });
}

#[test]
fn ranges_are_copied_inside_the_kernel() {
    on_every_variant(async |name, dir| {
        let bytes: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        let (_, from) = made(dir, &bytes).await;
        let to = OpenOptions::new().read(true).write(true).create(true);
        let to = to.open(dir.join("copy")).await.expect("made");
        let mut done = 0;
        loop {
            let copied = from
                .copy_range(done, &to, done + 5, u64::MAX)
                .await
                .expect("copied");
            if copied == 0 {
                break;
            }
            done += copied;
        }
        assert_eq!(done, 200_000, "{name}");
        let copy = std_fs::read(dir.join("copy")).expect("read");
        assert_eq!(
            (&copy[..5], &copy[5..]),
            (&[0; 5][..], &bytes[..]),
            "{name}"
        );
        // Not all file systems share blocks.
        to.set_len(0).await.expect("cut");
        let plain = std_fs::File::create(dir.join("plain")).expect("made");
        let original = std_fs::File::open(dir.join("file")).expect("there");
        match (to.reflink_from(&from).await, ioctl_ficlone(plain, original)) {
            (Ok(()), Ok(())) => {
                assert_eq!(std_fs::read(dir.join("copy")).expect("read"), bytes);
            }
            (ours, plain) => assert_eq!(number(ours), number(plain.map_err(io::Error::from))),
        }
    });
}

#[test]
fn locks_exclude_each_other_and_who_waits_gets_one() {
    on_every_variant(async |name, dir| {
        let (path, first) = made(dir, b"").await;
        let second = File::open(&path).await.expect("opened");
        first.lock(LockKind::Shared).await.expect("locked");
        assert!(
            second.try_lock(LockKind::Shared).await.expect("asked"),
            "{name}"
        );
        assert!(
            !first.try_lock(LockKind::Exclusive).await.expect("asked"),
            "{name}"
        );
        // An attempt to exchange a lock gives the old one up, as the system says.
        second.unlock().await.expect("unlocked");
        first.lock(LockKind::Exclusive).await.expect("locked");
        assert!(
            !second.try_lock(LockKind::Shared).await.expect("asked"),
            "{name}"
        );
        let waiting =
            annulet::spawn(async move { second.lock(LockKind::Exclusive).await.map(|()| second) });
        annulet::yield_now().await;
        assert!(!waiting.is_finished(), "{name}");
        first.unlock().await.expect("unlocked");
        let second = waiting.await.expect("no panic").expect("locked");
        assert!(
            !first.try_lock(LockKind::Shared).await.expect("asked"),
            "{name}"
        );
        second.close().await.expect("closed");
        assert!(
            first.try_lock(LockKind::Shared).await.expect("asked"),
            "{name}"
        );
    });
}

#[test]
fn vectored_reads_and_writes_go_through_several_buffers() {
    on_every_variant(async |name, dir| {
        let (path, file) = made(dir, b"").await;
        let parts = vec![b"one".to_vec(), Vec::new(), b"three".to_vec()];
        let (written, parts) = file.write_vectored_at(parts, 2).await.expect("written");
        assert_eq!((written, parts.len()), (8, 3), "{name}");
        assert_eq!(
            std_fs::read(&path).expect("read"),
            b"\0\0onethree",
            "{name}"
        );
        let space = vec![Vec::with_capacity(4), Vec::with_capacity(100)];
        let (read, space) = file.read_vectored_at(space, 1).await.expect("read");
        assert_eq!(read, 9, "{name}");
        assert_eq!(space, [b"\0one".to_vec(), b"three".to_vec()], "{name}");
        // More than the system takes in one call.
        let many: Vec<Vec<u8>> = (0..1500_u32)
            .map(|part| part.to_le_bytes().to_vec())
            .collect();
        let ((), many) = file.write_all_vectored_at(many, 0).await.expect("written");
        assert_eq!(std_fs::read(&path).expect("read"), many.concat(), "{name}");
    });
}

#[test]
fn a_full_file_system_gives_the_buffer_back_with_what_was_written() {
    on_every_variant(async |name, _| {
        let full = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .await
            .expect("opened");
        let failure = full.write_all_at(vec![1; 100], 0).await.expect_err("full");
        assert_eq!(failure.error.kind(), ErrorKind::StorageFull, "{name}");
        assert_eq!((failure.buf.len(), failure.done), (100, 0), "{name}");
        let failure = full.append(b"x".to_vec()).await.expect_err("full");
        assert_eq!(failure.error.kind(), ErrorKind::StorageFull, "{name}");
    });
}

#[test]
fn clones_and_what_becomes_standard_again_are_the_same_file() {
    on_every_variant(async |name, dir| {
        let (path, file) = made(dir, b"same").await;
        let clone = file.try_clone().expect("there is room");
        file.close().await.expect("closed");
        clone.write_all_at(b"S", 0).await.expect("written");
        let mut std = clone.into_std().await;
        let mut said = String::new();
        std.read_to_string(&mut said).expect("read");
        assert_eq!(said, "Same", "{name}");
        std.write_all(b"!").expect("written");
        let file = File::from_std(std);
        assert_eq!(file.metadata().await.expect("known").len(), 5, "{name}");
        assert_eq!(fs::read(&path).await.expect("read"), b"Same!", "{name}");
    });
}

#[test]
fn what_has_no_offsets_is_read_as_it_comes_and_holds_up_nobody() {
    on_every_variant(async |name, dir| {
        let path = dir.join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("made");
        // Opening waits for the other end, and so does reading; meanwhile others have their turns.
        let reader = annulet::spawn({
            let path = path.clone();
            async move {
                let file = File::open(&path).await?;
                let (read, buf) = file.read_at(Vec::with_capacity(8), 0).await?;
                let (end, _) = file.read_at(Vec::with_capacity(8), 0).await?;
                Ok::<_, io::Error>((read, buf, end))
            }
        });
        for _ in 0..100 {
            annulet::yield_now().await;
        }
        assert!(!reader.is_finished(), "{name}");
        let writer = OpenOptions::new()
            .write(true)
            .open(&path)
            .await
            .expect("opened");
        for _ in 0..100 {
            annulet::yield_now().await;
        }
        assert!(!reader.is_finished(), "{name}");
        writer
            .write_all_at(b"it came".to_vec(), 0)
            .await
            .expect("written");
        writer.close().await.expect("closed");
        let (read, buf, end) = reader.await.expect("no panic").expect("read");
        assert_eq!((read, &buf[..], end), (7, &b"it came"[..], 0), "{name}");

        // A terminal that nobody types at.
        let controller = nix::pty::posix_openpt(nix::fcntl::OFlag::O_RDWR).expect("a terminal");
        nix::pty::grantpt(&controller).expect("granted");
        nix::pty::unlockpt(&controller).expect("unlocked");
        let side = nix::pty::ptsname_r(&controller).expect("named");
        let options = std_fs::OpenOptions::new().read(true).write(true).open(side);
        let terminal = File::from_std(options.expect("opened"));
        let typed = annulet::spawn(async move {
            let (read, buf) = terminal.read_at(Vec::with_capacity(16), 0).await?;
            Ok::<_, io::Error>((read, buf))
        });
        for _ in 0..100 {
            annulet::yield_now().await;
        }
        assert!(!typed.is_finished(), "{name}");
        (&controller).write_all(b"yes\n").expect("typed");
        let (read, buf) = typed.await.expect("no panic").expect("read");
        assert_eq!((read, &buf[..]), (4, &b"yes\n"[..]), "{name}");
    });
}

/// Whether this process has a file open that has this name, or had it.
fn is_open(path: &Path) -> bool {
    let gone = PathBuf::from(format!("{} (deleted)", path.display()));
    let entries = std_fs::read_dir("/proc/self/fd").expect("listed");
    let mut open = entries.filter_map(|entry| std_fs::read_link(entry.ok()?.path()).ok());
    open.any(|open| open == gone || open == path)
}

#[test]
fn what_takes_long_to_close_is_closed_on_the_pool() {
    for variant in variants() {
        let pool = PoolConfig {
            threads_max: 1,
            ..PoolConfig::default()
        };
        let dir = tempfile::tempdir_in(".").expect("a directory on a disk");
        let dir = dir.path().canonicalize().expect("there");
        let runtime = variant.builder().pool(pool).build().expect("a runtime");
        let name = &variant.name;
        runtime.block_on(async {
            for (bytes, stays_named, on_pool) in [
                (8 << 20, false, true),
                (4096, false, false),
                (8 << 20, true, false),
            ] {
                let (path, file) = made(&dir, &vec![1; bytes]).await;
                // So that it is known how many blocks there are.
                file.sync_all().await.expect("durable");
                if !stays_named {
                    std_fs::remove_file(&path).expect("removed");
                }
                // The only thread has something else to do.
                let (free, freed) = std::sync::mpsc::channel();
                let (begins, begun) = std::sync::mpsc::channel();
                let busy = annulet::spawn_blocking(move || {
                    begins.send(()).expect("awaited");
                    let _told: Result<(), _> = freed.recv();
                });
                begun.recv().expect("it runs");
                drop(file);
                assert_eq!(is_open(&path), on_pool, "{name}: {bytes}");
                free.send(()).expect("it waits");
                busy.await.expect("no panic");
                annulet::spawn_blocking(|| ()).await.expect("no panic");
                assert!(!is_open(&path), "{name}: {bytes}");
            }
        });
    }
}

#[test]
fn a_file_that_was_opened_to_append_elsewhere_has_no_offsets_to_write_at() {
    on_every_variant(async |name, dir| {
        let path = dir.join("file");
        let append = std_fs::File::options()
            .append(true)
            .create(true)
            .open(&path);
        let log = File::from_std(append.expect("made"));
        let refused = log.write_at(b"no".to_vec(), 0).await.expect_err("refused");
        assert_eq!(refused.error.kind(), ErrorKind::InvalidInput, "{name}");
        log.append(b"yes".to_vec()).await.expect("appended");
        assert_eq!(std_fs::read(&path).expect("read"), b"yes", "{name}");
    });
}

#[test]
fn all_this_holds_on_other_file_systems() {
    let grounds = [ground::XFS, ground::BTRFS, ground::EXT4, ground::TMPFS];
    ground::others("all_this_holds_on_other_file_systems", &grounds, &[]);
}
