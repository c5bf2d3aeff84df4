//! A file against a model of one: whatever is written, cut, punched and read in whatever order, it
//! holds what a vector of bytes would hold.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../fs/tests/ground/mod.rs"]
mod ground;

use annulet::fs::{File, OpenOptions};
use annulet::{Builder, Choice, Runtime};
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, TestCaseError};
use proptest::{collection, prop_assert, prop_assert_eq, prop_oneof, proptest};

/// Offsets reach this far.
const REACH: u64 = 40_000;

#[derive(Clone, Debug)]
enum Step {
    Write { at: u64, byte: u8, len: usize },
    WriteParts { at: u64, byte: u8, lens: Vec<usize> },
    Read { at: u64, room: usize },
    ReadParts { at: u64, rooms: Vec<usize> },
    ReadToEnd { at: u64 },
    Cut { len: u64 },
    Punch { at: u64, len: u64 },
    Allocate { at: u64, len: u64 },
    CopyRange { from: u64, to: u64, len: u64 },
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    let lens = || collection::vec(0_usize..3000, 0..6);
    prop_oneof![
        4 => (0..REACH, any::<u8>(), 0_usize..9000)
            .prop_map(|(at, byte, len)| Step::Write { at, byte, len }),
        2 => (0..REACH, any::<u8>(), lens())
            .prop_map(|(at, byte, lens)| Step::WriteParts { at, byte, lens }),
        4 => (0..REACH, 1_usize..9000).prop_map(|(at, room)| Step::Read { at, room }),
        2 => (0..REACH, lens()).prop_map(|(at, rooms)| Step::ReadParts { at, rooms }),
        1 => (0..REACH).prop_map(|at| Step::ReadToEnd { at }),
        1 => (0..REACH).prop_map(|len| Step::Cut { len }),
        1 => (0..REACH, 1..REACH).prop_map(|(at, len)| Step::Punch { at, len }),
        1 => (0..REACH, 1..REACH).prop_map(|(at, len)| Step::Allocate { at, len }),
        1 => (0..REACH, 0..REACH, 0..REACH)
            .prop_map(|(from, to, len)| Step::CopyRange { from, to, len }),
        1 => proptest::strategy::Just(Step::Sync),
    ]
}

/// What a file would be.
#[derive(Default)]
struct Model(Vec<u8>);

impl Model {
    fn write(&mut self, at: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let at = usize::try_from(at).expect("small");
        let end = at + bytes.len();
        self.0.resize(self.0.len().max(end), 0);
        self.0[at..end].copy_from_slice(bytes);
    }

    fn read(&self, at: u64, room: usize) -> &[u8] {
        let at = usize::try_from(at).expect("small").min(self.0.len());
        &self.0[at..self.0.len().min(at + room)]
    }

    /// Whether a read may have found this: as much as there was room for, or less, but something.
    fn begins(&self, at: u64, room: usize, found: &[u8]) -> bool {
        let there = self.read(at, room);
        there.starts_with(found) && (there.is_empty() || !found.is_empty())
    }

    fn punch(&mut self, at: u64, len: u64) {
        let end = usize::try_from(at + len).expect("small").min(self.0.len());
        let at = usize::try_from(at).expect("small").min(end);
        self.0[at..end].fill(0);
    }
}

async fn run(file: &File, model: &mut Model, step: &Step) -> Result<(), TestCaseError> {
    match step.clone() {
        Step::Write { at, byte, len } => {
            file.write_all_at(vec![byte; len], at)
                .await
                .expect("written");
            model.write(at, &vec![byte; len]);
        }
        Step::WriteParts { at, byte, lens } => {
            let parts: Vec<Vec<u8>> = lens.iter().map(|&len| vec![byte; len]).collect();
            let ((), parts) = file
                .write_all_vectored_at(parts, at)
                .await
                .expect("written");
            model.write(at, &parts.concat());
        }
        Step::Read { at, room } => {
            let (read, buf) = file
                .read_at(Vec::with_capacity(room), at)
                .await
                .expect("read");
            prop_assert_eq!(read, buf.len());
            prop_assert!(model.begins(at, room, &buf));
        }
        Step::ReadParts { at, rooms } => {
            let space: Vec<Vec<u8>> = rooms.iter().map(|&room| Vec::with_capacity(room)).collect();
            let room: usize = space.iter().map(Vec::capacity).sum();
            match file.read_vectored_at(space, at).await {
                Ok((read, parts)) => {
                    let bytes = parts.concat();
                    prop_assert_eq!(read, bytes.len());
                    prop_assert!(model.begins(at, room, &bytes));
                }
                Err(failure) => prop_assert_eq!((room, failure.buf.len()), (0, rooms.len())),
            }
        }
        Step::ReadToEnd { at } => {
            let (_, bytes) = file.read_to_end_at(Vec::new(), at).await.expect("read");
            prop_assert!(bytes == model.read(at, usize::MAX / 2));
        }
        Step::Cut { len } => {
            file.set_len(len).await.expect("cut");
            model.0.resize(usize::try_from(len).expect("small"), 0);
        }
        Step::Punch { at, len } => {
            file.punch_hole(at, len).await.expect("punched");
            model.punch(at, len);
        }
        Step::Allocate { at, len } => file.allocate(at, len).await.expect("there is space"),
        Step::CopyRange { from, to, len } => {
            let copied = file.copy_range(from, file, to, len).await;
            let overlaps = from < to + len && to < from + len;
            if let Ok(copied) = copied {
                let room = usize::try_from(copied).expect("small");
                let bytes = model.read(from, room).to_vec();
                prop_assert_eq!(bytes.len(), room);
                model.write(to, &bytes);
            } else {
                assert!(overlaps, "only within itself it is refused: {copied:?}");
            }
        }
        Step::Sync => file.sync_data().await.expect("durable"),
    }
    Ok(())
}

fn holds(runtime: &Runtime, steps: &[Step]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir_in(".").expect("a directory on a disk");
    runtime.block_on(async {
        let options = OpenOptions::new().read(true).write(true).create(true);
        let file = options.open(dir.path().join("file")).await.expect("made");
        let mut model = Model::default();
        for step in steps {
            run(&file, &mut model, step).await?;
        }
        let there = file.metadata().await.expect("known");
        prop_assert_eq!(there.len(), model.0.len() as u64);
        Ok(())
    })
}

proptest! {
    #![proptest_config(Config { cases: 60, failure_persistence: None, ..Config::default() })]
    #[test]
    fn a_file_holds_what_a_vector_would(steps in collection::vec(step(), 1..40)) {
        for choice in [Choice::Auto, Choice::Poll] {
            let runtime = Builder::new().ignore_environment().driver(choice).build();
            holds(&runtime.expect("a runtime"), &steps)?;
        }
    }
}

#[test]
fn all_this_holds_on_other_file_systems() {
    let grounds = [ground::XFS, ground::BTRFS, ground::TMPFS];
    ground::others("all_this_holds_on_other_file_systems", &grounds, &[]);
}
