//! Cancelling and dropping operations, and every way in which the kernel answers.

use std::cell::Cell;
use std::rc::Rc;

use super::support::{Inline, Rig, Task, Watched, fd, finish};
use crate::buf::{BufResult, IoBuf};
use crate::driver::uring::sim::sources::bytes_at;
use crate::driver::uring::sim::{CancelAnswer, Faults};
use crate::op::{Accept, Backlog, Connect, Nop, Op, Recv, Shared, Spill};

const ANSWERS: [CancelAnswer; 3] = [
    CancelAnswer::Canceled,
    CancelAnswer::Already,
    CancelAnswer::NotFound,
];

type Socket = Shared<socket2::Socket>;

fn receive(rig: &Rig, socket: &Socket, spill: &Rc<Spill>) -> Task<BufResult<usize, Watched>> {
    let op = Op::new(&rig.driver, Recv::new(socket, rig.buffer(16), spill));
    Task::new("recv", |stop| finish(op, stop))
}

/// A receive that the kernel has, which will answer a cancel of it so.
fn receive_in_flight(
    rig: &Rig,
    socket: &Socket,
    spill: &Rc<Spill>,
    answer: CancelAnswer,
) -> Task<BufResult<usize, Watched>> {
    let mut task = receive(rig, socket, spill);
    assert!(task.run().is_none());
    rig.tick();
    rig.world.answer_cancels(&[answer]);
    task
}

#[test]
fn a_cancelled_receive_gives_its_buffer_back_whatever_the_kernel_answers() {
    for answer in ANSWERS {
        let rig = Rig::calm();
        let socket = rig.stream(3);
        let mut task = receive_in_flight(&rig, &socket, &Rc::default(), answer);
        assert!(task.cancel().is_none(), "the last completion is awaited");
        let ended = rig.finish(&mut task).unwrap_err();
        assert_eq!(ended.buf.bytes_init(), 0);
        rig.assert_honest();
        drop((task, ended, socket));
        rig.shut_down();
    }
}

#[test]
fn a_cancel_that_comes_too_late_brings_what_was_received() {
    for answer in [CancelAnswer::Already, CancelAnswer::NotFound] {
        let rig = Rig::calm();
        let socket = rig.stream(3);
        let mut task = receive_in_flight(&rig, &socket, &Rc::default(), answer);
        assert!(task.cancel().is_none());
        rig.world.arrive(fd(&*socket), 4);
        let (received, buf) = rig.finish(&mut task).unwrap();
        assert_eq!((received, buf.as_init()), (4, &*bytes_at(3, 0, 4)));
        drop((task, buf, socket));
        rig.shut_down();
    }
}

#[test]
fn a_cancel_of_what_has_completed_changes_nothing() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    rig.world.arrive(fd(&*socket), 4);
    let mut task = receive(&rig, &socket, &Rc::default());
    assert!(task.run().is_none());
    rig.tick();
    let (received, _buf) = task.cancel().expect("it was done already").unwrap();
    assert_eq!(received, 4);
    rig.tick();
    rig.assert_honest();
}

#[test]
fn dropping_a_receive_in_flight_keeps_its_buffer_until_its_last_completion() {
    for answer in ANSWERS {
        let faults = Faults {
            inline: 0,
            delay_ns: 50_000,
            ..Faults::NONE
        };
        let rig = Rig::new(6, 8, 16, faults);
        let socket = rig.stream(3);
        let task = receive_in_flight(&rig, &socket, &Rc::default(), answer);
        drop(task);
        let mut sleeps = 0;
        while rig.world.operations() > 0 {
            assert_eq!(rig.memory.buffers(), 1);
            let short = std::time::Duration::from_micros(1);
            rig.driver.park(Some(short)).unwrap();
            sleeps += 1;
            assert!(sleeps < 1000, "its last completion does not come");
        }
        assert!(sleeps > 1, "the buffer was kept for some time");
        assert_eq!(rig.memory.buffers(), 0);
        rig.assert_honest();
        drop(socket);
        rig.shut_down();
    }
}

#[test]
fn dropping_an_operation_before_it_is_submitted_frees_its_buffer() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    drop(receive(&rig, &socket, &Rc::default()));
    assert_eq!((rig.memory.buffers(), rig.driver.in_flight()), (0, 0));
    rig.shut_down();
}

#[test]
fn bytes_received_for_a_dropped_receive_go_to_the_next() {
    for answer in [CancelAnswer::Already, CancelAnswer::NotFound] {
        let rig = Rig::calm();
        let socket = rig.stream(3);
        let spill = Rc::<Spill>::default();
        let task = receive_in_flight(&rig, &socket, &spill, answer);
        drop(task);
        assert!(spill.is_busy());
        rig.world.arrive(fd(&*socket), 9);
        rig.tick();
        rig.tick();
        let mut bytes = [0; 16];
        let spilt = spill.take(&mut bytes);
        assert_eq!(bytes[..spilt], bytes_at(3, 0, 9));
        drop(socket);
        rig.shut_down();
    }
}

#[test]
fn a_connection_accepted_for_a_dropped_accept_goes_to_the_backlog() {
    let rig = Rig::calm();
    let listener = rig.listener();
    let backlog = Rc::<Backlog>::default();
    let op = Op::new(&rig.driver, Accept::new(&listener, &backlog));
    let mut task = Task::new("accept", |stop| finish(op, stop));
    assert!(task.run().is_none());
    rig.tick();
    rig.world.answer_cancels(&[CancelAnswer::Already]);
    drop(task);
    rig.world.connect_to(fd(&*listener));
    rig.tick();
    rig.tick();
    assert_eq!(rig.world.accepted(fd(&*listener)), (1, 1));
    drop(backlog.take().expect("the connection was kept"));
    assert_eq!(rig.world.accepted(fd(&*listener)), (1, 0));
    drop(listener);
    rig.shut_down();
}

