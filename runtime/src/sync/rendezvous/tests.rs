//! Tests of the channel without room, over both kinds, polled by hand.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::super::generic::rendezvous::{SendError, TryRecvError, channel};
use super::super::testing::{Task, both_kinds, panicking_waker};

both_kinds! {
    #[test]
    fn a_send_is_done_when_its_value_was_received<K>() {
        let (sender, mut receiver) = channel::<_, K>();
        let (giver, taker) = (Task::new(), Task::new());
        assert!(taker.poll(&mut receiver.recv()).is_pending());
        let mut sending = sender.send(1);
        assert!(giver.poll(&mut sending).is_pending());
        assert_eq!((giver.wakes(), taker.wakes()), (0, 1));
        assert!(giver.poll(&mut sending).is_pending(), "nobody has received it");
        assert_eq!(taker.now(receiver.recv()), Some(1));
        assert_eq!(giver.wakes(), 1);
        assert_eq!(giver.poll(&mut sending), Poll::Ready(Ok(())));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn senders_are_received_in_the_order_in_which_they_came<K>() {
        let (sender, mut receiver) = channel::<_, K>();
        let task = Task::new();
        let mut sends: Vec<_> = (0..4).map(|number| sender.send(number)).collect();
        for sending in &mut sends {
            assert!(task.poll(sending).is_pending());
        }
        assert_eq!(receiver.waiting(), 4);
        drop(sends.remove(1));
        for number in [0, 2, 3] {
            assert_eq!(task.now(receiver.recv()), Some(number));
        }
        assert!(sends.iter_mut().all(|sending| task.poll(sending).is_ready()));
    }

    #[test]
    fn a_wait_for_the_close_that_is_dropped_leaves_no_place<K>() {
        let (sender, receiver) = channel::<u8, K>();
        let task = Task::new();
        assert!(task.poll(&mut sender.closed()).is_pending());
        assert_eq!(task.wakers(), 0);
        drop(receiver);
        assert_eq!(task.wakes(), 0);
        task.now(sender.closed());
    }

    #[test]
    fn a_dropped_receive_has_taken_nothing<K>() {
        let (sender, mut receiver) = channel::<_, K>();
        let task = Task::new();
        assert!(task.poll(&mut receiver.recv()).is_pending());
        let mut sending = sender.send(1);
        assert!(task.poll(&mut sending).is_pending());
        assert_eq!(task.wakes(), 1);
        assert!(task.poll(&mut sending).is_pending());
        assert_eq!(receiver.try_recv(), Ok(1));
    }

    #[test]
    fn a_send_dropped_in_line_drops_its_value_and_one_received_does_not<K>() {
        let (sender, mut receiver) = channel::<_, K>();
        let task = Task::new();
        let value = Rc::new(());
        let mut gives_up = sender.send(Rc::clone(&value));
        assert!(task.poll(&mut gives_up).is_pending());
        drop(gives_up);
        assert_eq!(Rc::strong_count(&value), 1);
        assert!(receiver.try_recv().is_err());
        let mut received = sender.send(Rc::clone(&value));
        assert!(task.poll(&mut received).is_pending());
        let got = receiver.try_recv();
        drop(received);
        assert!(got.is_ok());
        assert_eq!(Rc::strong_count(&value), 2);
        assert_eq!(task.wakers(), 0);
    }

    #[test]
    fn a_receiver_that_closes_gives_the_values_back<K>() {
        let (sender, mut receiver) = channel::<_, K>();
        let task = Task::new();
        let (mut sending, mut closed) = (sender.send(1), sender.closed());
        assert!(task.poll(&mut sending).is_pending());
        assert!(task.poll(&mut closed).is_pending());
        receiver.close();
        assert_eq!(task.wakes(), 2);
        assert_eq!(task.poll(&mut sending), Poll::Ready(Err(SendError(1))));
        task.now(closed);
        drop(receiver);
        assert_eq!(task.now(sender.send(2)), Err(SendError(2)));
        assert!(sender.is_closed());
    }

    #[test]
    fn the_last_sender_ends_the_channel<K>() {
        let (sender, mut receiver) = channel::<u8, K>();
        let task = Task::new();
        let other = sender.clone();
        drop(sender);
        assert!(task.poll(&mut receiver.recv()).is_pending());
        drop(other);
        assert_eq!(task.wakes(), 1);
        let next = Pin::new(&mut receiver).poll_next(&mut task.cx());
        assert_eq!(next, Poll::Ready(None));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    }

    #[test]
    fn wakers_that_panic_stop_nobody<K>() {
        let waker = panicking_waker();
        let mut cx = Context::from_waker(&waker);
        let (sender, mut receiver) = channel::<_, K>();
        let task = Task::new();
        assert!(receiver.poll_recv(&mut cx).is_pending());
        let (mut first, mut second) = (sender.send(1), sender.send(2));
        assert!(Pin::new(&mut first).poll(&mut cx).is_pending());
        assert!(task.poll(&mut second).is_pending());
        assert_eq!(receiver.try_recv(), Ok(1));
        drop(receiver);
        assert_eq!(task.poll(&mut second), Poll::Ready(Err(SendError(2))));
    }
}

#[test]
fn ends_go_where_their_kind_and_their_values_may() {
    fn goes<T: Send + Sync>() {}
    goes::<super::super::shared::rendezvous::Sender<Cell<u8>>>();
    goes::<super::super::shared::rendezvous::Receiver<Cell<u8>>>();
}

#[test]
fn threads_meet() {
    let (sender, mut receiver) = super::super::shared::rendezvous::channel();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let sender = sender.clone();
            scope.spawn(move || {
                for number in 1..=500_u64 {
                    sender.blocking_send(number).expect("the receiver is there");
                }
            });
        }
        drop(sender);
        let mut sum = 0;
        while let Some(number) = receiver.blocking_recv() {
            sum += number;
        }
        assert_eq!(sum, 250_500);
    });
}
