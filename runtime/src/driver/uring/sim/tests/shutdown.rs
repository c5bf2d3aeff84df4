//! Shutdown: everything is cancelled and reaped, or leaked and counted.

use std::rc::Rc;
use std::time::Duration;

use super::support::{Rig, Task, Watched, fd, finish, next};
use crate::buf::BufResult;
use crate::driver::uring::sim::Faults;
use crate::op::{Multi, Nop, Op, Recv, RecvMulti, Spill};

fn receive(
    rig: &Rig,
    socket: &crate::op::Shared<socket2::Socket>,
) -> Task<BufResult<usize, Watched>> {
    let recv = Recv::new(socket, rig.buffer(16), &Rc::<Spill>::default());
    let op = Op::new(&rig.driver, recv);
    let mut task = Task::new("recv", |stop| finish(op, stop));
    assert!(task.run().is_none());
    task
}

#[test]
fn operations_in_flight_at_shutdown_end_and_give_their_buffers_back() {
    for late_cancel in [0, 1000] {
        let faults = Faults {
            late_cancel,
            inline: 0,
            delay_ns: 200_000,
            ..Faults::NONE
        };
        let rig = Rig::new(8, 4, 8, faults);
        let socket = rig.stream(3);
        let mut tasks: Vec<_> = (0..40).map(|_| receive(&rig, &socket)).collect();
        rig.tick();
        assert_eq!(rig.driver.shut_down(Duration::from_secs(5)), 0);
        for task in &mut tasks {
            assert!(task.run().expect("it has ended").is_err());
        }
        drop((tasks, socket));
        rig.shut_down();
    }
}

#[test]
fn operations_that_were_never_submitted_end_at_shutdown() {
    let rig = Rig::new(8, 2, 8, Faults::NONE);
    let socket = rig.stream(3);
    let tasks: Vec<_> = (0..20).map(|_| receive(&rig, &socket)).collect();
    drop((tasks, socket));
    rig.shut_down();
}

#[test]
fn a_driver_that_is_shut_down_refuses_work_and_returns_the_buffer() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    assert_eq!(rig.driver.shut_down(Duration::ZERO), 0);
    let recv = Recv::new(&socket, rig.buffer(16), &Rc::<Spill>::default());
    let op = Op::new(&rig.driver, recv);
    let mut task = Task::new("recv", |stop| finish(op, stop));
    let refused = task.run().expect("refused at once").unwrap_err();
    assert_eq!(rig.memory.buffers(), 1);
    drop((refused, task, socket));
    rig.shut_down();
}

#[test]
fn what_the_kernel_does_not_let_go_of_is_counted_and_never_freed() {
    let rig = Rig::calm();
    let (stuck, other) = (rig.stream(3), rig.stream(4));
    rig.world.stick(fd(&*stuck), true);
    let tasks = [receive(&rig, &stuck), receive(&rig, &other)];
    rig.tick();
    let number = fd(&*stuck);
    drop((tasks, stuck, other));
    assert_eq!(rig.driver.shut_down(Duration::from_millis(20)), 1);
    rig.driver.leak();
    drop(rig.driver);
    assert_eq!(rig.memory.buffers(), 1);
    assert_eq!(rig.world.taken(), 1);
    // It completes after all, into memory that is still there.
    rig.world.stick(number, false);
    rig.world.arrive(number, 16);
    assert_eq!(rig.world.complaints(), [""; 0]);
}

#[test]
fn errors_of_enter_do_not_stop_a_shutdown() {
    for errno in [libc::EINTR, libc::EAGAIN, libc::EBUSY, libc::ENOMEM] {
        let rig = Rig::new(8, 2, 8, Faults::NONE);
        let socket = rig.stream(3);
        let tasks: Vec<_> = (0..9).map(|_| receive(&rig, &socket)).collect();
        rig.world.fail_enters(&[errno; 10]);
        drop((tasks, socket));
        rig.shut_down();
    }
}

#[test]
fn leases_outlive_the_driver() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    let mut multi = Multi::new(&rig.driver, RecvMulti::new(&socket));
    let mut task = Task::new(
        "multishot",
        |stop| async move { next(&mut multi, &stop).await },
    );
    assert!(task.run().is_none());
    rig.world.arrive(fd(&*socket), 5);
    let lease = rig.finish(&mut task).unwrap().unwrap().unwrap();
    drop((task, socket));
    rig.shut_down();
    assert_eq!(lease.len(), 5);
}

#[test]
fn a_finished_operation_that_nobody_takes_does_not_hold_a_shutdown_up() {
    let rig = Rig::calm();
    let mut task = Task::new("nop", |stop| finish(Op::new(&rig.driver, Nop), stop));
    assert!(task.run().is_none());
    rig.tick();
    assert_eq!(rig.driver.shut_down(Duration::from_secs(5)), 0);
    assert_eq!(rig.driver.in_flight(), 1, "its answer waits to be taken");
    task.run().expect("it is there").unwrap();
    drop(task);
    rig.shut_down();
}

#[test]
fn a_message_queued_before_a_shutdown_is_sent() {
    let (near, far) = (Rig::calm(), Rig::new(11, 8, 16, Faults::NONE));
    far.tick();
    let entered = near.driver.enter();
    far.driver.unparker().unpark();
    near.world.fail_enters(&[libc::EINTR]);
    near.tick();
    drop(entered);
    near.shut_down();
    far.sleep();
    far.assert_honest();
    far.shut_down();
}

#[test]
fn a_message_left_after_the_last_tick_is_sent_at_shutdown() {
    let (near, far) = (Rig::calm(), Rig::new(12, 8, 16, Faults::NONE));
    far.tick();
    let entered = near.driver.enter();
    far.driver.unparker().unpark();
    drop(entered);
    near.shut_down();
    far.sleep();
    far.assert_honest();
    far.shut_down();
}