#[test]
fn a_cancel_finds_room_when_the_queue_is_full() {
    for sq_entries in [1, 2] {
        let rig = Rig::new(1, sq_entries, 32, Faults::NONE);
        let socket = rig.stream(3);
        let mut task = receive(&rig, &socket, &Rc::default());
        assert!(task.run().is_none());
        rig.tick();
        let mut nops: Vec<_> = (0..8)
            .map(|_| Task::new("nop", |stop| finish(Op::new(&rig.driver, Nop), stop)))
            .collect();
        for nop in &mut nops {
            assert!(nop.run().is_none());
        }
        drop(task);
        rig.tick();
        rig.tick();
        assert_eq!(rig.memory.buffers(), 0, "the receive was cancelled");
        rig.assert_honest();
        drop((nops, socket));
        rig.shut_down();
    }
}

#[test]
fn an_operation_dropped_while_its_entry_is_in_the_backlog_is_cancelled_in_order() {
    let rig = Rig::new(1, 1, 32, Faults::NONE);
    let socket = rig.stream(3);
    let mut nop = Task::new("nop", |stop| finish(Op::new(&rig.driver, Nop), stop));
    assert!(nop.run().is_none());
    let mut task = receive(&rig, &socket, &Rc::default());
    assert!(task.run().is_none());
    drop(task);
    assert_eq!(rig.memory.buffers(), 1, "its entry is yet to be submitted");
    rig.tick();
    rig.tick();
    assert_eq!(rig.memory.buffers(), 0);
    rig.assert_honest();
    drop((nop, socket));
    rig.shut_down();
}

#[test]
fn a_buffer_inside_a_slot_stays_in_place() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    let mut tasks: Vec<_> = (0..3)
        .map(|_| {
            let op = Op::new(&rig.driver, Inline::<24>::new(&socket, &rig.memory));
            Task::new("inline", |stop| finish(op, stop))
        })
        .collect();
    for task in &mut tasks {
        assert!(task.run().is_none());
    }
    rig.tick();
    // The futures move, the table grows by several chunks, and one operation is dropped.
    tasks.rotate_left(1);
    let others: Vec<_> = (0..300)
        .map(|_| {
            let mut task = receive(&rig, &socket, &Rc::default());
            assert!(task.run().is_none());
            task
        })
        .collect();
    tasks.pop();
    rig.tick();
    rig.world.arrive(fd(&*socket), 24 * 302);
    let mut got: Vec<_> = tasks.iter_mut().map(|task| rig.finish(task)).collect();
    assert!(
        got.iter_mut()
            .all(|bytes| bytes.as_mut().unwrap().len() == 24)
    );
    rig.assert_honest();
    drop((tasks, others, socket));
    rig.shut_down();
}

#[test]
fn a_payload_too_large_for_a_slot_stays_in_place_as_well() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    let op = Op::new(&rig.driver, Inline::<4096>::new(&socket, &rig.memory));
    let mut task = Task::new("boxed", |stop| finish(op, stop));
    assert!(task.run().is_none());
    rig.tick();
    let op = Op::new(&rig.driver, Inline::<4096>::new(&socket, &rig.memory));
    let mut dropped = Task::new("dropped", |stop| finish(op, stop));
    assert!(dropped.run().is_none());
    rig.tick();
    drop(dropped);
    rig.tick();
    rig.world.arrive(fd(&*socket), 100);
    assert_eq!(rig.finish(&mut task).unwrap(), bytes_at(3, 0, 100));
    rig.assert_honest();
    drop((task, socket));
    rig.shut_down();
}

#[test]
fn an_address_stays_in_place_while_a_connect_is_under_way() {
    let faults = Faults {
        inline: 0,
        delay_ns: 10_000,
        ..Faults::NONE
    };
    let rig = Rig::new(4, 8, 16, faults);
    let socket = rig.socket();
    for drops in [false, true] {
        let address = socket2::SockAddr::unix("/nowhere").unwrap();
        let op = Op::new(&rig.driver, Connect::new(&socket, address));
        let mut task = Task::new("connect", |stop| finish(op, stop));
        assert!(task.run().is_none());
        rig.tick();
        let mut task = if drops { None } else { Some(task) };
        if let Some(task) = &mut task {
            rig.finish(task).unwrap();
        }
        rig.assert_honest();
    }
    drop(socket);
    rig.shut_down();
}

#[test]
fn a_descriptor_stays_open_while_a_dropped_operation_names_it() {
    for answer in ANSWERS {
        let rig = Rig::calm();
        let socket = rig.stream(3);
        let task = receive_in_flight(&rig, &socket, &Rc::default(), answer);
        drop((task, socket));
        // The number would be the next to be used.
        let _other = rig.socket();
        rig.tick();
        rig.tick();
        rig.assert_honest();
    }
}

#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    let mut task = receive(&rig, &socket, &Rc::default());
    assert!(task.run().is_none());
    rig.tick();
    assert!(task.poll_elsewhere().is_none());
    rig.world.arrive(fd(&*socket), 1);
    rig.sleep();
    assert!(task.run().is_some(), "its new flag was raised");
}

#[test]
fn every_name_is_new_though_slots_are_used_again() {
    let rig = Rig::calm();
    let done = Rc::new(Cell::new(0));
    for _ in 0..500 {
        let op = Op::new(&rig.driver, Nop);
        let count = Rc::clone(&done);
        let mut task = Task::new("nop", |stop| async move {
            finish(op, stop).await.unwrap();
            count.set(count.get() + 1);
        });
        rig.finish(&mut task);
    }
    assert_eq!(done.get(), 500);
    rig.assert_honest();
    rig.shut_down();
}
