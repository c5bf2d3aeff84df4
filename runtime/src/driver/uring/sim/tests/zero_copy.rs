//! Zero-copy sends: their buffer is the kernel's until the notification, whenever that comes.

use std::rc::Rc;
use std::time::Duration;

use super::support::{Rig, Task, Watched, fd, finish};
use crate::buf::{BufResult, IoBuf};
use crate::driver::uring::sim::{CancelAnswer, Faults};
use crate::op::{CutShort, Op, Send, SendQueue, SendZc, SentZc, Shared};

type Socket = Shared<socket2::Socket>;

const BYTES: &[u8] = b"sixteen and more bytes";

fn send(rig: &Rig, socket: &Socket) -> Task<BufResult<SentZc, Watched>> {
    let send = SendZc::new(Send::all(socket, Watched::of(&rig.memory, BYTES), 0));
    let op = Op::new(&rig.driver, send);
    let mut task = Task::new("zero-copy send", |stop| finish(op, stop));
    assert!(task.run().is_none());
    task
}

#[test]
fn a_zero_copy_send_ends_with_its_notification() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    rig.world.hold_notifications(true);
    let mut task = send(&rig, &socket);
    rig.tick();
    assert_eq!(rig.world.sent(fd(&*socket)), BYTES, "it was sent");
    assert!(task.poll().is_none(), "and its buffer is still read");
    assert_eq!(rig.memory.lent(), 1);
    rig.world.hold_notifications(false);
    let (sent, buf) = rig.finish(&mut task).unwrap();
    assert_eq!((sent.bytes, buf.as_init()), (BYTES.len(), BYTES));
    rig.assert_honest();
    drop((task, buf, socket));
    rig.shut_down();
}

#[test]
fn nobody_is_woken_before_the_notification() {
    let rig = Rig::calm();
    let socket = rig.stream(3);
    rig.world.hold_notifications(true);
    let mut task = send(&rig, &socket);
    rig.tick();
    assert!(task.run().is_none());
    rig.tick();
    assert!(task.run().is_none(), "not woken, so not polled");
    rig.world.hold_notifications(false);
    rig.finish(&mut task).unwrap();
    drop((task, socket));
    rig.shut_down();
}

#[test]
fn a_zero_copy_send_says_whether_the_kernel_copied() {
    for copies in [false, true] {
        // No seed of these draws a copy by lot.
        let rig = (0..)
            .map(|seed| Rig::new(seed, 8, 16, Faults::NONE))
            .find(|rig| {
                let socket = rig.stream(3);
                let mut task = send(rig, &socket);
                let (sent, _) = rig.finish(&mut task).unwrap();
                !sent.copied
            })
            .unwrap();
        let socket = rig.stream(3);
        if copies {
            rig.world.copy_sends();
            let mut task = send(&rig, &socket);
            let (sent, _) = rig.finish(&mut task).unwrap();
            assert!(sent.copied);
        }
        drop(socket);
        rig.shut_down();
    }
}

#[test]
fn a_failure_may_come_with_a_notification_or_without() {
    for announced in [false, true] {
        let rig = Rig::calm();
        let socket = rig.stream(3);
        rig.world.reset(fd(&*socket));
        rig.world.announce_failures(announced);
        rig.world.hold_notifications(true);
        let mut task = send(&rig, &socket);
        rig.tick();
        assert_eq!(rig.memory.lent(), usize::from(announced));
        assert_eq!(rig.memory.buffers(), 1);
        rig.world.hold_notifications(false);
        let failed = rig.finish(&mut task).unwrap_err();
        assert_eq!(failed.error.raw_os_error(), Some(libc::ECONNRESET));
        rig.assert_honest();
        drop((task, failed, socket));
        rig.shut_down();
    }
}

#[test]
fn the_buffer_of_a_dropped_zero_copy_send_lives_until_the_notification() {
    for answer in [
        CancelAnswer::Canceled,
        CancelAnswer::Already,
        CancelAnswer::NotFound,
    ] {
        let rig = Rig::calm();
        let socket = rig.stream(3);
        rig.world.hold_notifications(true);
        let task = send(&rig, &socket);
        rig.tick();
        rig.world.answer_cancels(&[answer]);
        drop(task);
        rig.tick();
        rig.tick();
        assert_eq!(rig.memory.buffers(), 1, "the network still reads it");
        rig.world.hold_notifications(false);
        rig.tick();
        assert_eq!(rig.memory.buffers(), 0);
        rig.assert_honest();
        drop(socket);
        rig.shut_down();
    }
}

#[test]
fn a_notification_that_never_comes_is_counted_at_the_shutdown_and_frees_nothing() {
    for dropped in [false, true] {
        let rig = Rig::calm();
        let socket = rig.stream(3);
        rig.world.hold_notifications(true);
        let mut task = Some(send(&rig, &socket));
        rig.tick();
        if dropped {
            task = None;
        }
        assert_eq!(rig.driver.shut_down(Duration::from_millis(20)), 1);
        drop((task, socket));
        rig.driver.leak();
        drop(rig.driver);
        assert_eq!(rig.memory.buffers(), 1);
        assert_eq!(rig.world.taken(), 1);
        // It comes after all, for memory that is still there.
        rig.world.hold_notifications(false);
        assert_eq!(rig.world.complaints(), [""; 0]);
    }
}

#[test]
fn notifications_in_another_order_each_free_their_own_buffer() {
    let faults = Faults {
        inline: 0,
        delay_ns: 40_000,
        ..Faults::NONE
    };
    for seed in 0..40 {
        let rig = Rig::new(seed, 8, 4, faults);
        let sockets: Vec<_> = (0..6).map(|name| rig.stream(name)).collect();
        let mut tasks: Vec<_> = sockets.iter().map(|socket| send(&rig, socket)).collect();
        let mut buffers = tasks.len();
        for task in &mut tasks {
            let (sent, buf) = rig.finish(task).unwrap();
            assert_eq!((sent.bytes, buf.as_init()), (BYTES.len(), BYTES));
            assert_eq!(rig.memory.buffers(), buffers, "seed {seed}");
            drop(buf);
            buffers -= 1;
        }
        drop((tasks, sockets));
        rig.shut_down();
    }
}

#[test]
fn a_dropped_zero_copy_send_gives_its_turn_back_with_the_notification() {
    let rig = Rig::new(
        4,
        8,
        16,
        Faults {
            short_io: 1000,
            ..Faults::NONE
        },
    );
    let socket = rig.stream(3);
    let queue = Rc::<SendQueue>::default();
    assert!(queue.try_take());
    rig.world.hold_notifications(true);
    let send = Send::all(&socket, Watched::of(&rig.memory, BYTES), 0).in_turn(&queue);
    let op = Op::new(&rig.driver, SendZc::new(send));
    let mut task = Task::new("zero-copy send", |stop| finish(op, stop));
    assert!(task.run().is_none());
    rig.tick();
    queue.abandon(0, BYTES.len());
    drop(task);
    rig.tick();
    assert!(!queue.try_take(), "the network still reads the buffer");
    rig.world.hold_notifications(false);
    rig.tick();
    assert!(queue.try_take());
    let sent = rig.world.sent(fd(&*socket)).len();
    assert!(sent < BYTES.len(), "a part was sent");
    let cut = queue.take_cut_short().expect("it was cut short");
    let CutShort { sent: told, of, .. } = cut;
    assert_eq!((told, of), (sent, BYTES.len()));
    drop(socket);
    rig.shut_down();
}
