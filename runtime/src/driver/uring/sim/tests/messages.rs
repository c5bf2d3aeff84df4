//! Messages and vectored sends: the header, the list, the name and the control messages are the
//! kernel's until the last completion, as the buffers are.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use socket2::SockAddr;

use super::support::{Rig, Task, Watched, fd, finish, next};
use crate::buf::IoBuf;
use crate::driver::uring::sim::sources::{CONTROL_BYTES, letter_at};
use crate::driver::uring::sim::{CancelAnswer, Faults};
use crate::op::{Attach, Multi, Op, RecvMsg, RecvMsgMulti, SendMsg, SendVectored, Strays};

const ANSWERS: [CancelAnswer; 3] = [
    CancelAnswer::Canceled,
    CancelAnswer::Already,
    CancelAnswer::NotFound,
];

#[test]
fn a_received_message_brings_its_sender_and_its_descriptor() {
    let rig = Rig::calm();
    let socket = rig.letterbox(3);
    let strays = Rc::<Strays>::default();
    rig.world.post(fd(&*socket), 10, true);
    rig.world.post(fd(&*socket), 30, true);
    for (number, received, room) in [(0, 10, CONTROL_BYTES), (1, 16, 8)] {
        let receive = RecvMsg::new(&socket, rig.buffer(16), room, &strays);
        let op = Op::new(&rig.driver, receive);
        let mut task = Task::new("receive", |stop| finish(op, stop));
        let ((count, meta), buf) = rig.finish(&mut task).unwrap();
        assert_eq!(
            (count, buf.as_init()),
            (received, &*letter_at(3, number, received))
        );
        assert_eq!(meta.source_addr().unwrap().port(), number);
        assert_eq!(meta.truncated, number == 1);
        assert_eq!(
            meta.control_truncated,
            number == 1,
            "no room for its descriptor"
        );
        assert_eq!(meta.fds.len(), usize::from(number == 0));
    }
    assert_eq!(
        rig.world.passed(fd(&*socket)),
        (1, 0),
        "closed with the message"
    );
    drop(socket);
    rig.shut_down();
}

#[test]
fn all_that_a_dropped_receive_of_a_message_names_lives_until_its_last_completion() {
    for answer in ANSWERS {
        let rig = Rig::calm();
        let socket = rig.letterbox(3);
        let strays = Rc::<Strays>::default();
        let receive = RecvMsg::new(&socket, rig.buffer(16), CONTROL_BYTES, &strays);
        let op = Op::new(&rig.driver, receive);
        let mut task = Task::new("receive", |stop| finish(op, stop));
        assert!(task.run().is_none());
        rig.tick();
        // The bytes, the name, the control messages, the header and the list.
        assert_eq!((rig.memory.lent(), rig.memory.buffers()), (5, 1));
        rig.world.stick(fd(&*socket), true);
        rig.world.answer_cancels(&[answer]);
        drop(task);
        rig.tick();
        assert_eq!((rig.memory.lent(), rig.memory.buffers()), (5, 1));
        assert!(strays.is_busy());
        rig.world.post(fd(&*socket), 10, true);
        rig.world.stick(fd(&*socket), false);
        rig.tick();
        assert_eq!((rig.memory.lent(), rig.memory.buffers()), (0, 0));
        let stray = strays.take().map(|stray| stray.unwrap());
        assert_eq!(stray.is_some(), answer != CancelAnswer::Canceled);
        if let Some(stray) = stray {
            assert_eq!((&*stray, stray.meta.fds.len()), (&*letter_at(3, 0, 10), 1));
        }
        assert_eq!(rig.world.passed(fd(&*socket)).1, 0);
        rig.assert_honest();
        drop(socket);
        rig.shut_down();
    }
}

