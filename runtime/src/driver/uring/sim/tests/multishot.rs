//! Multishot requests and provided buffers: they may end at any moment, and nothing may be lost.

use std::cell::RefCell;
use std::rc::Rc;

use super::support::{BUFFERS, Rig, Stop, Task, fd, next};
use crate::buf::Lease;
use crate::driver::uring::sim::sources::bytes_at;
use crate::driver::uring::sim::{CancelAnswer, Faults};
use crate::op::{AcceptMulti, Backlog, Multi, RecvMulti, Shared};

type Socket = Shared<socket2::Socket>;
type Leases = Rc<RefCell<Vec<Lease>>>;

/// Receives until the request ends, and says how it ended.
async fn collect(mut multi: Multi<RecvMulti>, leases: Leases, stop: Stop) -> Option<i32> {
    loop {
        let (item, ended) = match next(&mut multi, &stop).await {
            Ok(item) => (item, false),
            Err(last) => (last, true),
        };
        match item {
            Ok(lease) => leases.borrow_mut().extend(lease),
            Err(error) => return error.raw_os_error(),
        }
        if ended {
            return None;
        }
    }
}

fn receive(rig: &Rig, socket: &Socket) -> (Task<Option<i32>>, Leases) {
    let multi = Multi::new(&rig.driver, RecvMulti::new(socket));
    let leases = Leases::default();
    let into = Rc::clone(&leases);
    let mut task = Task::new("multishot", |stop| collect(multi, into, stop));
    assert!(task.run().is_none());
    rig.tick();
    (task, leases)
}

fn bytes(leases: &Leases) -> Vec<u8> {
    let leases = leases.borrow();
    leases.iter().flat_map(|lease| lease.to_vec()).collect()
}

/// So many packets, each taken before the next arrives.
fn arrive(rig: &Rig, socket: &Socket, packets: usize, bytes: u64) {
    for _ in 0..packets {
        rig.world.arrive(fd(&**socket), bytes);
        rig.tick();
    }
}

#[test]
fn a_multishot_receive_brings_every_packet_in_order() {
    let rig = Rig::calm();
    let socket = rig.stream(5);
    let (mut task, leases) = receive(&rig, &socket);
    arrive(&rig, &socket, 3, 10);
    assert!(task.run().is_none());
    assert_eq!(bytes(&leases), bytes_at(5, 0, 30));
    rig.world.end(fd(&*socket));
    assert_eq!(rig.finish(&mut task), None);
    drop((task, leases, socket));
    rig.shut_down();
}

#[test]
fn a_multishot_receive_may_end_with_bytes() {
    for shots in 0..3 {
        let rig = Rig::calm();
        let socket = rig.stream(5);
        rig.world.end_multishot_after(shots);
        let (mut task, leases) = receive(&rig, &socket);
        arrive(&rig, &socket, 1 + usize::try_from(shots).unwrap(), 10);
        assert_eq!(rig.finish(&mut task), None, "ended, and said so");
        let got = bytes(&leases);
        assert_eq!(got.len(), 10 * (1 + usize::try_from(shots).unwrap()));
        assert_eq!(got, bytes_at(5, 0, got.len()), "the last bytes came too");
        drop((task, leases, socket));
        rig.shut_down();
    }
}

#[test]
fn a_multishot_receive_ends_when_the_buffers_run_out_and_loses_nothing() {
    let rig = Rig::calm();
    let socket = rig.stream(5);
    let (mut task, leases) = receive(&rig, &socket);
    arrive(&rig, &socket, usize::from(BUFFERS) + 2, 10);
    assert_eq!(rig.finish(&mut task), Some(libc::ENOBUFS));
    assert_eq!(rig.world.buffers_out(), usize::from(BUFFERS));
    let before = bytes(&leases);
    leases.borrow_mut().clear();
    rig.tick();
    assert_eq!(rig.world.buffers_out(), 0);
    let (again, rest) = receive(&rig, &socket);
    rig.tick();
    let mut again = again;
    assert!(again.run().is_none());
    let got = [before, bytes(&rest)].concat();
    assert_eq!(got, bytes_at(5, 0, 60));
    drop((task, again, leases, rest, socket));
    rig.shut_down();
}

#[test]
fn an_overflow_ends_a_multishot_receive_with_its_bytes() {
    let rig = Rig::new(3, 8, 1, Faults::NONE);
    let sockets = [rig.stream(1), rig.stream(2), rig.stream(3)];
    let mut receives: Vec<_> = sockets.iter().map(|s| receive(&rig, s)).collect();
    for socket in &sockets {
        rig.world.arrive(fd(&**socket), 8);
    }
    rig.tick();
    rig.tick();
    rig.tick();
    assert!(rig.driver.stats().overflows > 0);
    for ((task, leases), name) in receives.iter_mut().zip(1..) {
        let _ended = task.run();
        assert_eq!(bytes(leases), bytes_at(name, 0, 8));
    }
    rig.assert_honest();
    drop((receives, sockets));
    rig.shut_down();
}

