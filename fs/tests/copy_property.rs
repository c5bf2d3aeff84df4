//! Random trees, copied with everything kept, against `cp -a` and against the original.
//!
//! A tree is a list of steps, each of which makes one name in one of the directories made before:
//! a directory, a file of some shape, another name of a file, a link, a FIFO. Then each name gets
//! owner, attributes, mode and times. What the copy has must be what `cp -a` has, line by line.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "ground/mod.rs"]
mod ground;
#[path = "copy_support/mod.rs"]
mod support;
#[path = "copy_support/tree.rs"]
mod tree;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use annulet_fs::copy::{Options, Preserve};
use annulet_runtime::{Builder, Choice};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, chmod, lsetxattr, mknodat,
    utimensat,
};

use support::{copy, pattern};
use tree::{Look, assert_alike, name};

#[derive(Clone, Debug)]
enum Thing {
    Directory,
    File(Vec<Piece>),
    Link(Vec<u8>),
    /// Another name of one made before.
    HardLink(usize),
    Fifo,
}

/// Data or a hole.
#[derive(Clone, Debug)]
struct Piece {
    is_hole: bool,
    bytes: usize,
    seed: u8,
}

#[derive(Clone, Debug)]
struct Node {
    inside: usize,
    name: Vec<u8>,
    thing: Thing,
    mode: u16,
    owner: (u16, u16),
    seconds: i64,
    nanos: u32,
    attributes: Vec<(u8, u16)>,
    list: bool,
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no name has it", |byte| *byte != 0 && *byte != b'/');
    let short = vec(byte.clone(), 1..12);
    let long = byte.prop_map(|byte| vec![byte; 255]);
    let plain = vec(b'a'..=b'e', 1..3);
    let odd = prop_oneof![
        proptest::strategy::Just(b"a\nb".to_vec()),
        proptest::strategy::Just(b"-r".to_vec()),
        proptest::strategy::Just(b"\xff\xfe".to_vec()),
        proptest::strategy::Just(b" ".to_vec()),
        proptest::strategy::Just(b"...".to_vec()),
    ];
    prop_oneof![4 => plain, 2 => short, 1 => long, 2 => odd]
        .prop_filter("they name the directory itself", |name| {
            name != b"." && name != b".."
        })
}

fn any_thing() -> impl Strategy<Value = Thing> {
    let bytes = prop_oneof![
        0..100_usize,
        4090..4100_usize,
        proptest::strategy::Just(65_536_usize),
        130_000..140_000_usize,
        1_000_000..1_100_000_usize,
    ];
    // Holes of less than a few blocks are not told from the blocks of attributes.
    let hole = prop_oneof![
        proptest::strategy::Just(65_536_usize),
        100_000..200_000_usize,
        2_000_000..3_000_000_usize,
    ];
    let hole = hole.prop_map(|bytes| Piece {
        is_hole: true,
        bytes,
        seed: 0,
    });
    let data = (bytes, any::<u8>()).prop_map(|(bytes, seed)| Piece {
        is_hole: false,
        bytes,
        seed,
    });
    let piece = prop_oneof![hole, data];
    prop_oneof![
        3 => proptest::strategy::Just(Thing::Directory),
        4 => vec(piece, 0..4).prop_map(Thing::File),
        1 => vec(1..=255_u8, 1..300).prop_map(Thing::Link),
        2 => any::<usize>().prop_map(Thing::HardLink),
        1 => proptest::strategy::Just(Thing::Fifo),
    ]
}

fn any_node() -> impl Strategy<Value = Node> {
    let attributes = vec((0..4_u8, prop_oneof![0..40_u16, 500..800_u16]), 0..3);
    let what = (any::<usize>(), any_name(), any_thing());
    let kept = (
        0..0o10000_u16,
        (0..3_u16, 0..3_u16),
        -3_000_000_000..12_000_000_000_i64,
        0..1_000_000_000_u32,
        attributes,
        any::<bool>(),
    );
    (what, kept).prop_map(|((inside, name, thing), kept)| {
        let (mode, owner, seconds, nanos, attributes, list) = kept;
        Node {
            inside,
            name,
            thing,
            mode,
            owner,
            seconds,
            nanos,
            attributes,
            list,
        }
    })
}

/// Makes the tree. Names that are taken are left out.
fn make(root: &Path, nodes: &[Node]) {
    fs::create_dir(root).expect("made");
    let mut folders = vec![root.to_owned()];
    let mut others: Vec<PathBuf> = Vec::new();
    let mut made: Vec<(PathBuf, &Node)> = Vec::new();
    for node in nodes {
        let path = folders[node.inside % folders.len()].join(name(&node.name));
        if fs::symlink_metadata(&path).is_ok() || path.as_os_str().len() > 3000 {
            continue;
        }
        match &node.thing {
            Thing::Directory => {
                fs::create_dir(&path).expect("made");
                folders.push(path.clone());
            }
            Thing::File(pieces) => write(&path, pieces),
            Thing::Link(target) => symlink(name(target), &path).expect("linked"),
            Thing::HardLink(_) if others.is_empty() => continue,
            Thing::HardLink(which) => {
                fs::hard_link(&others[which % others.len()], &path).expect("linked");
            }
            Thing::Fifo => {
                mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).expect("made");
            }
        }
        if !matches!(node.thing, Thing::Directory) {
            others.push(path.clone());
        }
        made.push((path, node));
    }
    // The last first: so the time of a directory is set after those of what is in it.
    for (path, node) in made.iter().rev() {
        dress(path, node);
    }
}