#[test]
fn all_that_a_dropped_message_names_lives_until_it_is_sent() {
    for answer in ANSWERS {
        let rig = Rig::calm();
        let socket = rig.letterbox(3);
        let (near, _far) = UnixStream::pair().unwrap();
        let attach = Attach {
            to: Some(SockAddr::unix("/nowhere").unwrap()),
            fds: vec![OwnedFd::from(near)],
            ..Attach::default()
        };
        let parts = [
            Watched::of(&rig.memory, b"one "),
            Watched::of(&rig.memory, b"two"),
        ];
        let send = SendMsg::new(&socket, parts, attach).unwrap();
        let op = Op::new(&rig.driver, send);
        let mut task = Task::new("send", |stop| finish(op, stop));
        rig.world.stick(fd(&*socket), true);
        assert!(task.run().is_none());
        rig.tick();
        // The parts, the header, the list, the name and the control messages.
        assert_eq!((rig.memory.lent(), rig.memory.buffers()), (6, 2));
        rig.world.answer_cancels(&[answer]);
        drop(task);
        rig.tick();
        assert_eq!((rig.memory.lent(), rig.memory.buffers()), (6, 2));
        rig.world.stick(fd(&*socket), false);
        rig.tick();
        assert_eq!((rig.memory.lent(), rig.memory.buffers()), (0, 0));
        let sent = rig.world.posted(fd(&*socket));
        let whole = answer != CancelAnswer::Canceled;
        assert_eq!(sent, vec![b"one two".to_vec(); usize::from(whole)]);
        rig.assert_honest();
        drop(socket);
        rig.shut_down();
    }
}

#[test]
fn a_vectored_send_begins_inside_a_part_and_says_how_much_was_taken() {
    let faults = Faults {
        short_io: 1000,
        ..Faults::NONE
    };
    for seed in 0..20 {
        let rig = Rig::new(seed, 8, 16, faults);
        let socket = rig.stream(3);
        let mut sent = 0;
        while sent < 9 {
            let parts = [b"one", b"two", b"six"].map(|part| Watched::of(&rig.memory, part));
            let op = Op::new(&rig.driver, SendVectored::new(&socket, parts, sent));
            let mut task = Task::new("send", |stop| finish(op, stop));
            let (count, _parts) = rig.finish(&mut task).unwrap();
            assert!(count > 0 && count <= 9 - sent);
            sent += count;
            assert_eq!(rig.world.sent(fd(&*socket)), b"onetwosix"[..sent]);
        }
        drop(socket);
        rig.shut_down();
    }
}

#[test]
fn a_multishot_receive_of_messages_ends_when_the_buffers_run_out_and_loses_none() {
    let rig = Rig::calm();
    let socket = rig.letterbox(3);
    for number in 0..10_u8 {
        rig.world.post(
            fd(&*socket),
            usize::from(number) + 1,
            number.is_multiple_of(3),
        );
    }
    let (mut number, mut fds, mut ends) = (0_u16, 0, 0);
    while number < 10 {
        let receive = RecvMsgMulti::new(&socket, CONTROL_BYTES);
        let mut multi = Multi::new(&rig.driver, receive);
        let left = usize::from(10 - number);
        let mut task = Task::new("receive", |stop| async move {
            let mut held = Vec::new();
            while held.len() < left {
                match next(&mut multi, &stop).await {
                    Ok(datagram) => held.push(datagram.unwrap()),
                    Err(last) => return (held, last.err()),
                }
            }
            (held, None)
        });
        let (held, ended) = rig.finish(&mut task);
        if let Some(error) = ended {
            assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
            ends += 1;
        }
        for datagram in held {
            let len = usize::from(number) + 1;
            assert_eq!(&*datagram, letter_at(3, number, len));
            assert_eq!(datagram.meta.source_addr().unwrap().port(), number);
            fds += datagram.meta.fds.len();
            number += 1;
        }
    }
    assert!(ends >= 2, "there are four buffers");
    assert_eq!((fds, rig.world.passed(fd(&*socket))), (4, (4, 0)));
    rig.assert_honest();
    drop(socket);
    rig.shut_down();
}
