//! Tests of the last value, over both kinds, polled by hand.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::super::generic::watch::{Receiver, RecvError, SendError, channel};
use super::super::kind::Local;
use super::super::testing::{Task, both_kinds, panicking_waker};

both_kinds! {
    #[test]
    fn a_receiver_sees_the_last_value_once<K>() {
        let (sender, mut receiver) = channel::<_, K>(0);
        let task = Task::new();
        assert_eq!(*receiver.borrow(), 0);
        assert_eq!(receiver.has_changed(), Ok(false));
        let mut changed = receiver.changed();
        assert!(task.poll(&mut changed).is_pending());
        assert_eq!(sender.send(1), Ok(()));
        assert_eq!(sender.send(2), Ok(()));
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.poll(&mut changed), Poll::Ready(Ok(())));
        drop(changed);
        assert_eq!(*receiver.borrow(), 2);
        assert!(task.poll(&mut receiver.changed()).is_pending());
        assert_eq!(task.wakers(), 0);
    }

    #[test]
    fn a_value_is_seen_by_a_change_or_by_borrow_and_update_and_not_by_borrow<K>() {
        let (sender, mut receiver) = channel::<_, K>('a');
        let task = Task::new();
        sender.send('b').expect("a receiver");
        assert!(receiver.borrow().has_changed());
        assert_eq!(receiver.has_changed(), Ok(true));
        let seen = receiver.borrow_and_update();
        assert_eq!((*seen, seen.has_changed()), ('b', true));
        drop(seen);
        assert_eq!(receiver.has_changed(), Ok(false));
        receiver.mark_changed();
        assert_eq!(task.now(receiver.changed()), Ok(()));
        receiver.mark_changed();
        receiver.mark_unchanged();
        assert!(task.poll(&mut receiver.changed()).is_pending());
    }

    #[test]
    fn every_receiver_that_waits_is_woken<K>() {
        let (sender, mut first) = channel::<_, K>(0);
        let (mut second, mut third) = (first.clone(), sender.subscribe());
        let tasks = [(); 3].map(|()| Task::new());
        let mut waits = [first.changed(), second.changed(), third.changed()];
        for (task, wait) in tasks.iter().zip(&mut waits) {
            assert!(task.poll(wait).is_pending());
        }
        sender.send(1).expect("receivers");
        assert_eq!(tasks.each_ref().map(Task::wakes), [1, 1, 1]);
        for (task, wait) in tasks.iter().zip(&mut waits) {
            assert_eq!(task.poll(wait), Poll::Ready(Ok(())));
        }
    }

    #[test]
    fn the_last_value_is_seen_before_the_end<K>() {
        let (sender, mut receiver) = channel::<_, K>(0);
        let task = Task::new();
        let other = sender.clone();
        sender.send(1).expect("a receiver");
        drop(sender);
        assert_eq!(task.now(receiver.changed()), Ok(()));
        let mut changed = receiver.changed();
        assert!(task.poll(&mut changed).is_pending());
        drop(other);
        assert_eq!(task.poll(&mut changed), Poll::Ready(Err(RecvError)));
        drop(changed);
        assert_eq!(receiver.has_changed(), Err(RecvError));
        assert_eq!(*receiver.borrow(), 1);
    }

    #[test]
    fn a_wait_for_a_condition_looks_first_and_at_each_change<K>() {
        let (sender, mut receiver) = channel::<_, K>(0);
        let task = Task::new();
        assert_eq!(task.now(receiver.wait_for(|value| *value == 0)).as_deref(), Ok(&0));
        let mut wait = receiver.wait_for(|value| *value > 1);
        assert!(task.poll(&mut wait).is_pending());
        sender.send(1).expect("a receiver");
        assert_eq!(task.wakes(), 1);
        assert!(task.poll(&mut wait).is_pending());
        sender.send(2).expect("a receiver");
        match task.poll(&mut wait) {
            Poll::Ready(Ok(value)) => assert_eq!((*value, value.has_changed()), (2, true)),
            other => panic!("{other:?}"),
        }
        drop(wait);
        let mut never = receiver.wait_for(|value| *value == 9);
        assert!(task.poll(&mut never).is_pending());
        drop(sender);
        assert!(matches!(task.poll(&mut never), Poll::Ready(Err(RecvError))));
    }

    #[test]
    fn only_what_was_modified_wakes<K>() {
        let (sender, mut receiver) = channel::<_, K>(vec![1]);
        let task = Task::new();
        let mut changed = receiver.changed();
        assert!(task.poll(&mut changed).is_pending());
        assert!(!sender.send_if_modified(|_| false));
        assert_eq!(task.wakes(), 0);
        sender.send_modify(|value| value.push(2));
        assert_eq!(task.wakes(), 1);
        assert_eq!(*sender.borrow(), [1, 2]);
        assert_eq!(sender.send_replace(Vec::new()), [1, 2]);
    }

    #[test]
    fn a_modification_that_panics_wakes_nobody_and_the_channel_goes_on<K>() {
        let (sender, mut receiver) = channel::<_, K>(0);
        let task = Task::new();
        let mut changed = receiver.changed();
        assert!(task.poll(&mut changed).is_pending());
        let modify = || sender.send_modify(|_| panic!("on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(modify)).is_err());
        assert_eq!(task.wakes(), 0);
        sender.send(1).expect("a receiver");
        assert_eq!(task.poll(&mut changed), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_wait_that_is_dropped_has_seen_nothing<K>() {
        let (sender, mut receiver) = channel::<_, K>(0);
        let task = Task::new();
        assert!(task.poll(&mut sender.closed()).is_pending());
        {
            let mut changed = receiver.changed();
            assert!(task.poll(&mut changed).is_pending());
            sender.send(1).expect("a receiver");
        }
        assert_eq!(task.now(receiver.changed()), Ok(()), "it counts as new");
        {
            let mut wait = receiver.wait_for(|value| *value == 3);
            assert!(task.poll(&mut wait).is_pending());
            sender.send(3).expect("a receiver");
        }
        assert_eq!(receiver.has_changed(), Ok(true));
        assert_eq!(*task.now(receiver.wait_for(|value| *value == 3)).expect("open"), 3);
        assert_eq!(task.wakers(), 0);
    }

    #[test]
    fn a_sender_learns_that_nobody_looks<K>() {
        let (sender, receiver) = channel::<_, K>(0);
        let task = Task::new();
        let mut closed = sender.closed();
        assert!(task.poll(&mut closed).is_pending());
        let other = receiver.clone();
        assert_eq!(sender.receiver_count(), 2);
        drop(receiver);
        assert_eq!(task.wakes(), 0);
        drop(other);
        assert_eq!(task.wakes(), 1);
        assert!(task.poll(&mut closed).is_ready());
        assert_eq!(sender.send(1), Err(SendError(1)));
        assert_eq!(sender.send_replace(2), 0);
        assert_eq!(*sender.subscribe().borrow(), 2);
    }

    #[test]
    fn a_waker_that_panics_keeps_nobody_from_being_woken<K>() {
        let waker = panicking_waker();
        let mut cx = Context::from_waker(&waker);
        let (sender, mut first) = channel::<_, K>(0);
        let mut second = first.clone();
        let task = Task::new();
        let (mut panics, mut changed) = (first.changed(), second.changed());
        assert!(Pin::new(&mut panics).poll(&mut cx).is_pending());
        assert!(task.poll(&mut changed).is_pending());
        sender.send(1).expect("receivers");
        assert_eq!(task.wakes(), 1);
    }

    #[test]
    fn an_end_says_how_it_stands<K>() {
        let (sender, receiver) = channel::<_, K>(0);
        sender.send(1).expect("a receiver");
        assert_eq!(format!("{sender:?}"), "Sender { version: 1, receivers: 1, .. }");
        assert_eq!(format!("{receiver:?}"), "Receiver { version: 1, seen: 0, .. }");
        assert_eq!(format!("{:?}", receiver.borrow()), "1");
    }
}

type Callback = Rc<RefCell<Option<Receiver<Option<CallsBack>, Local>>>>;

/// A value that looks at its channel when it is dropped.
struct CallsBack(Callback);

impl Drop for CallsBack {
    fn drop(&mut self) {
        if let Some(receiver) = &*self.0.borrow() {
            assert!(receiver.borrow().is_none());
        }
    }
}

#[test]
fn a_value_whose_drop_calls_back_finds_the_channel_open_to_it() {
    let shared = Callback::default();
    let (sender, receiver) = channel(Some(CallsBack(Rc::clone(&shared))));
    *shared.borrow_mut() = Some(receiver);
    assert!(sender.send(None).is_ok());
    let receiver = shared.borrow_mut().take();
    drop(receiver);
}

#[test]
#[should_panic(expected = "borrowed")]
fn a_value_that_is_borrowed_cannot_be_set_on_the_same_shard() {
    let (sender, receiver) = channel::<_, Local>(0);
    let _kept = receiver.borrow();
    let _refused = sender.send(1);
}

#[test]
fn ends_go_where_their_kind_and_their_value_may() {
    fn goes<T: Send + Sync>() {}
    goes::<super::super::shared::watch::Sender<u8>>();
    goes::<super::super::shared::watch::Receiver<u8>>();
}

#[test]
fn threads_see_values_that_only_grow_and_the_last_one() {
    let (sender, receiver) = super::super::shared::watch::channel(0_u64);
    std::thread::scope(|scope| {
        let lookers = [(); 2].map(|()| {
            let mut receiver = receiver.clone();
            scope.spawn(move || {
                let mut last = 0;
                while super::super::block::block_on(receiver.changed()).is_ok() {
                    let value = *receiver.borrow_and_update();
                    assert!(value >= last);
                    last = value;
                }
                last
            })
        });
        for value in 1..=1000 {
            sender.send(value).expect("receivers");
        }
        drop(sender);
        for looker in lookers {
            assert_eq!(looker.join().expect("no panic"), 1000);
        }
    });
}
