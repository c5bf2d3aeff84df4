//! Answers that no right kernel gives: more than was asked for, buffers that do not exist, names of
//! slots that were never given out. Nobody is to believe them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use super::support::{BUFFER_BYTES, BUFFERS, Rig};
use crate::driver::slots::{Delivered, Slots};
use crate::driver::uring::sim::random::Random;
use crate::driver::{Completion, SlotId};
use crate::op::{Op, OpCode, ReadAt, Recv, RecvMulti, Spill};

const MORE: Completion = Completion {
    result: 17,
    flags: 0,
};

fn refuses<T>(answer: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(answer)).is_err()
}

#[test]
fn more_bytes_than_the_buffer_has_are_not_believed() {
    let rig = Rig::calm();
    let (socket, file) = (rig.stream(3), rig.file(4, 100));
    let spill = Rc::<Spill>::default();
    let recv = Recv::new(&socket, rig.buffer(16), &spill);
    assert!(refuses(|| recv.complete(MORE)));
    let read = ReadAt::new(&file, rig.buffer(16), 0, 0, false);
    assert!(refuses(|| read.complete(MORE)));
    let read = ReadAt::new(&file, rig.buffer(20), 10, 0, false);
    assert!(refuses(|| read.complete(MORE)), "behind what it holds");

    // With nobody waiting, what fits is kept for the next.
    Recv::new(&socket, rig.buffer(16), &spill).orphan(MORE);
    assert_eq!(spill.take(&mut [0; 64]), 16);
    assert_eq!(rig.memory.buffers(), 0);
    drop((socket, file));
    rig.shut_down();
}

#[test]
fn provided_buffers_that_do_not_exist_are_not_believed() {
    const BUFFER: u32 = 1;
    let rig = Rig::calm();
    let socket = rig.stream(3);
    let answer = |id: u16, result: u32| {
        RecvMulti::new(&socket).complete(Completion {
            result: isize::try_from(result).unwrap(),
            flags: BUFFER | (u32::from(id) << 16),
        })
    };
    assert!(refuses(|| answer(BUFFERS, 1)));
    assert!(refuses(|| answer(0, BUFFER_BYTES + 1)));
    drop(socket);
    // The buffers count as taken by whoever told lies, so the driver is not asked to account for
    // them.
    drop(rig);
}

#[test]
fn a_name_that_no_slot_has_reaches_nobody() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    let spill = Rc::<Spill>::default();
    let mut op = Op::new(&rig.driver, Recv::new(&socket, rig.buffer(16), &spill));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut op).poll(&mut cx).is_pending());
    let mut random = Random::new(7);
    let slots = Slots::new();
    for _ in 0..10_000 {
        let id = SlotId::from_bits(random.next());
        assert!(matches!(slots.deliver(id, MORE, false), Delivered::Stale));
        assert!(matches!(slots.deliver(id, MORE, true), Delivered::Stale));
        slots.finish(id, MORE);
        rig.driver.cancel(id);
    }
    assert_eq!(slots.live(), 0);
    drop((op, socket));
    rig.shut_down();
}
