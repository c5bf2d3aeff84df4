//! Tests of the channel to all, over both kinds, polled by hand.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::super::generic::broadcast::{RecvError, SendError, Sender, TryRecvError, channel};
use super::super::kind::Local;
use super::super::testing::{Task, both_kinds, panicking_waker};

both_kinds! {
    #[test]
    fn every_receiver_gets_every_value_sent_after_it_subscribed<K>() {
        let (sender, mut first) = channel::<_, K>(8);
        let task = Task::new();
        assert_eq!(sender.send(1), Ok(1));
        let mut second = sender.subscribe();
        assert_eq!(sender.send(2), Ok(2));
        let mut third = second.resubscribe();
        assert_eq!(sender.send(3), Ok(3));
        let received = |receiver: &mut super::super::generic::broadcast::Receiver<_, K>| {
            std::iter::from_fn(|| receiver.try_recv().ok()).collect::<Vec<_>>()
        };
        assert_eq!((first.len(), second.len(), third.len()), (3, 2, 1));
        assert_eq!(received(&mut first), [1, 2, 3]);
        assert_eq!(received(&mut second), [2, 3]);
        assert_eq!(task.now(third.recv()), Ok(3));
        assert!(sender.is_empty(), "all have seen all");
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn all_who_wait_are_woken_once<K>() {
        let (sender, mut first) = channel::<_, K>(8);
        let mut second = sender.subscribe();
        let tasks = [Task::new(), Task::new()];
        assert!(tasks[0].poll(&mut first.recv()).is_pending());
        assert!(tasks[1].poll(&mut second.recv()).is_pending());
        sender.send(1).expect("receivers");
        sender.send(2).expect("receivers");
        assert_eq!(tasks.each_ref().map(Task::wakes), [1, 1]);
        assert_eq!(tasks[0].now(first.recv()), Ok(1));
        assert_eq!(tasks[1].now(second.recv()), Ok(1));
        drop((first, second));
        assert_eq!(tasks.each_ref().map(Task::wakers), [0, 0]);
    }

    #[test]
    fn a_slow_receiver_learns_what_it_missed_and_goes_on<K>() {
        let (sender, mut slow) = channel::<_, K>(2);
        let mut fast = sender.subscribe();
        let task = Task::new();
        for number in 0..5 {
            sender.send(number).expect("receivers");
            assert_eq!(fast.try_recv(), Ok(number));
        }
        assert_eq!(slow.len(), 2);
        assert_eq!(task.now(slow.recv()), Err(RecvError::Lagged(3)));
        assert_eq!(task.now(slow.recv()), Ok(3));
        sender.send(5).expect("receivers");
        sender.send(6).expect("receivers");
        assert_eq!(slow.try_recv(), Err(TryRecvError::Lagged(1)));
        assert_eq!((slow.try_recv(), slow.try_recv()), (Ok(5), Ok(6)));
        assert_eq!((fast.try_recv(), fast.try_recv()), (Ok(5), Ok(6)));
        assert!(sender.is_empty());
    }

    #[test]
    fn the_last_sender_ends_the_channel_and_what_is_kept_is_still_received<K>() {
        let (sender, mut receiver) = channel::<_, K>(2);
        let task = Task::new();
        let other = sender.clone();
        assert!(task.poll(&mut receiver.recv()).is_pending());
        drop(sender);
        assert_eq!(task.wakes(), 0);
        other.send(1).expect("a receiver");
        drop(other);
        assert_eq!(task.now(receiver.recv()), Ok(1));
        assert_eq!(task.now(receiver.recv()), Err(RecvError::Closed));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
        let next = Pin::new(&mut receiver).poll_next(&mut task.cx());
        assert_eq!(next, Poll::Ready(None));
    }

    #[test]
    fn an_end_wakes_who_waits<K>() {
        let (sender, mut receiver) = channel::<u8, K>(2);
        let task = Task::new();
        assert!(task.poll(&mut receiver.recv()).is_pending());
        drop(sender);
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.now(receiver.recv()), Err(RecvError::Closed));
    }

    #[test]
    fn a_value_goes_as_soon_as_all_have_seen_it_or_are_gone<K>() {
        let value = Rc::new(());
        let (sender, mut first) = channel::<_, K>(4);
        let (second, third) = (sender.subscribe(), sender.subscribe());
        for _ in 0..3 {
            sender.send(Rc::clone(&value)).expect("receivers");
        }
        assert_eq!(Rc::strong_count(&value), 4);
        drop(first.try_recv());
        drop(second);
        assert_eq!(Rc::strong_count(&value), 4);
        drop(third);
        assert_eq!((Rc::strong_count(&value), sender.len()), (3, 2));
        drop(first);
        assert_eq!(Rc::strong_count(&value), 1);
        assert!(sender.send(value).is_err());
    }

    #[test]
    fn a_value_pushed_out_is_dropped_and_the_lone_receiver_gets_the_value_itself<K>() {
        let (sender, mut receiver) = channel::<_, K>(1);
        let values = [Rc::new(1), Rc::new(2)];
        sender.send(Rc::clone(&values[0])).expect("a receiver");
        sender.send(Rc::clone(&values[1])).expect("a receiver");
        assert_eq!(Rc::strong_count(&values[0]), 1);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(1)));
        let got = receiver.try_recv().expect("the second");
        assert_eq!((*got, Rc::strong_count(&got)), (2, 2));
    }

    #[test]
    fn a_dropped_receive_has_taken_nothing<K>() {
        let (sender, mut receiver) = channel::<_, K>(4);
        let task = Task::new();
        {
            let mut receive = receiver.recv();
            assert!(task.poll(&mut receive).is_pending());
            sender.send(1).expect("a receiver");
        }
        assert_eq!((task.wakes(), task.wakers()), (1, 0));
        assert_eq!(task.now(receiver.recv()), Ok(1));
    }

    #[test]
    fn a_wait_for_the_close_that_is_dropped_leaves_no_place<K>() {
        let (sender, receiver) = channel::<u8, K>(4);
        let task = Task::new();
        assert!(task.poll(&mut sender.closed()).is_pending());
        assert_eq!(task.wakers(), 0);
        drop(receiver);
        assert_eq!(task.wakes(), 0);
        task.now(sender.closed());
    }

    #[test]
    fn a_sender_learns_that_nobody_listens<K>() {
        let (sender, receiver) = channel::<_, K>(1);
        let task = Task::new();
        let mut closed = sender.closed();
        assert!(task.poll(&mut closed).is_pending());
        assert_eq!(sender.receiver_count(), 1);
        drop(receiver);
        assert_eq!(task.wakes(), 1);
        assert!(task.poll(&mut closed).is_ready());
        assert_eq!(sender.send(1), Err(SendError(1)));
        let mut late = sender.subscribe();
        assert_eq!(sender.send(2), Ok(1));
        assert_eq!(late.try_recv(), Ok(2));
    }

    #[test]
    fn a_waker_that_panics_keeps_nobody_from_being_woken<K>() {
        let waker = panicking_waker();
        let mut cx = Context::from_waker(&waker);
        let (sender, mut first) = channel::<_, K>(1);
        let mut second = sender.subscribe();
        let task = Task::new();
        assert!(first.poll_recv(&mut cx).is_pending());
        assert!(task.poll(&mut second.recv()).is_pending());
        assert_eq!(sender.send(1), Ok(2));
        assert_eq!(task.wakes(), 1);
    }

    #[test]
    fn an_end_says_how_it_stands<K>() {
        let (sender, receiver) = channel::<_, K>(4);
        sender.send(1).expect("a receiver");
        assert_eq!(format!("{sender:?}"), "Sender { len: 1, receivers: 1, .. }");
        assert_eq!(format!("{receiver:?}"), "Receiver { len: 1, .. }");
    }
}

