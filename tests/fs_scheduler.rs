//! The scheduler of a disk, in virtual time: shares are kept, the limit is never passed, a latency
//! goal lowers it, and who gives up is in nobody's way.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulet::fs::{IoClass, Scheduler};
use annulet::time::sleep;
use annulet::{Builder, JoinHandle, spawn, yield_now};

fn in_virtual_time<F: Future>(body: impl FnOnce() -> F) -> F::Output {
    let runtime = Builder::new().virtual_time().build().expect("a runtime");
    runtime.block_on(async { body().await })
}

/// A disk that takes a while for each request, longer the more it has at once.
#[derive(Default)]
struct Disk {
    under_way: Cell<u32>,
    most: Cell<u32>,
}

impl Disk {
    async fn request(&self, base: Duration) {
        self.under_way.set(self.under_way.get() + 1);
        self.most.set(self.most.get().max(self.under_way.get()));
        sleep(base * self.under_way.get()).await;
        self.under_way.set(self.under_way.get() - 1);
    }
}

/// Somebody who always has one more request.
fn greedy(class: &IoClass, disk: &Rc<Disk>, bytes: u64, done: &Rc<Cell<u64>>) -> JoinHandle<()> {
    let (class, disk, done) = (class.clone(), Rc::clone(disk), Rc::clone(done));
    spawn(async move {
        loop {
            let turn = class.turn(bytes).await;
            disk.request(Duration::from_micros(100)).await;
            drop(turn);
            done.set(done.get() + bytes);
        }
    })
}

#[test]
fn classes_that_are_always_busy_have_their_shares_of_bytes() {
    in_virtual_time(async || {
        let scheduler = Scheduler::new(4);
        let disk = Rc::<Disk>::default();
        let cases = [
            ("large", 6, 1 << 20),
            ("small", 3, 64 << 10),
            ("idle", 1, 1 << 20),
        ];
        let mut done = Vec::new();
        let mut tasks = Vec::new();
        for (name, shares, bytes) in cases {
            let class = scheduler.class(name, shares);
            let bytes_done = Rc::<Cell<u64>>::default();
            tasks.extend((0..8).map(|_| greedy(&class, &disk, bytes, &bytes_done)));
            done.push(bytes_done);
        }
        sleep(Duration::from_secs(4)).await;
        let done: Vec<f64> = done.iter().map(|bytes| bytes.get() as f64).collect();
        let ratio = done[0] / done[2];
        assert!((5.5..6.5).contains(&ratio), "6 to 1: {ratio}");
        // Small requests pay for being requests: 64 KiB cost 68.
        let ratio = done[1] / done[2];
        assert!((2.6..3.2).contains(&ratio), "3 to 1: {ratio}");
        assert_eq!(disk.most.get(), 4, "no more than the limit");
        for task in tasks {
            task.abort();
        }
    });
}

#[test]
fn who_comes_back_has_saved_up_nothing() {
    in_virtual_time(async || {
        let scheduler = Scheduler::new(1);
        let disk = Rc::<Disk>::default();
        let (busy, rare) = (scheduler.class("busy", 1), scheduler.class("rare", 1));
        let (first, second) = (Rc::<Cell<u64>>::default(), Rc::<Cell<u64>>::default());
        let busy_task = greedy(&busy, &disk, 4096, &first);
        sleep(Duration::from_secs(1)).await;
        first.set(0);
        let tasks = [
            greedy(&rare, &disk, 4096, &second),
            greedy(&rare, &disk, 4096, &second),
        ];
        sleep(Duration::from_secs(1)).await;
        let (first, second) = (first.get(), second.get());
        assert!(
            first.abs_diff(second) <= 3 * 4096,
            "half each: {first}, {second}"
        );
        busy_task.abort();
        for task in tasks {
            task.abort();
        }
    });
}

#[test]
fn a_latency_goal_lowers_the_limit_and_lets_it_rise_again() {
    in_virtual_time(async || {
        // With n under way a request takes up to n times 100 us: the goal allows about five.
        let scheduler = Scheduler::new(32).with_latency_goal(Duration::from_micros(550));
        let disk = Rc::<Disk>::default();
        let class = scheduler.class("all", 1);
        let done = Rc::<Cell<u64>>::default();
        let tasks: Vec<_> = (0..64)
            .map(|_| greedy(&class, &disk, 4096, &done))
            .collect();
        sleep(Duration::from_secs(2)).await;
        let depth = scheduler.depth();
        assert!((3..=8).contains(&depth), "{depth}");
        for task in tasks {
            task.abort();
        }
        // A faster disk lets more through.
        let fast = (0..64).map(|_| {
            let class = class.clone();
            spawn(async move {
                loop {
                    let _turn = class.turn(4096).await;
                    sleep(Duration::from_micros(50)).await;
                }
            })
        });
        let tasks: Vec<_> = fast.collect();
        sleep(Duration::from_secs(2)).await;
        assert_eq!(scheduler.depth(), 32);
        for task in tasks {
            task.abort();
        }
    });
}

#[test]
fn turns_that_are_given_up_are_the_next_ones() {
    in_virtual_time(async || {
        let scheduler = Scheduler::new(1);
        let class = scheduler.class("all", 1);
        let held = class.turn(0).await;
        let waiting = |class: &IoClass| {
            let class = class.clone();
            spawn(async move { drop(class.turn(0).await) })
        };
        let last = {
            let mut first = pin!(class.turn(0));
            let mut second = pin!(class.turn(0));
            let begun = poll_fn(|cx| {
                let pending = first.as_mut().poll(cx).is_pending();
                Poll::Ready(pending && second.as_mut().poll(cx).is_pending())
            });
            assert!(begun.await);
            let last = waiting(&class);
            while class.waiting() < 3 {
                yield_now().await;
            }
            // The first is granted its turn and dropped before it hears of it, the second waits.
            drop(held);
            assert_eq!((class.waiting(), scheduler.under_way()), (2, 1));
            last
        };
        last.await.expect("it had its turn");
        assert_eq!((class.waiting(), scheduler.under_way()), (0, 0));
        assert_eq!(class.granted(), 3, "each but the second");
    });
}
