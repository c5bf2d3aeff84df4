//! Sleeping and waking: nobody sleeps through a completion or an unpark.

use std::time::Duration;

use super::support::{Rig, Task, everything, fd, finish};
use crate::driver::uring::sim::Faults;
use crate::driver::{Feature, Mask};
use crate::op::{Nop, Op, Recv, Spill};

fn masks() -> [Mask; 2] {
    let multishot = Mask::NONE.with(Feature::Multishot);
    [everything(), everything().without(multishot)]
}

#[test]
fn a_sleep_ends_at_its_deadline() {
    let rig = Rig::calm();
    rig.driver.park(Some(Duration::from_millis(3))).unwrap();
    rig.assert_honest();
    rig.shut_down();
}

#[test]
fn an_unpark_before_the_first_sleep_is_heard() {
    for mask in masks() {
        let rig = Rig::with(1, 8, 16, Faults::NONE, mask);
        rig.driver.unparker().unpark();
        rig.driver.park(None).unwrap();
        rig.assert_honest();
        rig.shut_down();
    }
}

#[test]
fn every_unpark_between_two_sleeps_is_heard() {
    for mask in masks() {
        let rig = Rig::with(1, 8, 16, Faults::NONE, mask);
        for _ in 0..20 {
            rig.driver.unparker().unpark();
            rig.driver.park(None).unwrap();
            rig.tick();
            rig.assert_honest();
        }
        rig.shut_down();
    }
}

#[test]
fn an_unpark_after_the_bell_was_ended_is_heard() {
    let rig = Rig::calm();
    rig.tick();
    rig.world.end_multishot_after(0);
    rig.driver.unparker().unpark();
    rig.sleep();
    rig.driver.unparker().unpark();
    rig.sleep();
    rig.assert_honest();
    rig.shut_down();
}

#[test]
fn a_shard_that_was_unparked_once_sleeps_afterwards() {
    for mask in masks() {
        let rig = Rig::with(1, 8, 16, Faults::NONE, mask);
        rig.driver.unparker().unpark();
        rig.sleep();
        // At most one more wake for nothing, then it lasts to the deadline.
        rig.driver.park(Some(Duration::from_millis(1))).unwrap();
        let enters = rig.world.enters();
        rig.driver.park(Some(Duration::from_millis(1))).unwrap();
        rig.driver.park(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(rig.world.enters() - enters, 2, "each slept once");
        rig.shut_down();
    }
}

#[test]
fn a_completion_reaped_behind_a_backlog_ends_the_sleep() {
    let rig = Rig::new(1, 2, 64, Faults::NONE);
    let socket = rig.stream(3);
    rig.tick();
    let mut nop = Task::new("nop", |stop| finish(Op::new(&rig.driver, Nop), stop));
    assert!(nop.run().is_none());
    let mut waiting: Vec<_> = (0..3)
        .map(|_| {
            let spill = std::rc::Rc::<Spill>::default();
            let op = Op::new(&rig.driver, Recv::new(&socket, rig.buffer(8), &spill));
            Task::new("recv", |stop| finish(op, stop))
        })
        .collect();
    for task in &mut waiting {
        assert!(task.run().is_none());
    }
    rig.sleep();
    assert!(nop.run().is_some(), "it completed with the first entries");
    rig.assert_honest();
    drop((nop, waiting, socket));
    rig.shut_down();
}

#[test]
fn a_message_wakes_another_ring() {
    let (near, far) = (Rig::calm(), Rig::new(2, 8, 16, Faults::NONE));
    far.tick();
    let entered = near.driver.enter();
    far.driver.unparker().unpark();
    near.tick();
    drop(entered);
    far.sleep();
    far.assert_honest();
    near.shut_down();
    far.shut_down();
}

#[test]
fn a_message_to_a_ring_that_is_gone_harms_nobody() {
    let (near, far) = (Rig::calm(), Rig::new(3, 8, 16, Faults::NONE));
    let unparker = far.driver.unparker();
    far.shut_down();
    let entered = near.driver.enter();
    unparker.unpark();
    near.tick();
    near.tick();
    drop(entered);
    near.assert_honest();
    near.shut_down();
}

#[test]
fn a_message_that_is_refused_still_wakes_its_ring() {
    let (near, far) = (Rig::calm(), Rig::new(4, 8, 16, Faults::NONE));
    far.tick();
    near.world.refuse_messages(libc::ENOMEM);
    let entered = near.driver.enter();
    far.driver.unparker().unpark();
    near.tick();
    near.tick();
    drop(entered);
    far.sleep();
    far.assert_honest();
    near.shut_down();
    far.shut_down();
}

#[test]
fn completions_that_appear_while_entries_are_queued_are_not_slept_through() {
    let rig = Rig::calm();
    rig.world.post_eagerly();
    let socket = rig.stream(3);
    let spill = std::rc::Rc::<Spill>::default();
    let op = Op::new(&rig.driver, Recv::new(&socket, rig.buffer(8), &spill));
    let mut task = Task::new("recv", |stop| finish(op, stop));
    assert!(task.run().is_none());
    rig.tick();
    rig.world.arrive(fd(&*socket), 3);
    // Queueing this is what lets the receive's completion appear.
    let mut nop = Task::new("nop", |stop| finish(Op::new(&rig.driver, Nop), stop));
    assert!(nop.run().is_none());
    assert!(rig.driver.peek());
    rig.sleep();
    assert!(task.run().is_some());
    assert!(rig.finish(&mut nop).is_ok());
    rig.assert_honest();
    drop((task, nop, socket));
    rig.shut_down();
}