#[test]
fn a_dropped_multishot_receive_returns_every_buffer() {
    for answer in [
        CancelAnswer::Canceled,
        CancelAnswer::Already,
        CancelAnswer::NotFound,
    ] {
        let rig = Rig::calm();
        let socket = rig.stream(5);
        let (task, leases) = receive(&rig, &socket);
        arrive(&rig, &socket, 2, 10);
        rig.world.answer_cancels(&[answer]);
        drop(task);
        rig.world.arrive(fd(&*socket), 10);
        rig.tick();
        rig.tick();
        assert!(leases.borrow().is_empty(), "nobody has polled it");
        assert_eq!(rig.world.buffers_out(), 0);
        rig.assert_honest();
        drop(socket);
        rig.shut_down();
    }
}

#[test]
fn a_disarmed_multishot_receive_brings_what_had_come() {
    let rig = Rig::calm();
    let socket = rig.stream(5);
    let (mut task, leases) = receive(&rig, &socket);
    arrive(&rig, &socket, 2, 10);
    rig.world.answer_cancels(&[CancelAnswer::Already]);
    assert!(task.cancel().is_none());
    rig.world.arrive(fd(&*socket), 10);
    assert_eq!(rig.finish(&mut task), None);
    assert_eq!(bytes(&leases), bytes_at(5, 0, 30));
    drop((task, leases, socket));
    rig.shut_down();
}

#[test]
fn a_reset_ends_a_multishot_receive_after_its_bytes() {
    let rig = Rig::calm();
    let socket = rig.stream(5);
    let (mut task, leases) = receive(&rig, &socket);
    rig.world.arrive(fd(&*socket), 10);
    rig.world.reset(fd(&*socket));
    assert_eq!(rig.finish(&mut task), Some(libc::ECONNRESET));
    assert_eq!(bytes(&leases), bytes_at(5, 0, 10));
    drop((task, leases));
    rig.tick();
    assert_eq!(rig.world.buffers_out(), 0);
    drop(socket);
    rig.shut_down();
}

#[test]
fn connections_of_a_dropped_multishot_accept_go_to_the_backlog() {
    let rig = Rig::calm();
    let listener = rig.listener();
    let backlog = Rc::<Backlog>::default();
    let mut multi = Multi::new(&rig.driver, AcceptMulti::new(&listener, &backlog));
    let mut task = Task::new("accept", |stop| async move {
        while next(&mut multi, &stop).await.is_ok() {}
    });
    assert!(task.run().is_none());
    rig.tick();
    for _ in 0..2 {
        rig.world.connect_to(fd(&*listener));
        rig.tick();
    }
    rig.world.answer_cancels(&[CancelAnswer::Already]);
    drop(task);
    rig.world.connect_to(fd(&*listener));
    rig.tick();
    rig.tick();
    let kept: Vec<_> = std::iter::from_fn(|| backlog.take()).collect();
    assert_eq!(kept.len(), 3);
    assert_eq!(rig.world.accepted(fd(&*listener)), (3, 3));
    drop(kept);
    assert_eq!(rig.world.accepted(fd(&*listener)), (3, 0));
    drop((listener, backlog));
    rig.shut_down();
}

#[test]
fn a_multishot_accept_that_an_overflow_ended_has_lost_no_connection() {
    let rig = Rig::new(3, 8, 1, Faults::NONE);
    let listener = rig.listener();
    let backlog = Rc::<Backlog>::default();
    let mut taken = Vec::new();
    for _ in 0..10 {
        rig.world.connect_to(fd(&*listener));
    }
    for _ in 0..40 {
        let mut multi = Multi::new(&rig.driver, AcceptMulti::new(&listener, &backlog));
        let sockets = Rc::new(RefCell::new(Vec::new()));
        let into = Rc::clone(&sockets);
        let mut task = Task::new("accept", |stop| async move {
            while let Ok(socket) = next(&mut multi, &stop).await {
                into.borrow_mut().extend(socket.ok());
            }
        });
        let _ended = task.run();
        rig.tick();
        let _ended = task.run();
        drop(task);
        rig.tick();
        taken.append(&mut sockets.borrow_mut());
        taken.extend(std::iter::from_fn(|| backlog.take()));
    }
    let (accepted, open) = rig.world.accepted(fd(&*listener));
    assert_eq!((accepted, open, taken.len()), (10, 10, 9 + 1));
    drop((taken, listener));
    rig.shut_down();
}
