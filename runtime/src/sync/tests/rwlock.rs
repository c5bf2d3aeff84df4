//! The read-write lock, by cases and against a model by lot.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Hand, Lots, ROUNDS, block_on, for_both_kinds, now, panicking_waker, running_waker};
use crate::sync::generic::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::sync::kind::Kind;
use crate::sync::shared;

for_both_kinds! {
    #[test]
    fn many_read_or_one_writes<K>() {
        let lock = RwLock::<_, K>::new(1);
        let (one, two) = (now(lock.read()), lock.try_read().unwrap());
        assert_eq!(*one + *two, 2);
        assert!(lock.try_write().is_none());
        drop((one, two));
        let mut writer = lock.try_write().unwrap();
        *writer += 1;
        assert!(lock.try_read().is_none() && lock.try_write().is_none());
        drop(writer);
        assert_eq!(lock.into_inner(), 2);
    }

    #[test]
    fn a_reader_that_comes_after_a_waiting_writer_waits<K>() {
        let lock = RwLock::<_, K>::new(0);
        let reading = now(lock.read());
        let mut writer = Hand::waiting(lock.write());
        let mut late = Hand::waiting(lock.read());
        assert!(lock.try_read().is_none(), "nobody overtakes");
        drop(reading);
        assert!(writer.is_woken() && !late.is_woken());
        let mut guard = writer.ready();
        *guard = 1;
        drop(guard);
        assert_eq!(*late.ready(), 1);
    }

    #[test]
    fn readers_that_wait_together_come_in_together<K>() {
        let lock = RwLock::<_, K>::new(0);
        let writing = now(lock.write());
        let mut readers = [Hand::waiting(lock.read()), Hand::waiting(lock.read())];
        let mut writer = Hand::waiting(lock.write());
        let behind = Hand::waiting(lock.read());
        drop(writing);
        let guards: Vec<_> = readers.iter_mut().map(Hand::ready).collect();
        assert!(!writer.is_woken() && !behind.is_woken());
        drop(guards);
        drop(writer.ready());
        assert!(behind.is_woken());
    }

    #[test]
    fn a_writer_that_gives_up_lets_the_readers_behind_it_in<K>() {
        let lock = RwLock::<_, K>::new(5);
        let _reading = now(lock.read());
        let writer = Hand::waiting(lock.write());
        let mut behind = Hand::waiting(lock.read());
        drop(writer);
        assert!(behind.is_woken());
        assert_eq!(*behind.ready(), 5);
    }

    #[test]
    fn a_lock_granted_to_a_dropped_writer_goes_to_the_next<K>() {
        let lock = RwLock::<_, K>::new(5);
        let held = now(lock.write());
        let first = Hand::waiting(lock.write());
        let mut second = Hand::waiting(lock.write());
        drop(held);
        assert!(first.is_woken() && !second.is_woken());
        drop(first);
        assert_eq!(*second.ready(), 5);
        assert!(lock.try_write().is_some());
    }

    #[test]
    fn a_lock_granted_to_a_dropped_reader_is_let_go<K>() {
        let lock = RwLock::<_, K>::new(5);
        let held = now(lock.write());
        let reader = Hand::waiting(lock.read());
        let mut writer = Hand::waiting(lock.write());
        drop(held);
        assert!(reader.is_woken() && !writer.is_woken());
        drop(reader);
        *writer.ready() = 6;
        assert_eq!(*now(lock.read()), 6);
    }

    #[test]
    fn a_writer_goes_on_as_a_reader_and_no_writer_comes_between<K>() {
        let lock = RwLock::<_, K>::new(1);
        let mut writing = now(lock.write());
        let mut reader = Hand::waiting(lock.read());
        let mut writer = Hand::waiting(lock.write());
        *writing = 2;
        let reading = RwLockWriteGuard::downgrade(writing);
        assert_eq!(*reading + *reader.ready(), 4);
        assert!(!writer.is_woken());
        drop(reading);
        *writer.ready() += 1;
        assert_eq!(*now(lock.read()), 3);
    }

    #[test]
    fn a_holder_that_panics_lets_go<K>() {
        let lock = RwLock::<_, K>::new(1);
        for writes in [true, false] {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let (_reading, _writing);
                if writes {
                    _writing = now(lock.write());
                } else {
                    _reading = now(lock.read());
                }
                panic!("on purpose");
            }));
            assert!(panicked.is_err());
            assert!(lock.try_write().is_some());
        }
    }

    #[test]
    fn an_owned_guard_keeps_its_lock_alive<K>() {
        let lock = K::rc(RwLock::<_, K>::new(1));
        let mut writing = now(RwLock::<_, K>::write_owned(&lock));
        assert!(RwLock::<_, K>::try_read_owned(&lock).is_none());
        assert!(RwLock::<_, K>::try_write_owned(&lock).is_none());
        let mut reader = Hand::waiting(RwLock::<_, K>::read_owned(&lock));
        drop(lock);
        *writing = 5;
        drop(writing);
        assert_eq!(*reader.ready(), 5);
    }

    #[test]
    fn whoever_has_the_whole_lock_has_the_value<K>() {
        let mut lock = RwLock::<_, K>::from(String::from("a"));
        lock.get_mut().push('b');
        assert_eq!(format!("{:?}", lock.try_read().unwrap()), "\"ab\"");
        assert_eq!(lock.into_inner(), "ab");
        assert_eq!(RwLock::<u8, K>::default().into_inner(), 0);
    }

    #[test]
    #[should_panic(expected = "was leaked")]
    fn a_leaked_reader_is_found_when_the_value_is_taken_out<K>() {
        let lock = RwLock::<_, K>::new(1);
        let _leaked = std::mem::ManuallyDrop::new(now(lock.read()));
        lock.into_inner();
    }

    #[test]
    fn a_waker_that_panics_or_uses_the_lock_loses_nothing<K>() {
        let lock = K::rc(RwLock::<_, K>::new(1));
        let held = now(RwLock::<_, K>::write_owned(&lock));
        let mut first = Hand::new(lock.read());
        assert!(first.poll_with(&panicking_waker()).is_pending());
        let weak = K::downgrade(&lock);
        let waker = running_waker(move || {
            assert!(K::upgrade(&weak).is_none_or(|lock| lock.try_write().is_none()));
        });
        let mut second = Hand::new(lock.read());
        assert!(second.poll_with(&waker).is_pending());
        drop(waker);
        drop(held);
        assert_eq!(*first.ready() + *second.ready(), 2);
    }

    #[test]
    fn debug_shows_how_it_stands<K>() {
        let lock = RwLock::<_, K>::new(1);
        let _reading = now(lock.read());
        let _writer = Hand::waiting(lock.write());
        let text = format!("{lock:?}");
        assert_eq!(text, "RwLock { readers: 1, writing: false, waiting: 1, .. }");
    }

    #[test]
    fn the_lock_agrees_with_a_model_by_lot<K>() {
        let mut lots = Lots::new();
        for _ in 0..ROUNDS {
            let lock = RwLock::<usize, K>::new(0);
            let mut model = Model { lock: &lock, held: Vec::new(), line: Vec::new() };
            for _ in 0..60 {
                model.step(&mut lots);
                model.check();
            }
        }
    }
}

