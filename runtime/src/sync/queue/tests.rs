//! Tests of the queues, over both kinds and every order, polled by hand.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll};

use super::super::generic::queue::{Fifo, GetError, Lifo, Order, Prioritized, Priority, PutError};
use super::super::generic::queue::{Queue, TooManyDone, TryGetError, TryPutError};
use super::super::kind::{Kind, Local};
use super::super::testing::{Task, both_kinds, panicking_waker};

/// Runs the rest of a test for each order.
macro_rules! every_order {
    ($body:ident, $kind:ident) => {
        $body::<Fifo<u32>, $kind>();
        $body::<Lifo<u32>, $kind>();
        $body::<Priority<u32>, $kind>();
    };
}

type Plain<T, K> = Queue<Fifo<T>, K>;

/// Puts 1, 3, 2 and gets three.
fn three_items<O: Order<Item = u32>, K: Kind>() -> Vec<u32> {
    let (queue, task) = (Queue::<O, K>::new(), Task::new());
    for item in [1, 3, 2] {
        task.now(queue.put(item)).expect("not shut down");
    }
    (0..3)
        .map(|_| task.now(queue.get()).expect("an item"))
        .collect()
}

both_kinds! {
    #[test]
    fn a_queue_says_how_it_stands<K>() {
        let (queue, task) = (Plain::<_, K>::bounded(1), Task::new());
        let mut getter = queue.get();
        assert!(task.poll(&mut getter).is_pending());
        assert!(format!("{queue:?}").contains("getters: 1, putters: 0, shut_down: false"));
        queue.try_put(0).expect("room");
        assert_eq!(task.poll(&mut getter), Poll::Ready(Ok(0)));
        queue.try_put(1).expect("room");
        let mut putter = queue.put(2);
        assert!(task.poll(&mut putter).is_pending());
        queue.shutdown();
        let expected = "Queue { len: 1, capacity: Some(1), unfinished: 2, getters: 0, putters: 0, \
                        shut_down: true, .. }";
        assert_eq!(format!("{queue:?}"), expected);
        let waiting = Plain::<_, K>::bounded(1);
        waiting.try_put(1).expect("room");
        let mut putter = waiting.put(2);
        assert!(task.poll(&mut putter).is_pending());
        assert!(format!("{waiting:?}").contains("putters: 1"));
    }

    #[test]
    fn a_queue_is_empty_before_the_first_and_after_the_last_item<K>() {
        let (queue, task) = (Plain::<_, K>::new(), Task::new());
        assert!(queue.is_empty());
        task.now(queue.put(1)).expect("not shut down");
        assert!(!queue.is_empty());
        assert_eq!(task.now(queue.get()), Ok(1));
        assert!(queue.is_empty());
    }

    #[test]
    fn a_queue_is_full_at_its_bound_and_never_without_one<K>() {
        let (queue, task) = (Plain::<_, K>::new(), Task::new());
        for item in 0..1000 {
            assert!(!queue.is_full());
            task.now(queue.put(item)).expect("not shut down");
        }
        assert_eq!(queue.capacity(), None);
        let queue = Plain::<_, K>::bounded(1);
        assert!(!queue.is_full());
        task.now(queue.put(1)).expect("not shut down");
        assert!(queue.is_full());
        assert_eq!(queue.capacity(), Some(1));
    }

    #[test]
    fn items_come_out_in_the_order_in_which_they_went_in<K>() {
        assert_eq!(three_items::<Fifo<u32>, K>(), [1, 3, 2]);
    }

    #[test]
    fn a_lifo_queue_gives_the_last_item_first<K>() {
        assert_eq!(three_items::<Lifo<u32>, K>(), [2, 3, 1]);
    }

    #[test]
    fn a_priority_queue_gives_the_least_item_first<K>() {
        assert_eq!(three_items::<Priority<u32>, K>(), [1, 2, 3]);
    }

    #[test]
    fn items_of_one_priority_come_out_in_their_order<K>() {
        let (queue, task) = (Queue::<Priority<_>, K>::new(), Task::new());
        for (priority, item) in [(1, 'c'), (0, 'a'), (1, 'd'), (0, 'b'), (1, 'e')] {
            let put = Prioritized { priority, item };
            task.now(queue.put(put)).expect("not shut down");
        }
        let got: String = (0..5)
            .map(|_| task.now(queue.get()).expect("an item").item)
            .collect();
        assert_eq!(got, "abcde");
    }

    #[test]
    fn a_putter_waits_at_the_bound_and_goes_on_after_a_get<K>() {
        let (queue, task) = (Plain::<_, K>::bounded(2), Task::new());
        task.now(queue.put(0)).expect("room");
        task.now(queue.put(1)).expect("room");
        let mut third = queue.put(2);
        assert!(task.poll(&mut third).is_pending());
        assert_eq!(queue.len(), 2);
        assert_eq!(task.now(queue.get()), Ok(0));
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.poll(&mut third), Poll::Ready(Ok(())));
        assert_eq!((task.now(queue.get()), task.now(queue.get())), (Ok(1), Ok(2)));
    }

    #[test]
    fn a_getter_waits_for_an_item_and_is_woken_by_a_put<K>() {
        let (queue, task) = (Plain::<_, K>::new(), Task::new());
        let mut getter = queue.get();
        assert!(task.poll(&mut getter).is_pending());
        queue.try_put(1).expect("room");
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.poll(&mut getter), Poll::Ready(Ok(1)));
    }

    #[test]
    fn what_cannot_be_done_at_once_says_so<K>() {
        let queue = Plain::<_, K>::bounded(1);
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        assert_eq!(queue.try_put(1), Ok(()));
        assert_eq!(queue.try_put(2), Err(TryPutError::Full(2)));
        assert_eq!(queue.try_put(3).map_err(TryPutError::into_inner), Err(3));
        assert_eq!(queue.try_get(), Ok(1));
    }

    #[test]
    fn a_getter_that_gives_up_leaves_the_line_to_the_next<K>() {
        let (queue, task) = (Plain::<_, K>::new(), Task::new());
        let (mut first, mut second) = (queue.get(), queue.get());
        assert!(task.poll(&mut first).is_pending());
        assert!(task.poll(&mut second).is_pending());
        drop(first);
        task.now(queue.put('a')).expect("room");
        assert_eq!(task.poll(&mut second), Poll::Ready(Ok('a')));
    }

    #[test]
    fn what_a_getter_was_promised_goes_to_the_next_if_it_gives_up<K>() {
        let (queue, tasks) = (Plain::<_, K>::new(), [(); 3].map(|()| Task::new()));
        let [mut first, mut second, mut third] = [queue.get(), queue.get(), queue.get()];
        assert!(tasks[0].poll(&mut first).is_pending());
        assert!(tasks[1].poll(&mut second).is_pending());
        assert!(tasks[2].poll(&mut third).is_pending());
        queue.try_put(1).expect("room");
        queue.try_put(2).expect("room");
        assert_eq!(tasks.each_ref().map(Task::wakes), [1, 1, 0]);
        assert_eq!(queue.try_get(), Err(TryGetError::Empty), "both are promised");
        drop(first);
        assert_eq!(tasks.each_ref().map(Task::wakes), [0, 0, 1]);
        assert_eq!(tasks[2].poll(&mut third), Poll::Ready(Ok(1)));
        assert_eq!(tasks[1].poll(&mut second), Poll::Ready(Ok(2)));
    }

    #[test]
    fn a_promised_item_stays_in_its_place_when_its_getter_gives_up<K>() {
        let (queue, task) = (Plain::<_, K>::new(), Task::new());
        let mut getter = queue.get();
        assert!(task.poll(&mut getter).is_pending());
        queue.try_put(1).expect("room");
        queue.try_put(2).expect("room");
        drop(getter);
        assert_eq!((queue.try_get(), queue.try_get()), (Ok(1), Ok(2)));
    }

    #[test]
    fn putters_and_getters_at_a_bound_of_one_all_come_to_an_end<K>() {
        let (queue, task) = (Plain::<_, K>::bounded(1), Task::new());
        let mut puts: Vec<_> = (0..5).map(|item| queue.put(item)).collect();
        let mut gets: Vec<_> = (0..5).map(|_| queue.get()).collect();
        for get in &mut gets[..3] {
            assert!(task.poll(get).is_pending());
        }
        let mut put = 0;
        let mut got = Vec::new();
        for _ in 0..5 {
            while puts.get_mut(put).is_some_and(|put| task.poll(put).is_ready()) {
                put += 1;
            }
            let rest = gets.iter_mut().skip(got.len());
            let ready = rest.map_while(|get| match task.poll(get) {
                Poll::Ready(item) => Some(item.expect("an item")),
                Poll::Pending => None,
            });
            got.extend(ready.collect::<Vec<_>>());
        }
        assert_eq!(got, [0, 1, 2, 3, 4]);
        assert!(queue.is_empty());
    }

    #[test]
    fn nobody_who_gives_up_is_left_in_a_line<K>() {
        let (queue, task) = (Plain::<_, K>::bounded(1), Task::new());
        let mut getter = queue.get();
        assert!(task.poll(&mut getter).is_pending());
        drop(getter);
        assert!(format!("{queue:?}").contains("getters: 0"));
        queue.try_put(1).expect("room");
        let mut putter = queue.put(2);
        assert!(task.poll(&mut putter).is_pending());
        assert!(format!("{queue:?}").contains("putters: 1"));
        drop(putter);
        assert!(format!("{queue:?}").contains("putters: 0"));
        let mut joiner = queue.join();
        assert!(task.poll(&mut joiner).is_pending());
        drop(joiner);
        assert_eq!(task.wakers(), 0);
        assert_eq!(queue.try_get(), Ok(1));
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    }

    #[test]
    fn a_put_dropped_after_it_was_let_in_has_put<K>() {
        let (queue, task) = (Plain::<_, K>::bounded(1), Task::new());
        queue.try_put(1).expect("room");
        let mut putter = queue.put(2);
        assert!(task.poll(&mut putter).is_pending());
        assert_eq!(queue.try_get(), Ok(1));
        drop(putter);
        assert_eq!(queue.try_get(), Ok(2));
        assert_eq!((queue.len(), queue.unfinished()), (0, 2));
    }

    #[test]
    fn a_put_that_gives_up_in_line_puts_nothing_and_the_next_goes_on<K>() {
        let (queue, task) = (Plain::<_, K>::bounded(1), Task::new());
        task.now(queue.put('a')).expect("room");
        let (mut second, mut gives_up, mut last) =
            (queue.put('b'), queue.put('X'), queue.put('c'));
        assert!(task.poll(&mut second).is_pending());
        assert!(task.poll(&mut gives_up).is_pending());
        assert!(task.poll(&mut last).is_pending());
        drop(gives_up);
        assert_eq!((queue.try_get(), queue.try_get()), (Ok('a'), Ok('b')));
        assert_eq!(task.poll(&mut second), Poll::Ready(Ok(())));
        assert_eq!(task.poll(&mut last), Poll::Ready(Ok(())));
        assert_eq!(queue.try_get(), Ok('c'));
    }

    #[test]
    fn all_who_wait_for_room_get_it_as_several_items_are_got<K>() {
        let (queue, task) = (Plain::<_, K>::bounded(2), Task::new());
        let mut puts: Vec<_> = (0..4).map(|item| queue.put(item)).collect();
        let ready = puts.iter_mut().map(|put| task.poll(put).is_ready());
        assert_eq!(ready.collect::<Vec<_>>(), [true, true, false, false]);
        assert_eq!((queue.try_get(), queue.try_get()), (Ok(0), Ok(1)));
        assert!(puts.iter_mut().skip(2).all(|put| task.poll(put).is_ready()));
        assert!(queue.is_full());
    }

    #[test]
    fn an_item_too_many_cannot_be_done<K>() {
        fn body<O: Order<Item = u32>, K: Kind>() {
            let queue = Queue::<O, K>::new();
            assert_eq!(queue.task_done(), Err(TooManyDone));
        }
        every_order!(body, K);
    }

    #[test]
    fn a_join_waits_until_every_item_is_done<K>() {
        fn body<O: Order<Item = u32>, K: Kind>() {
            let (queue, task, joiner) = (Queue::<O, K>::new(), Task::new(), Task::new());
            for item in 0..100 {
                queue.try_put(item).expect("not shut down");
            }
            let mut join = queue.join();
            assert!(joiner.poll(&mut join).is_pending());
            let mut sum = 0;
            for _ in 0..100 {
                assert_eq!(joiner.wakes(), 0);
                sum += task.now(queue.get()).expect("an item");
                assert!(joiner.poll(&mut join).is_pending());
                queue.task_done().expect("put before");
            }
            assert_eq!((sum, joiner.wakes()), (4950, 1));
            queue.try_put(0).expect("not shut down");
            assert!(joiner.poll(&mut join).is_ready(), "it was done at one time");
        }
        every_order!(body, K);
    }

    #[test]
    fn an_item_of_a_putter_in_line_counts_once_it_is_let_in<K>() {
        let (queue, task) = (Plain::<_, K>::bounded(1), Task::new());
        queue.try_put(1).expect("room");
        let mut putter = queue.put(2);
        assert!(task.poll(&mut putter).is_pending());
        assert_eq!(queue.unfinished(), 1);
        assert_eq!(queue.try_get(), Ok(1));
        queue.task_done().expect("put before");
        let mut join = queue.join();
        assert!(task.poll(&mut join).is_pending());
        assert_eq!(queue.try_get(), Ok(2));
        queue.task_done().expect("put before");
        assert!(task.poll(&mut join).is_ready());
    }

    #[test]
    fn a_join_of_an_empty_queue_does_not_wait<K>() {
        fn body<O: Order<Item = u32>, K: Kind>() {
            let (queue, task) = (Queue::<O, K>::new(), Task::new());
            task.now(queue.join());
            task.now(queue.join());
        }
        every_order!(body, K);
    }

    #[test]
    fn a_shutdown_of_an_empty_queue_ends_all_waiting<K>() {
        fn body<O: Order<Item = u32>, K: Kind>() {
            let (queue, task) = (Queue::<O, K>::new(), Task::new());
            let mut getter = queue.get();
            assert!(task.poll(&mut getter).is_pending());
            queue.shutdown();
            assert_eq!(task.wakes(), 1);
            assert!(queue.is_shut_down() && queue.is_empty());
            task.now(queue.join());
            assert_eq!(task.poll(&mut getter), Poll::Ready(Err(GetError)));
            ended(&queue);
        }
        every_order!(body, K);
    }

    #[test]
    fn a_shutdown_leaves_what_is_there_to_be_got_and_done<K>() {
        fn body<O: Order<Item = u32>, K: Kind>() {
            let (queue, task) = (Queue::<O, K>::bounded(1), Task::new());
            queue.try_put(1).expect("room");
            let (mut join, mut putter) = (queue.join(), queue.put(2));
            assert!(task.poll(&mut join).is_pending());
            assert!(task.poll(&mut putter).is_pending());
            queue.shutdown();
            assert_eq!((queue.len(), queue.unfinished()), (1, 1));
            assert_eq!(task.poll(&mut putter), Poll::Ready(Err(PutError(2))));
            assert_eq!(task.now(queue.get()), Ok(1));
            assert!(task.poll(&mut join).is_pending());
            ended(&queue);
            queue.task_done().expect("put before");
            assert!(task.poll(&mut join).is_ready());
            assert_eq!(queue.task_done(), Err(TooManyDone));
        }
        every_order!(body, K);
    }

    #[test]
    fn a_shutdown_at_once_drops_what_is_there_and_it_counts_as_done<K>() {
        fn body<O: Order<Item = u32>, K: Kind>() {
            let (queue, task) = (Queue::<O, K>::new(), Task::new());
            queue.try_put(1).expect("room");
            let mut join = queue.join();
            assert!(task.poll(&mut join).is_pending());
            queue.shutdown_now();
            assert!(queue.is_empty());
            assert!(task.poll(&mut join).is_ready());
            ended(&queue);
            assert_eq!(queue.task_done(), Err(TooManyDone));
        }
        every_order!(body, K);
    }

    #[test]
    fn a_shutdown_at_once_leaves_what_was_got_to_be_done<K>() {
        fn body<O: Order<Item = u32>, K: Kind>() {
            let (queue, task) = (Queue::<O, K>::new(), Task::new());
            queue.try_put(1).expect("room");
            queue.try_put(1).expect("room");
            let mut join = queue.join();
            assert!(task.poll(&mut join).is_pending());
            assert_eq!(task.now(queue.get()), Ok(1));
            queue.shutdown_now();
            assert!(queue.is_empty());
            assert!(task.poll(&mut join).is_pending());
            ended(&queue);
            queue.task_done().expect("put before");
            assert_eq!(queue.task_done(), Err(TooManyDone));
            assert!(task.poll(&mut join).is_ready());
        }
        every_order!(body, K);
    }

    #[test]
    fn a_shutdown_at_once_takes_back_what_was_promised<K>() {
        let (queue, task) = (Plain::<_, K>::new(), Task::new());
        let (mut getter, mut gives_up) = (queue.get(), queue.get());
        assert!(task.poll(&mut getter).is_pending());
        assert!(task.poll(&mut gives_up).is_pending());
        queue.try_put(1).expect("room");
        queue.try_put(2).expect("room");
        queue.shutdown_now();
        drop(gives_up);
        assert_eq!(task.poll(&mut getter), Poll::Ready(Err(GetError)));
        ended(&queue);
    }

    #[test]
    fn a_getter_of_a_queue_shut_down_waits_for_what_is_promised_to_others<K>() {
        for gives_up in [true, false] {
            let (queue, task) = (Plain::<_, K>::new(), Task::new());
            let mut first = queue.get();
            assert!(task.poll(&mut first).is_pending());
            queue.try_put(1).expect("room");
            queue.shutdown();
            let mut second = queue.get();
            assert!(task.poll(&mut second).is_pending());
            assert_eq!(queue.try_get(), Err(TryGetError::Empty));
            let expected = if gives_up {
                drop(first);
                Ok(1)
            } else {
                assert_eq!(task.poll(&mut first), Poll::Ready(Ok(1)));
                Err(GetError)
            };
            assert_eq!(task.poll(&mut second), Poll::Ready(expected));
        }
    }

    #[test]
    fn wakers_that_panic_stop_nobody<K>() {
        let waker = panicking_waker();
        let mut cx = Context::from_waker(&waker);
        let (queue, task) = (Plain::<u8, K>::bounded(1), Task::new());
        let (mut first, mut second) = (queue.get(), queue.get());
        assert!(std::pin::Pin::new(&mut first).poll(&mut cx).is_pending());
        assert!(task.poll(&mut second).is_pending());
        queue.shutdown();
        assert_eq!(task.poll(&mut second), Poll::Ready(Err(GetError)));
    }
}

