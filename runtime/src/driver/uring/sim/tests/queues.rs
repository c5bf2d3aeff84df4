//! Submission and completion queues: full, overflowing, refused, taken in part.

use std::time::Duration;

use super::support::{Rig, Task, fd, finish};
use crate::buf::IoBuf;
use crate::driver::uring::sim::Faults;
use crate::driver::uring::sim::sources::bytes_at;
use crate::op::{Nop, Op, ReadAt, Recv, Send, Spill};

type Recvd = crate::buf::BufResult<usize, super::support::Watched>;

fn receive(rig: &Rig, socket: &crate::op::Shared<socket2::Socket>, bytes: usize) -> Task<Recvd> {
    let recv = Recv::new(socket, rig.buffer(bytes), &std::rc::Rc::<Spill>::default());
    let op = Op::new(&rig.driver, recv);
    Task::new("recv", |stop| finish(op, stop))
}

fn nops(rig: &Rig, count: usize) -> Vec<Task<std::io::Result<()>>> {
    let mut tasks: Vec<_> = (0..count)
        .map(|_| {
            let op = Op::new(&rig.driver, Nop);
            Task::new("nop", |stop| finish(op, stop))
        })
        .collect();
    for task in &mut tasks {
        assert!(task.run().is_none());
    }
    tasks
}

#[test]
fn a_receive_brings_the_bytes_of_its_stream() {
    let rig = Rig::calm();
    let socket = rig.stream(7);
    let mut task = receive(&rig, &socket, 16);
    assert!(task.run().is_none());
    rig.tick();
    assert!(task.run().is_none(), "nothing has arrived");
    rig.world.arrive(fd(&*socket), 10);
    let (received, buf) = rig.finish(&mut task).unwrap();
    assert_eq!(received, 10);
    assert_eq!(buf.as_init(), bytes_at(7, 0, 10));
    drop((task, buf, socket));
    rig.shut_down();
}

#[test]
fn more_entries_than_the_queue_holds_are_all_submitted() {
    for sq_entries in [1, 2, 3, 8] {
        let rig = Rig::new(1, sq_entries, 64, Faults::NONE);
        let mut tasks = nops(&rig, 50);
        rig.tick();
        for task in &mut tasks {
            task.run().expect("one tick submits and reaps all").unwrap();
        }
        rig.assert_honest();
        drop(tasks);
        rig.shut_down();
    }
}

#[test]
fn completions_that_the_queue_has_no_room_for_all_come_once() {
    let rig = Rig::new(1, 64, 2, Faults::NONE);
    let mut tasks = nops(&rig, 60);
    rig.tick();
    assert!(rig.driver.stats().overflows > 0);
    for task in &mut tasks {
        rig.finish(task).unwrap();
    }
    assert_eq!(rig.driver.stats().completed, 60);
    rig.assert_honest();
    drop(tasks);
    rig.shut_down();
}

#[test]
fn an_enter_that_fails_keeps_every_entry() {
    for errno in [libc::EINTR, libc::EAGAIN, libc::EBUSY, libc::ENOMEM] {
        let rig = Rig::new(1, 4, 16, Faults::NONE);
        let socket = rig.stream(3);
        rig.world.arrive(fd(&*socket), 5);
        let mut task = receive(&rig, &socket, 8);
        let mut tasks = nops(&rig, 10);
        assert!(task.run().is_none());
        rig.world.fail_enters(&[errno; 5]);
        for _ in 0..5 {
            rig.driver.park(Some(Duration::from_secs(1))).unwrap();
            assert!(task.run().is_none(), "nothing was taken yet");
        }
        for task in &mut tasks {
            rig.finish(task).unwrap();
        }
        assert_eq!(rig.finish(&mut task).unwrap().0, 5);
        rig.assert_honest();
        drop((task, tasks, socket));
        rig.shut_down();
    }
}

#[test]
fn a_buffer_whose_submission_failed_outlives_its_dropped_future() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    let mut task = receive(&rig, &socket, 8);
    assert!(task.run().is_none());
    rig.world.fail_enters(&[libc::EAGAIN]);
    rig.tick();
    drop(task);
    assert_eq!(rig.memory.buffers(), 1, "its entry is still queued");
    rig.tick();
    rig.tick();
    assert_eq!(rig.memory.buffers(), 0, "its last completion has come");
    rig.assert_honest();
    drop(socket);
    rig.shut_down();
}

#[test]
fn entries_that_an_enter_did_not_take_go_with_the_next() {
    let rig = Rig::new(1, 8, 16, Faults::NONE);
    rig.tick();
    let mut tasks = nops(&rig, 6);
    rig.world.take_at_most(2);
    rig.driver.park(Some(Duration::from_secs(1))).unwrap();
    let done = tasks.iter_mut().filter_map(Task::run).count();
    assert_eq!(done, 2);
    rig.tick();
    let done = tasks.iter_mut().filter_map(Task::run).count();
    assert_eq!(done, 4);
    rig.assert_honest();
    drop(tasks);
    rig.shut_down();
}

#[test]
fn a_short_submission_behind_a_backlog_loses_nothing() {
    for most in [0, 1, 2] {
        let rig = Rig::new(1, 3, 64, Faults::NONE);
        let mut tasks = nops(&rig, 12);
        rig.world.take_at_most(most);
        rig.driver.park(Some(Duration::from_secs(1))).unwrap();
        for task in &mut tasks {
            rig.finish(task).unwrap();
        }
        rig.assert_honest();
        drop(tasks);
        rig.shut_down();
    }
}

#[test]
fn short_reads_and_sends_say_how_much_they_moved() {
    let faults = Faults {
        short_io: 1000,
        ..Faults::NONE
    };
    let rig = Rig::new(5, 8, 16, faults);
    let (socket, file) = (rig.stream(3), rig.file(9, 1000));
    let bytes = bytes_at(4, 0, 40);
    let send = Send::new(&socket, super::support::Watched::of(&rig.memory, &bytes), 0);
    let op = Op::new(&rig.driver, send);
    let mut task = Task::new("send", |stop| finish(op, stop));
    let (sent, buf) = rig.finish(&mut task).unwrap();
    assert!(sent > 0 && sent < 40);
    assert_eq!(rig.world.sent(fd(&*socket)), bytes[..sent]);
    let read = ReadAt::new(&file, rig.buffer(64), 0, 100, false);
    let op = Op::new(&rig.driver, read);
    let mut read_task = Task::new("read", |stop| finish(op, stop));
    let (read, into) = rig.finish(&mut read_task).unwrap();
    assert!(read > 0 && read < 64);
    assert_eq!(into.as_init(), bytes_at(9, 100, read));
    drop((buf, into, task, read_task, socket, file));
    rig.shut_down();
}

#[test]
fn a_lost_completion_is_reported_and_its_memory_never_freed() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    rig.world.arrive(fd(&*socket), 5);
    let mut task = receive(&rig, &socket, 8);
    assert!(task.run().is_none());
    rig.world.lose_completion();
    let error = rig.driver.park(Some(Duration::ZERO)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADR));
    drop((task, socket));
    assert_eq!(rig.driver.shut_down(Duration::from_millis(1)), 1);
    rig.driver.leak();
    let (memory, world) = (rig.memory, rig.world);
    drop(rig.driver);
    assert_eq!(memory.buffers(), 1, "what became of the receive is unknown");
    assert_eq!(world.complaints(), [""; 0]);
}
