//! Tests of the channel for one value, over both kinds, polled by hand.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::super::generic::oneshot::{Receiver, RecvError, TryRecvError, channel};
use super::super::kind::Local;
use super::super::testing::{Task, both_kinds, panicking_waker};

both_kinds! {
    #[test]
    fn a_value_is_received_once<K>() {
        let (sender, mut receiver) = channel::<_, K>();
        let task = Task::new();
        assert!(task.poll(&mut receiver).is_pending());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(sender.send(5), Ok(()));
        assert_eq!(task.wakes(), 1);
        assert!(receiver.is_ready() && !receiver.is_closed());
        assert_eq!(task.poll(&mut receiver), Poll::Ready(Ok(5)));
        assert_eq!(task.poll(&mut receiver), Poll::Ready(Err(RecvError)));
        assert!(receiver.is_closed());
    }

    #[test]
    fn what_is_left_and_taken_up_again_has_lost_nothing<K>() {
        let (mut sender, mut receiver) = channel::<_, K>();
        let task = Task::new();
        assert!(task.poll(&mut sender.closed()).is_pending());
        {
            let mut receive = &mut receiver;
            assert!(task.poll(&mut receive).is_pending());
            sender.send(5).expect("a receiver");
        }
        assert_eq!(task.now(&mut receiver), Ok(5));
    }

    #[test]
    fn a_sender_that_is_dropped_ends_the_wait<K>() {
        let (sender, mut receiver) = channel::<u8, K>();
        let task = Task::new();
        assert!(task.poll(&mut receiver).is_pending());
        drop(sender);
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.poll(&mut receiver), Poll::Ready(Err(RecvError)));
    }

    #[test]
    fn a_receiver_that_is_dropped_is_seen_and_the_value_comes_back<K>() {
        let (mut sender, receiver) = channel::<_, K>();
        let task = Task::new();
        assert!(task.poll(&mut sender.closed()).is_pending());
        assert!(!sender.is_closed());
        drop(receiver);
        assert_eq!(task.wakes(), 1);
        task.now(sender.closed());
        assert_eq!(sender.send(5), Err(5));
        assert_eq!(task.wakers(), 0);
    }

    #[test]
    fn a_value_sent_before_the_close_is_received_and_one_after_it_comes_back<K>() {
        let (sender, mut receiver) = channel::<_, K>();
        assert_eq!(sender.send(1), Ok(()));
        receiver.close();
        assert_eq!(receiver.try_recv(), Ok(1));
        let (sender, mut receiver) = channel::<_, K>();
        receiver.close();
        assert_eq!(sender.send(1), Err(1));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    }

    #[test]
    fn a_dropped_receiver_drops_the_value<K>() {
        let value = Rc::new(());
        let (sender, receiver) = channel::<_, K>();
        assert!(sender.send(Rc::clone(&value)).is_ok());
        drop(receiver);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn a_receive_that_moves_to_another_task_wakes_that_one<K>() {
        let (sender, mut receiver) = channel::<_, K>();
        let (before, after) = (Task::new(), Task::new());
        assert!(before.poll(&mut receiver).is_pending());
        assert!(after.poll(&mut receiver).is_pending());
        assert_eq!(before.wakers(), 0);
        assert_eq!(sender.send(1), Ok(()));
        assert_eq!((before.wakes(), after.wakes()), (0, 1));
    }

    #[test]
    fn a_waker_that_panics_keeps_no_value_from_being_sent<K>() {
        let waker = panicking_waker();
        let (sender, mut receiver) = channel::<_, K>();
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut receiver).poll(&mut cx).is_pending());
        assert_eq!(sender.send(1), Ok(()));
        assert_eq!(receiver.try_recv(), Ok(1));
    }
}

type Callback = Rc<RefCell<Option<Receiver<CallsBack, Local>>>>;

/// A value that looks at its channel when it is dropped.
#[derive(Debug)]
struct CallsBack(Callback, Rc<Cell<bool>>);

impl Drop for CallsBack {
    fn drop(&mut self) {
        if let Ok(receiver) = self.0.try_borrow()
            && let Some(receiver) = &*receiver
        {
            self.1.set(receiver.is_closed());
        }
    }
}

#[test]
fn a_value_whose_drop_calls_back_finds_the_channel_open_to_it() {
    let (sender, mut receiver) = channel::<_, Local>();
    receiver.close();
    let (shared, seen) = (Rc::new(RefCell::new(Some(receiver))), Rc::default());
    drop(sender.send(CallsBack(Rc::clone(&shared), Rc::clone(&seen))));
    assert!(seen.get());
}

#[test]
fn ends_go_where_their_kind_and_their_value_may() {
    fn goes<T: Send + Sync>() {}
    goes::<super::super::shared::oneshot::Sender<Cell<u8>>>();
    goes::<super::super::shared::oneshot::Receiver<Cell<u8>>>();
}

#[test]
fn a_thread_blocks_for_the_value() {
    let (sender, receiver) = super::super::shared::oneshot::channel();
    let producer = std::thread::spawn(move || sender.send(5));
    assert_eq!(receiver.blocking_recv(), Ok(5));
    assert_eq!(producer.join().expect("no panic"), Ok(()));
}