/// Nothing can be put and nothing got.
#[track_caller]
fn ended<O: Order<Item = u32>, K: Kind>(queue: &Queue<O, K>) {
    let task = Task::new();
    assert_eq!(task.now(queue.put(7)), Err(PutError(7)));
    assert_eq!(queue.try_put(7), Err(TryPutError::ShutDown(7)));
    assert_eq!(task.now(queue.get()), Err(GetError));
    assert_eq!(queue.try_get(), Err(TryGetError::ShutDown));
}

/// An item that looks at its queue when it is dropped.
struct CallsBack(Rc<Plain<Self, Local>>, Rc<Cell<u32>>);

impl Drop for CallsBack {
    fn drop(&mut self) {
        let _done = self.0.task_done();
        self.1.set(self.1.get() + 1);
    }
}

#[test]
fn an_item_whose_drop_calls_back_finds_the_queue_open_to_it() {
    let (queue, drops) = (Rc::new(Queue::bounded(1)), Rc::default());
    let item = || CallsBack(Rc::clone(&queue), Rc::clone(&drops));
    let task = Task::new();
    let mut waiting = queue.put(item());
    let mut gives_up = queue.put(item());
    assert!(task.poll(&mut waiting).is_ready());
    assert!(task.poll(&mut gives_up).is_pending());
    drop(gives_up);
    queue.shutdown_now();
    drop(queue.try_put(item()));
    assert_eq!(drops.get(), 3);
}

