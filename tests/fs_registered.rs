//! Buffers that a ring knows by numbers: direct reads and writes through them do what others do, on
//! every driver, whoever's ring it is, and where a limit on locked memory stands before it.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod child;
    pub(crate) mod on_disk;
    pub(crate) mod pattern;
    pub(crate) mod variants;
}

use std::env;
use std::fs as std_fs;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::task::Poll;

use annulet::buf::Registered;
use annulet::fs::direct::DirectFile;
use annulet::{Builder, Choice, Context, DriverKind, Feature};
use support::child;
use support::on_disk::on_every_variant;
use support::pattern::pattern;
use support::variants::variants;

const PIECE: usize = 4096;
/// What a shard registers at most.
const ARENA: usize = 8 << 20;

fn buffer(bytes: usize) -> Registered {
    Context::current().driver().registered_buffer(bytes)
}

/// Whether the ring of this runtime registers buffers.
fn registers() -> bool {
    let driver = Context::current().driver().clone();
    driver.kind() == DriverKind::Uring && driver.has(Feature::RegisteredBuffers)
}

fn of(byte: u8, bytes: usize) -> Registered {
    let mut buf = buffer(bytes);
    buf.extend_from_slice(&vec![byte; bytes]);
    buf
}

#[test]
fn buffers_are_registered_where_the_ring_can_and_serve_everywhere() {
    on_every_variant(async |name, dir| {
        let file = DirectFile::create(dir.join("file")).await.expect("made");
        for (byte, bytes) in [(1, PIECE), (2, 64 * 1024), (3, 2 << 20)] {
            let written = of(byte, bytes);
            assert_eq!(written.is_registered(), registers(), "{name}: {bytes}");
            let written = file.file().write_all_at(written, 0).await;
            drop(written.expect("written"));
            // From the memory that held what was written: it must come from the file.
            let mut read = buffer(bytes);
            read.pad_to(bytes);
            assert_eq!(read.is_registered(), registers(), "{name}: {bytes}");
            let ((), read) = file.file().read_exact_at(read, 0).await.expect("read");
            assert!(*read == vec![byte; bytes], "{name}: {bytes}");
        }
        let larger = of(4, (2 << 20) + PIECE);
        assert!(!larger.is_registered(), "{name}");
        let ((), larger) = file.file().write_all_at(larger, 0).await.expect("written");
        let read = file.read_at(0, larger.len()).await.expect("read");
        assert!(*read == *larger, "{name}");
    });
}

#[test]
fn what_is_out_is_never_given_out_again_nor_unregistered() {
    on_every_variant(async |name, dir| {
        let path = dir.join("file");
        let bytes = pattern(5, 16 * PIECE);
        std_fs::write(&path, &bytes).expect("written");
        let file = DirectFile::open(&path).await.expect("there");
        let held = file.read_at(0, bytes.len()).await.expect("read");
        // All that there may be, and more.
        let mut others: Vec<_> = (0..ARENA / PIECE + 8).map(|_| of(0xee, PIECE)).collect();
        let registered = others.iter().filter(|other| other.is_registered()).count();
        let fits = ARENA / PIECE - 16;
        assert_eq!(registered, if registers() { fits } else { 0 }, "{name}");
        assert!(*held == bytes, "{name}");
        // Through one that is registered, and one that no longer is.
        for other in [others.swap_remove(0), others.pop().expect("many")] {
            let ((), read) = file.file().read_exact_at(other, 0).await.expect("read");
            assert!(*read == bytes[..PIECE], "{name}");
        }
        // Another size has its turn once these are given back.
        drop(others);
        let large = buffer(1 << 20);
        assert_eq!(large.is_registered(), registers(), "{name}");
        let (read, large) = file.file().read_at(large, 0).await.expect("read");
        assert!(read == bytes.len() && *large == bytes, "{name}");
        assert!(*held == bytes, "{name}");
    });
}

#[test]
fn a_read_that_is_given_up_keeps_its_buffer_until_it_has_ended() {
    on_every_variant(async |name, dir| {
        let path = dir.join("file");
        std_fs::write(&path, vec![0x11; 1 << 20]).expect("written");
        let file = DirectFile::open(&path).await.expect("there");
        for round in 0..16 {
            {
                let mut read = pin!(file.read_at(0, 1 << 18));
                let polled = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
                drop(polled);
            }
            let others: Vec<_> = (0..4).map(|_| of(0x22, 1 << 18)).collect();
            // Behind this one, the other has ended.
            let read = file.read_at(0, 1 << 18).await.expect("read");
            assert!(*read == [0x11; 1 << 18], "{name}: {round}");
            assert!(
                others.iter().all(|other| **other == [0x22; 1 << 18]),
                "{name}: {round}"
            );
        }
    });
}