fn write(path: &Path, pieces: &[Piece]) {
    let file = File::create_new(path).expect("made");
    let mut at = 0_u64;
    for piece in pieces {
        if !piece.is_hole {
            let mut data = pattern(piece.bytes);
            data.iter_mut().for_each(|byte| *byte ^= piece.seed);
            file.write_all_at(&data, at).expect("written");
        }
        at += piece.bytes as u64;
    }
    file.set_len(at).expect("a length");
}

fn dress(path: &Path, node: &Node) {
    let (user, group) = (u32::from(node.owner.0), u32::from(node.owner.1));
    std::os::unix::fs::lchown(path, Some(user), Some(group)).expect("given away");
    let metadata = fs::symlink_metadata(path).expect("there");
    if !metadata.is_symlink() {
        chmod(path, Mode::from_raw_mode(u32::from(node.mode))).expect("a mode");
        let named = metadata.is_dir() || metadata.is_file();
        for (kind, bytes) in node.attributes.iter().filter(|_| named) {
            let attribute =
                ["user.a", "user.b", "trusted.c", "user.long-name.d"][usize::from(*kind)];
            let value = vec![*kind; usize::from(*bytes)];
            lsetxattr(path, attribute, &value, XattrFlags::empty()).expect("an attribute");
        }
        if node.list && named {
            lsetxattr(
                path,
                "system.posix_acl_access",
                &list(),
                XattrFlags::empty(),
            )
            .expect("a list");
        }
        if node.list && metadata.is_dir() && node.nanos.is_multiple_of(2) {
            lsetxattr(
                path,
                "system.posix_acl_default",
                &list(),
                XattrFlags::empty(),
            )
            .expect("a list");
        }
    }
    let time = Timespec {
        tv_sec: node.seconds,
        tv_nsec: node.nanos.into(),
    };
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: node.seconds / 2,
            ..time
        },
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("times");
}

/// An access control list as the kernel stores it: one more user than the mode has.
fn list() -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    let nobody = u32::MAX;
    let entries = [
        (1, 7, nobody),
        (2, 5, 4242),
        (4, 4, nobody),
        (0x10, 5, nobody),
        (0x20, 0, nobody),
    ];
    for (tag, rights, who) in entries {
        let (tag, rights, who): (u16, u16, u32) = (tag, rights, who);
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(who.to_le_bytes());
    }
    bytes
}

#[test]
fn a_copy_that_keeps_everything_is_what_cp_makes() {
    let probe = tempfile::tempdir().expect("a directory");
    if chown(probe.path(), Some(1), Some(1)).is_err() {
        println!(
            "SKIP a_copy_that_keeps_everything_is_what_cp_makes: no privilege to give files away"
        );
        return;
    }
    let seed: [u8; 32] = std::env::var("COPY_SEED").map_or_else(
        |_| {
            let now = std::time::SystemTime::now();
            let since = now
                .duration_since(std::time::UNIX_EPOCH)
                .expect("after 1970");
            let mut seed = [0; 32];
            seed[..16].copy_from_slice(&since.as_nanos().to_le_bytes());
            seed
        },
        |text| {
            let mut seed = [0; 32];
            seed[..16].copy_from_slice(&text.parse::<u128>().expect("a number").to_le_bytes());
            seed
        },
    );
    println!(
        "COPY_SEED={}",
        u128::from_le_bytes(seed[..16].try_into().expect("16 bytes"))
    );
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let ran = runner.run(&vec(any_node(), 0..40), |nodes| {
        compare(&nodes);
        Ok(())
    });
    ran.expect("all alike");
}

fn compare(nodes: &[Node]) {
    let folder = tempfile::tempdir().expect("a directory");
    let at = |name: &str| folder.path().join(name);
    make(&at("from"), nodes);
    let by_cp = Command::new("cp")
        .arg("-a")
        .arg(at("from"))
        .arg(at("by-cp"))
        .status();
    assert!(by_cp.expect("cp runs").success());
    let look = Look {
        accessed: false,
        holes: true,
    };
    let original = Look {
        holes: !ground::is("xfs"),
        ..look
    };
    for (choice, to) in [(Choice::Auto, "by-ring"), (Choice::Poll, "by-poll")] {
        let runtime = Builder::new().driver(choice).build().expect("a runtime");
        let mut options = Options::new();
        options.preserve = Preserve::ALL;
        let done = copy(&runtime, options, &at("from"), &at(to));
        assert_eq!((done.failures, done.warnings), (0, 0));
        assert_alike(&at("by-cp"), &at(to), look);
        assert_alike(&at("from"), &at(to), original);
    }
}

#[test]
fn all_this_holds_on_other_file_systems() {
    let grounds = [ground::XFS, ground::BTRFS];
    ground::others("all_this_holds_on_other_file_systems", &grounds, &[]);
}