/// Compared with another it panics, while the switch is on.
#[derive(PartialEq, Eq)]
struct Incomparable(Rc<RefCell<bool>>);

impl Ord for Incomparable {
    fn cmp(&self, _other: &Self) -> std::cmp::Ordering {
        assert!(!*self.0.borrow(), "not to be compared");
        std::cmp::Ordering::Equal
    }
}

impl PartialOrd for Incomparable {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[test]
fn a_comparison_that_panics_leaves_the_queue_usable() {
    let queue = Queue::<Priority<_>, super::super::kind::Shared>::new();
    let switch = Rc::new(RefCell::new(false));
    queue
        .try_put(Incomparable(Rc::clone(&switch)))
        .expect("room");
    switch.replace(true);
    let put = || queue.try_put(Incomparable(Rc::clone(&switch)));
    assert!(catch_unwind(AssertUnwindSafe(put)).is_err());
    switch.replace(false);
    assert_eq!((queue.len(), queue.unfinished()), (2, 2));
    queue
        .try_put(Incomparable(Rc::clone(&switch)))
        .expect("room");
    while queue.try_get().is_ok() {
        queue.task_done().expect("put before");
    }
    assert_eq!(queue.unfinished(), 0);
}

#[test]
#[should_panic(expected = "room for an item")]
fn a_bound_of_zero_is_refused() {
    drop(Plain::<u8, Local>::bounded(0));
}

#[test]
fn a_queue_goes_where_its_kind_and_its_items_may() {
    fn goes<T: Send + Sync>() {}
    goes::<super::super::shared::queue::Queue<Cell<u8>>>();
    goes::<super::super::shared::queue::LifoQueue<Cell<u8>>>();
    goes::<super::super::shared::queue::PriorityQueue<u8>>();
    goes::<super::super::generic::queue::Get<'_, Fifo<u8>, super::super::kind::Shared>>();
}

#[test]
fn threads_put_and_get_and_every_item_arrives_once() {
    let queue = super::super::shared::queue::Queue::bounded(2);
    let total: u64 = std::thread::scope(|scope| {
        let getters: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut sum = 0;
                    while let Ok(item) = queue.blocking_get() {
                        sum += item;
                        queue.task_done().expect("put before");
                    }
                    sum
                })
            })
            .collect();
        let putters = [1, 501].map(|from| {
            let queue = &queue;
            scope.spawn(move || {
                for item in from..from + 500 {
                    queue.blocking_put(item).expect("not shut down");
                }
            })
        });
        for putter in putters {
            putter.join().expect("no panic");
        }
        queue.shutdown();
        getters
            .into_iter()
            .map(|getter| getter.join().expect("no panic"))
            .sum()
    });
    assert_eq!((total, queue.unfinished()), (500_500, 0));
}
