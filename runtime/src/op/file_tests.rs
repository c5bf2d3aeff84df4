//! Entries of files: which opcode they are, and who does them.

use std::fs::File;
use std::sync::Arc;

use io_uring::{opcode, squeue};

use super::{ReadAt, WriteAt};
use crate::buf::Registered;
use crate::driver::{Choice, Config, Driver, Feature, Mask};
use crate::op::{OpCode, Shared, WriteVectoredAt};
use crate::pool::{Pool, PoolConfig};

/// A driver on a ring without `disabled`; says so where there is none.
#[expect(clippy::print_stdout, reason = "a test says what it leaves out")]
fn ring(name: &str, disabled: Mask) -> Option<Driver> {
    let config = Config {
        choice: Choice::Uring,
        disabled,
        ..Config::default()
    };
    let driver = Driver::new(&config, Pool::new(PoolConfig::default()), Arc::default());
    driver
        .inspect_err(|error| println!("SKIP {name}: {error}"))
        .ok()
}

fn file(driver: &Driver) -> Shared<File> {
    let file = File::options().read(true).write(true).open("/dev/null");
    Shared::new(driver, file.expect("it is there"))
}

fn opcodes(driver: &Driver, buf: impl Fn() -> Registered) -> (u32, u32) {
    let file = file(driver);
    let (mut full, empty) = (buf(), buf());
    full.pad_to(1);
    let mut read = ReadAt::new(&file, empty, 0, 0, false);
    let mut write = WriteAt::new(&file, full, 0, 0);
    (read.entry().0.get_opcode(), write.entry().0.get_opcode())
}

#[test]
fn what_the_own_ring_knows_by_a_number_is_named_by_it() {
    let name = "what_the_own_ring_knows_by_a_number_is_named_by_it";
    let plain = (opcode::Read::CODE.into(), opcode::Write::CODE.into());
    let fixed = (
        opcode::ReadFixed::CODE.into(),
        opcode::WriteFixed::CODE.into(),
    );
    let without = Mask::NONE.with(Feature::RegisteredBuffers);
    let (Some(ours), Some(theirs), Some(old)) = (
        ring(name, Mask::NONE),
        ring(name, Mask::NONE),
        ring(name, without),
    ) else {
        return;
    };
    if !ours.has(Feature::RegisteredBuffers) {
        println!("SKIP {name}: this kernel registers no buffers");
        return;
    }
    assert_eq!(opcodes(&ours, || ours.registered_buffer(1)), fixed);
    assert_eq!(opcodes(&ours, || theirs.registered_buffer(1)), plain);
    assert_eq!(opcodes(&old, || old.registered_buffer(1)), plain);
    let large = (2 << 20) + 1;
    assert_eq!(opcodes(&ours, || ours.registered_buffer(large)), plain);
}

#[test]
fn a_write_set_aside_is_a_workers_from_the_start() {
    let name = "a_write_set_aside_is_a_workers_from_the_start";
    let Some(driver) = ring(name, Mask::NONE) else {
        return;
    };
    let file = file(&driver);
    for aside in [false, true] {
        let write = WriteAt::new(&file, vec![1], 0, 0).aside(aside).entry();
        let parts = WriteVectoredAt::new(&file, vec![vec![1]], 0, 0);
        let flags = if aside {
            squeue::Flags::ASYNC
        } else {
            squeue::Flags::empty()
        };
        for entry in [write, parts.aside(aside).entry()] {
            let said = format!("{:?}", entry.0);
            assert!(
                said.contains(&format!("flags: {},", flags.bits())),
                "{said}"
            );
        }
    }
}