/// A value that uses its channel when it is cloned and when it is dropped.
struct CallsBack(Rc<RefCell<Option<Sender<Self, Local>>>>, Rc<Cell<u32>>);

impl CallsBack {
    fn call(&self) {
        self.1.set(self.1.get() + 1);
        if let Some(sender) = &*self.0.borrow() {
            assert!(sender.len() <= 2);
        }
    }
}

impl Clone for CallsBack {
    fn clone(&self) -> Self {
        self.call();
        Self(Rc::clone(&self.0), Rc::clone(&self.1))
    }
}

impl Drop for CallsBack {
    fn drop(&mut self) {
        self.call();
    }
}

#[test]
fn a_value_whose_clone_and_drop_call_back_finds_the_channel_open_to_it() {
    let (sender, mut first) = channel::<_, Local>(2);
    let mut second = sender.subscribe();
    let (shared, calls) = (Rc::new(RefCell::new(Some(sender.clone()))), Rc::default());
    let value = CallsBack(Rc::clone(&shared), Rc::clone(&calls));
    for _ in 0..3 {
        assert!(sender.send(value.clone()).is_ok());
    }
    assert_eq!(calls.get(), 4, "three clones, and one was pushed out");
    assert!(first.try_recv().is_err() && first.try_recv().is_ok());
    assert_eq!(calls.get(), 6);
    assert!(second.try_recv().is_err() && second.try_recv().is_ok());
    assert_eq!(calls.get(), 7, "the last to see it has the value itself");
    drop((first, second));
    drop(sender.send(value));
    assert_eq!(calls.get(), 9);
    let last = shared.borrow_mut().take();
    drop(last);
}

#[test]
#[should_panic(expected = "room for a value")]
fn a_bound_of_zero_is_refused() {
    drop(channel::<u8, Local>(0));
}

#[test]
fn ends_go_where_their_kind_and_their_values_may() {
    fn goes<T: Send + Sync>() {}
    goes::<super::super::shared::broadcast::Sender<u8>>();
    goes::<super::super::shared::broadcast::Receiver<u8>>();
}

#[test]
fn threads_that_keep_up_get_every_value_and_others_learn_what_they_missed() {
    let (sender, receiver) = super::super::shared::broadcast::channel(16);
    std::thread::scope(|scope| {
        let listeners = [(); 2].map(|()| {
            let mut receiver = receiver.resubscribe();
            scope.spawn(move || {
                let (mut seen, mut last) = (0, 0);
                loop {
                    match receiver.blocking_recv() {
                        Ok(number) => {
                            assert!(number > last);
                            (seen, last) = (seen + 1, number);
                        }
                        Err(RecvError::Lagged(missed)) => seen += missed,
                        Err(RecvError::Closed) => return (seen, last),
                    }
                }
            })
        });
        drop(receiver);
        for number in 1..=1000_u64 {
            assert_eq!(sender.send(number), Ok(2));
        }
        drop(sender);
        for listener in listeners {
            assert_eq!(listener.join().expect("no panic"), (1000, 1000));
        }
    });
}
