//! Tests of the channel, over both kinds, polled by hand.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::super::generic::mpsc::{Receiver, SendError, Sender, TryRecvError, TrySendError};
use super::super::generic::mpsc::{bounded, unbounded};
use super::super::kind::Local;
use super::super::testing::{Task, both_kinds, panicking_waker};

both_kinds! {
    #[test]
    fn values_arrive_in_the_order_in_which_they_were_sent<K>() {
        let (sender, mut receiver) = unbounded::<_, K>();
        let task = Task::new();
        for number in 0..1000 {
            task.now(sender.send(number)).expect("open");
        }
        for number in 0..1000 {
            assert_eq!(task.now(receiver.recv()), Some(number));
        }
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn a_sender_waits_for_room_and_its_value_moves_up_before_it_runs<K>() {
        let (sender, mut receiver) = bounded::<_, K>(1);
        let (task, waiting) = (Task::new(), Task::new());
        task.now(sender.send(1)).expect("room");
        assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
        let mut second = sender.send(2);
        assert!(waiting.poll(&mut second).is_pending());
        assert_eq!((sender.len(), sender.capacity()), (1, Some(1)));
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!(waiting.wakes(), 1);
        assert_eq!(receiver.try_recv(), Ok(2), "without the sender having run");
        assert_eq!(waiting.poll(&mut second), Poll::Ready(Ok(())));
        assert_eq!(waiting.wakes(), 0);
    }

    #[test]
    fn senders_are_let_in_in_the_order_in_which_they_came_and_none_overtakes<K>() {
        let (sender, mut receiver) = bounded::<_, K>(1);
        let task = Task::new();
        task.now(sender.send(0)).expect("room");
        let mut line: Vec<_> = (1..5).map(|number| sender.send(number)).collect();
        for waiting in &mut line {
            assert!(task.poll(waiting).is_pending());
        }
        for number in 0..5 {
            assert!(sender.try_send(99).is_err(), "who stands in line comes first");
            assert_eq!(receiver.try_recv(), Ok(number));
        }
        for waiting in &mut line {
            assert_eq!(task.poll(waiting), Poll::Ready(Ok(())));
        }
    }

    #[test]
    fn a_sleeping_receiver_is_woken_once_for_many_values<K>() {
        let (sender, mut receiver) = bounded::<_, K>(8);
        let (task, asleep) = (Task::new(), Task::new());
        assert!(asleep.poll(&mut receiver.recv()).is_pending());
        for number in 0..8 {
            task.now(sender.send(number)).expect("room");
        }
        assert_eq!(asleep.wakes(), 1);
        let mut values = Vec::new();
        assert_eq!(asleep.now(receiver.recv_many(&mut values, 5)), 5);
        assert_eq!(asleep.now(receiver.recv_many(&mut values, 5)), 3);
        assert_eq!(values, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_batch_takes_the_values_of_those_in_line_too<K>() {
        let (sender, mut receiver) = bounded::<_, K>(2);
        let task = Task::new();
        let mut sends: Vec<_> = (0..7).map(|number| sender.send(number)).collect();
        for send in &mut sends {
            let _ = task.poll(send);
        }
        let mut values = Vec::new();
        assert_eq!(task.now(receiver.recv_many(&mut values, 6)), 6);
        assert_eq!(values, (0..6).collect::<Vec<_>>());
        assert_eq!(task.wakes(), 5);
        assert_eq!(receiver.try_recv(), Ok(6));
        assert_eq!(task.now(receiver.recv_many(&mut values, 0)), 0);
    }

    #[test]
    fn a_wait_for_the_close_that_is_dropped_leaves_no_place<K>() {
        let (sender, receiver) = bounded::<u8, K>(4);
        let task = Task::new();
        assert!(task.poll(&mut sender.closed()).is_pending());
        assert_eq!(task.wakers(), 0);
        drop(receiver);
        assert_eq!(task.wakes(), 0);
        task.now(sender.closed());
    }

    #[test]
    fn a_dropped_receive_has_taken_nothing<K>() {
        let (sender, mut receiver) = bounded::<_, K>(4);
        let task = Task::new();
        {
            let mut receive = receiver.recv();
            assert!(task.poll(&mut receive).is_pending());
            task.now(sender.send(1)).expect("room");
        }
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.now(receiver.recv()), Some(1));
    }

    #[test]
    fn a_dropped_send_leaves_the_line_and_its_value_is_dropped<K>() {
        let (sender, mut receiver) = bounded::<_, K>(1);
        let task = Task::new();
        let value = Rc::new(());
        task.now(sender.send(Rc::clone(&value))).expect("room");
        let mut first = sender.send(Rc::clone(&value));
        let mut second = sender.send(Rc::clone(&value));
        assert!(task.poll(&mut first).is_pending());
        assert!(task.poll(&mut second).is_pending());
        drop(first);
        assert_eq!(Rc::strong_count(&value), 3);
        drop(receiver.try_recv());
        assert_eq!(task.poll(&mut second), Poll::Ready(Ok(())));
        assert_eq!(task.wakes(), 1, "only the one that was let in");
        drop(receiver.try_recv());
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn a_send_dropped_after_it_was_let_in_has_sent<K>() {
        let (sender, mut receiver) = bounded::<_, K>(1);
        let task = Task::new();
        task.now(sender.send(1)).expect("room");
        let mut second = sender.send(2);
        assert!(task.poll(&mut second).is_pending());
        assert_eq!(receiver.try_recv(), Ok(1));
        drop(second);
        assert_eq!(receiver.try_recv(), Ok(2));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(sender.try_send(3), Ok(()));
    }

    #[test]
    fn the_last_sender_ends_the_channel_and_the_queue_is_still_received<K>() {
        let (sender, mut receiver) = bounded::<_, K>(4);
        let (task, asleep) = (Task::new(), Task::new());
        let other = sender.clone();
        task.now(sender.send(1)).expect("room");
        drop(sender);
        assert_eq!(asleep.now(receiver.recv()), Some(1));
        assert!(asleep.poll(&mut receiver.recv()).is_pending());
        assert!(!receiver.is_closed());
        drop(other);
        assert_eq!(asleep.wakes(), 1);
        assert_eq!(asleep.now(receiver.recv()), None);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
        assert!(receiver.is_closed());
    }

    #[test]
    fn a_weak_sender_keeps_no_channel_open<K>() {
        let (sender, mut receiver) = bounded::<_, K>(4);
        let task = Task::new();
        let weak = sender.downgrade();
        let again = weak.upgrade().expect("a sender lives");
        drop(sender);
        task.now(again.send(1)).expect("room");
        drop(again);
        assert!(weak.clone().upgrade().is_none());
        assert_eq!(task.now(receiver.recv()), Some(1));
        assert_eq!(task.now(receiver.recv()), None);
    }

    #[test]
    fn a_receiver_that_is_dropped_refuses_those_in_line_and_gives_their_values_back<K>() {
        let (sender, receiver) = bounded::<_, K>(1);
        let task = Task::new();
        let value = Rc::new(7);
        task.now(sender.send(Rc::clone(&value))).expect("room");
        let mut second = sender.send(Rc::clone(&value));
        let (mut third, mut reserve) = (sender.send(Rc::clone(&value)), sender.reserve());
        let mut closed = sender.closed();
        assert!(task.poll(&mut second).is_pending());
        assert!(task.poll(&mut third).is_pending());
        assert!(task.poll(&mut reserve).is_pending());
        assert!(task.poll(&mut closed).is_pending());
        drop(receiver);
        assert_eq!(task.wakes(), 4);
        assert_eq!(Rc::strong_count(&value), 3, "what was queued is dropped");
        let back = task.now(second).expect_err("refused");
        assert_eq!(*back.into_inner(), 7);
        drop(third);
        assert_eq!(Rc::strong_count(&value), 1);
        assert!(task.now(reserve).is_err());
        task.now(closed);
        assert!(sender.is_closed());
        let refused = sender.try_send(value).expect_err("closed");
        assert!(refused.is_closed() && !refused.is_full());
    }

    #[test]
    fn a_closed_receiver_gets_what_was_sent_and_what_permits_still_send<K>() {
        let (sender, mut receiver) = bounded::<_, K>(2);
        let task = Task::new();
        task.now(sender.send(1)).expect("room");
        let permit = task.now(sender.reserve()).expect("room");
        let mut late = sender.send(3);
        assert!(task.poll(&mut late).is_pending());
        receiver.close();
        assert_eq!(task.poll(&mut late), Poll::Ready(Err(SendError(3))));
        assert_eq!(sender.try_send(4), Err(TrySendError::Closed(4)));
        assert!(sender.try_reserve().is_err());
        assert_eq!(task.now(receiver.recv()), Some(1));
        let asleep = Task::new();
        assert!(asleep.poll(&mut receiver.recv()).is_pending());
        assert_eq!(permit.send(2), Ok(()));
        assert_eq!(asleep.wakes(), 1);
        assert_eq!(task.now(receiver.recv()), Some(2));
        assert_eq!(task.now(receiver.recv()), None);
    }

    #[test]
    fn a_permit_given_back_unused_ends_a_closed_channel<K>() {
        let (sender, mut receiver) = bounded::<u8, K>(2);
        let (task, asleep) = (Task::new(), Task::new());
        let permit = task.now(sender.reserve()).expect("room");
        receiver.close();
        assert!(asleep.poll(&mut receiver.recv()).is_pending());
        drop(permit);
        assert_eq!(asleep.wakes(), 1);
        assert_eq!(asleep.now(receiver.recv()), None);
    }

    #[test]
    fn a_permit_is_room_and_goes_on_to_the_next_when_it_is_dropped<K>() {
        let (sender, mut receiver) = bounded::<_, K>(1);
        let (task, asleep) = (Task::new(), Task::new());
        let permit = task.now(sender.reserve()).expect("room");
        assert!(sender.try_send(1).is_err());
        let mut waiting = sender.send(1);
        assert!(task.poll(&mut waiting).is_pending());
        assert!(asleep.poll(&mut receiver.recv()).is_pending());
        drop(permit);
        assert_eq!(task.wakes(), 1);
        assert_eq!(asleep.wakes(), 1, "a value moved up for the receiver");
        assert_eq!(task.poll(&mut waiting), Poll::Ready(Ok(())));
        assert_eq!(task.now(receiver.recv()), Some(1));
    }

    #[test]
    fn a_permit_granted_to_a_dropped_future_goes_to_the_next_in_line<K>() {
        let (sender, mut receiver) = bounded::<_, K>(1);
        let (first, second) = (Task::new(), Task::new());
        assert_eq!(sender.try_send(0), Ok(()));
        let mut gives_up = sender.reserve();
        let mut next = sender.send(1);
        assert!(first.poll(&mut gives_up).is_pending());
        assert!(second.poll(&mut next).is_pending());
        assert_eq!(receiver.try_recv(), Ok(0));
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        drop(gives_up);
        assert_eq!(second.wakes(), 1);
        assert_eq!(second.poll(&mut next), Poll::Ready(Ok(())));
        assert_eq!(receiver.try_recv(), Ok(1));
    }

    #[test]
    fn many_values_are_sent_as_there_is_room_and_what_is_not_sent_stays<K>() {
        let (sender, mut receiver) = bounded::<_, K>(3);
        let task = Task::new();
        let mut values: VecDeque<_> = (0..7).collect();
        let mut sending = sender.send_many(&mut values);
        assert!(task.poll(&mut sending).is_pending());
        let mut got = Vec::new();
        assert_eq!(task.now(receiver.recv_many(&mut got, 3)), 3);
        assert!(task.poll(&mut sending).is_pending());
        drop(sending);
        assert_eq!(task.now(receiver.recv_many(&mut got, 10)), 3);
        assert_eq!((got, &values), ((0..6).collect(), &VecDeque::from([6])));
        task.now(sender.send_many(&mut values)).expect("room");
        assert!(values.is_empty());
        drop(receiver);
        values.push_back(8);
        assert!(task.now(sender.send_many(&mut values)).is_err());
        assert_eq!(values, [8]);
    }

    #[test]
    fn a_batch_refused_in_line_keeps_its_values<K>() {
        let (sender, mut receiver) = bounded::<_, K>(1);
        let task = Task::new();
        let mut values: VecDeque<_> = (0..3).collect();
        let mut sending = sender.send_many(&mut values);
        assert!(task.poll(&mut sending).is_pending());
        receiver.close();
        assert!(task.poll(&mut sending).is_ready());
        drop(sending);
        assert_eq!(values, [1, 2]);
    }

    #[test]
    fn the_receiver_is_a_stream<K>() {
        let (sender, mut receiver) = bounded::<_, K>(2);
        let task = Task::new();
        sender.try_send(1).expect("room");
        sender.try_send(2).expect("room");
        drop(sender);
        assert_eq!(receiver.size_hint(), (2, None));
        let mut next = || std::pin::Pin::new(&mut receiver).poll_next(&mut task.cx());
        assert_eq!(next(), Poll::Ready(Some(1)));
        assert_eq!(next(), Poll::Ready(Some(2)));
        assert_eq!(next(), Poll::Ready(None));
    }

    #[test]
    fn a_waiter_that_moves_to_another_task_wakes_that_one<K>() {
        let (sender, mut receiver) = bounded::<_, K>(1);
        let (before, after) = (Task::new(), Task::new());
        assert!(before.poll(&mut receiver.recv()).is_pending());
        assert!(after.poll(&mut receiver.recv()).is_pending());
        sender.try_send(1).expect("room");
        assert_eq!((before.wakes(), after.wakes()), (0, 1));
        let mut waiting = sender.send(2);
        assert!(before.poll(&mut waiting).is_pending());
        assert!(after.poll(&mut waiting).is_pending());
        assert_eq!(before.wakers(), 0);
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!((before.wakes(), after.wakes()), (0, 1));
    }

    #[test]
    fn wakers_that_panic_stop_nobody<K>() {
        let waker = panicking_waker();
        let mut cx = Context::from_waker(&waker);
        let (sender, mut receiver) = bounded::<_, K>(1);
        assert!(receiver.poll_recv(&mut cx).is_pending());
        sender.try_send(1).expect("room");
        let mut waiting = sender.send(2);
        assert!(std::pin::Pin::new(&mut waiting).poll(&mut cx).is_pending());
        let task = Task::new();
        let mut other = sender.send(3);
        assert!(task.poll(&mut other).is_pending());
        drop(receiver);
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.poll(&mut other), Poll::Ready(Err(SendError(3))));
    }

    #[test]
    fn an_end_says_how_it_stands<K>() {
        let (sender, receiver) = bounded::<_, K>(3);
        sender.try_send(()).expect("room");
        let expected = "Sender { len: 1, capacity: Some(3), closed: false, .. }";
        assert_eq!(format!("{sender:?}"), expected);
        drop(receiver);
        assert!(format!("{:?}", sender.downgrade()).contains("closed: true"));
    }
}

/// A value that looks at its channel, and sends into it, when it is dropped.
struct CallsBack(Rc<RefCell<Option<Sender<Self, Local>>>>, Rc<Cell<u32>>);

impl Drop for CallsBack {
    fn drop(&mut self) {
        self.1.set(self.1.get() + 1);
        if let Some(sender) = &*self.0.borrow() {
            let _len = sender.len();
            let _refused = sender.is_closed();
            let _woken = sender.try_reserve().map(drop);
        }
    }
}

#[test]
fn a_value_whose_drop_calls_back_finds_the_channel_open_to_it() {
    let (sender, mut receiver): (_, Receiver<CallsBack, Local>) = bounded(2);
    let (shared, drops) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
    let value = || CallsBack(Rc::clone(&shared), Rc::clone(&drops));
    *shared.borrow_mut() = Some(sender.clone());
    let task = Task::new();
    for _ in 0..2 {
        task.now(sender.send(value())).expect("room");
    }
    let (mut gives_up, mut refused) = (sender.send(value()), sender.send(value()));
    assert!(task.poll(&mut gives_up).is_pending());
    assert!(task.poll(&mut refused).is_pending());
    drop(gives_up);
    drop(receiver.try_recv());
    drop(receiver);
    drop(refused);
    assert_eq!(drops.get(), 4);
    drop(task.now(sender.send(value())));
    assert_eq!(drops.get(), 5);
    let last = shared.borrow_mut().take();
    drop(last);
}

#[test]
#[should_panic(expected = "room for a value")]
fn a_bound_of_zero_is_refused() {
    drop(bounded::<u8, Local>(0));
}

#[test]
fn ends_go_where_their_kind_and_their_values_may() {
    fn goes<T: Send + Sync>() {}
    use super::super::shared::mpsc::{Permit, Receiver, Sender, WeakSender};
    // A value that may go but not be shared is enough: each is with one thread at a time.
    goes::<Sender<Cell<u8>>>();
    goes::<WeakSender<Cell<u8>>>();
    goes::<Receiver<Cell<u8>>>();
    goes::<Permit<'_, Cell<u8>>>();
    goes::<super::super::generic::mpsc::SendValue<'_, u8, super::super::kind::Shared>>();
    goes::<super::super::generic::mpsc::Recv<'_, Cell<u8>, super::super::kind::Shared>>();
}

#[test]
fn a_thread_blocks_for_room_and_for_values() {
    let (sender, mut receiver) = super::super::shared::mpsc::bounded(1);
    let producer = std::thread::spawn(move || {
        for number in 0..1000 {
            sender.blocking_send(number).expect("open");
        }
    });
    for number in 0..1000 {
        assert_eq!(receiver.blocking_recv(), Some(number));
    }
    assert_eq!(receiver.blocking_recv(), None);
    producer.join().expect("no panic");
}

#[test]
fn a_blocking_call_on_a_shard_panics() {
    let runtime = crate::Builder::new().build().expect("a runtime");
    let (_sender, mut receiver) = super::super::shared::mpsc::bounded::<u8>(1);
    let panicked = runtime.block_on(async move {
        crate::spawn(async move { receiver.blocking_recv() })
            .await
            .is_err_and(|error| error.is_panic())
    });
    assert!(panicked);
}