enum Guard<'a, K: Kind> {
    Reads(RwLockReadGuard<usize, K, &'a RwLock<usize, K>>),
    Writes(RwLockWriteGuard<usize, K, &'a RwLock<usize, K>>),
}

/// All who have or want the lock, in the order of their coming: each may go if all before it read,
/// and it reads too; or if there is none before it.
struct Model<'a, K: Kind> {
    lock: &'a RwLock<usize, K>,
    /// Whoever has a guard.
    held: Vec<Guard<'a, K>>,
    /// Whoever has none yet, and whether it writes.
    line: Vec<(bool, Hand<'a, Guard<'a, K>>)>,
}

impl<K: Kind> Model<'_, K> {
    /// How many of the line have been served.
    fn served(&self) -> usize {
        let mut writing = self
            .held
            .iter()
            .any(|guard| matches!(guard, Guard::Writes(_)));
        let mut readers = self.held.len() - usize::from(writing);
        for (at, (writes, _)) in self.line.iter().enumerate() {
            if writing || (*writes && readers > 0) {
                return at;
            }
            writing = *writes;
            readers += usize::from(!writes);
        }
        self.line.len()
    }

    fn may_go_at_once(&self, writes: bool) -> bool {
        let writing = |guard: &Guard<'_, K>| matches!(guard, Guard::Writes(_));
        let all_served = self.served() == self.line.len();
        let readers_only = !self.held.iter().any(writing) && self.line.iter().all(|(is, _)| !is);
        let nobody = self.held.is_empty() && self.line.is_empty();
        all_served && (nobody || (!writes && readers_only))
    }

    fn step(&mut self, lots: &mut Lots) {
        let lock = self.lock;
        match lots.below(5) {
            0 => {
                let writes = lots.below(3) == 0;
                let mut hand = Hand::new(async move {
                    if writes {
                        Guard::Writes(lock.write().await)
                    } else {
                        Guard::Reads(lock.read().await)
                    }
                });
                if self.may_go_at_once(writes) {
                    self.held.push(hand.ready());
                } else {
                    assert!(hand.poll().is_pending());
                    self.line.push((writes, hand));
                }
            }
            1 => {
                assert_eq!(lock.try_read().is_some(), self.may_go_at_once(false));
                assert_eq!(lock.try_write().is_some(), self.may_go_at_once(true));
            }
            2 if !self.held.is_empty() => {
                drop(self.held.swap_remove(lots.below(self.held.len())));
            }
            3 if !self.line.is_empty() => {
                drop(self.line.remove(lots.below(self.line.len())));
            }
            4 if self.served() > 0 => {
                let (_, mut hand) = self.line.remove(lots.below(self.served()));
                self.held.push(hand.ready());
            }
            _ => {}
        }
    }

    fn check(&self) {
        let served = self.served();
        for (at, (_, hand)) in self.line.iter().enumerate() {
            assert_eq!(hand.is_woken(), at < served);
        }
    }
}

#[test]
fn threads_and_tasks_never_read_what_is_being_written() {
    let rounds = if cfg!(miri) { 5 } else { 300 };
    // Two halves that a writer changes one after the other.
    let halves = Arc::new(shared::RwLock::new([0_usize; 2]));
    let reads = Arc::new(AtomicUsize::new(0));
    let work = |number: usize| {
        let (halves, reads) = (Arc::clone(&halves), Arc::clone(&reads));
        async move {
            for round in 0..rounds {
                if (number + round).is_multiple_of(3) {
                    let mut guard = halves.write().await;
                    guard[0] += 1;
                    crate::task::yield_now().await;
                    guard[1] += 1;
                } else {
                    let guard = halves.read().await;
                    crate::task::yield_now().await;
                    assert_eq!(guard[0], guard[1]);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..2 {
            let work = work(number);
            scope.spawn(move || block_on(work));
        }
        crate::Builder::new().build().unwrap().block_on(async {
            let tasks = [2, 3, 4].map(|number| crate::spawn(work(number)));
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    let [writes, _] = *halves.try_read().unwrap();
    assert_eq!(writes + reads.load(Ordering::Relaxed), 5 * rounds);
}