#[test]
fn a_ring_does_not_take_a_buffer_of_another_for_its_own() {
    let dir = tempfile::tempdir_in(".").expect("a directory on a disk");
    let path = dir.path().join("file");
    std_fs::write(&path, vec![7; PIECE]).expect("written");
    for (ours, theirs) in variants().iter().zip(variants().iter().rev()) {
        let build = |builder: Builder| builder.build().expect("a runtime");
        let (ours, theirs) = (build(ours.builder()), build(theirs.builder()));
        let foreign = theirs.block_on(async { buffer(PIECE) });
        ours.block_on(async {
            // By the same number.
            let _own = buffer(PIECE);
            let file = DirectFile::open(&path).await.expect("there");
            let (read, foreign) = file.file().read_at(foreign, 0).await.expect("read");
            assert!(read == PIECE && *foreign == [7; PIECE]);
        });
    }
}

#[test]
fn what_was_read_outlives_the_runtime() {
    let dir = tempfile::tempdir_in(".").expect("a directory on a disk");
    let path = dir.path().join("file");
    let bytes = pattern(9, 100_000);
    std_fs::write(&path, &bytes).expect("written");
    for variant in variants() {
        let runtime = variant.builder().build().expect("a runtime");
        let (read, empty) = runtime.block_on(async {
            let file = DirectFile::open(&path).await.expect("there");
            (file.read_at(1, 100_000).await.expect("read"), buffer(PIECE))
        });
        drop(runtime);
        assert!(*read == bytes[1..], "{}", variant.name);
        drop((read, empty));
    }
}

/// Reads through more buffers than an ordinary user may have registered, and says how it went.
#[expect(clippy::print_stdout, reason = "the child's answer to its parent")]
fn read_as_somebody_else(path: &Path) {
    let runtime = Builder::new().build().expect("one driver or the other");
    runtime.block_on(async {
        let file = DirectFile::open(path).await.expect("there");
        let bytes = std_fs::read(path).expect("there");
        let mut registered = 0;
        let mut held = Vec::new();
        for (block, wanted) in (0_u64..).zip(bytes.chunks(PIECE)) {
            let buf = buffer(PIECE);
            registered += usize::from(buf.is_registered());
            let (_, read) = file
                .file()
                .read_at(buf, block * PIECE as u64)
                .await
                .expect("read");
            assert!(*read == *wanted);
            held.push(read);
        }
        println!(
            "{} registered {registered}",
            Context::current().driver().kind()
        );
    });
}

#[test]
fn a_limit_on_locked_memory_leaves_reads_as_they_are() {
    const NAME: &str = "a_limit_on_locked_memory_leaves_reads_as_they_are";
    const FILE: &str = "ANNULET_TEST_FILE";
    const BLOCKS: usize = 64;
    if child::part().is_some() {
        return read_as_somebody_else(Path::new(&env::var_os(FILE).expect("told")));
    }
    let ring = Builder::new()
        .ignore_environment()
        .driver(Choice::Uring)
        .build();
    let registers = ring.is_ok_and(|runtime| runtime.block_on(async { registers() }));
    let program = child::command(NAME, "limited");
    // Where everybody may read and run it.
    let dir = tempfile::Builder::new()
        .tempdir_in("/var/tmp")
        .expect("a directory");
    let (copy, path) = (dir.path().join("test"), dir.path().join("file"));
    std_fs::copy(program.get_program(), &copy).expect("copied");
    std_fs::write(&path, pattern(3, BLOCKS * PIECE)).expect("written");
    let open = Command::new("chmod")
        .arg("-R")
        .arg("a+rX")
        .arg(dir.path())
        .status();
    assert!(open.expect("it starts").success());
    for (limit_kib, may_register) in [(0, 0..=0), (64, 0..=16), (8192, BLOCKS..=BLOCKS)] {
        let output = Command::new("sh")
            .arg("-c")
            .arg(format!(
                "ulimit -l {limit_kib} && exec setpriv --reuid 65534 --regid 65534 \
                 --clear-groups --inh-caps=-all \"$0\" \"$@\""
            ))
            .arg(&copy)
            .args(program.get_args())
            .envs(
                program
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env(FILE, &path)
            .stdin(Stdio::null())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() && !said.contains("running 1 test") {
            println!("SKIP {NAME}: no privilege to become somebody else");
            return;
        }
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{limit_kib} KiB: {said}{why}");
        let (_, told) = said.split_once(" registered ").expect("it says so");
        let told: usize = told
            .lines()
            .next()
            .unwrap_or_default()
            .parse()
            .expect("a number");
        // Where even the ring is too much, the other driver reads.
        let on_ring = said.contains("uring registered");
        let wanted = if registers && on_ring {
            may_register
        } else {
            0..=0
        };
        assert!(wanted.contains(&told), "{limit_kib} KiB: {said}");
    }
}
