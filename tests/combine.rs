//! `join!`, `try_join!`, `join_all`, `try_join_all`, `race` and `race_ok`: what they give, what
//! they poll, what they drop, and that what loses to something else loses no data.
#![forbid(unsafe_code)]

mod support {
    pub(crate) mod streams;
}

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{pending, poll_fn, ready};
use std::io::Write;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulet::combine::seed;
use annulet::net::TcpStream;
use annulet::time::{now, sleep, timeout};
use annulet::{join, join_all, race, race_ok, try_join, try_join_all};
use support::streams::connected;

/// Runs a test whose only clock is virtual.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = annulet::Builder::new().virtual_time().build();
    runtime.expect("a runtime").block_on(future)
}

const SECOND: Duration = Duration::from_secs(1);

/// What happened to futures: the numbers of those that were dropped, in order.
type Log = Rc<RefCell<Vec<u32>>>;

/// Notes its number when it is dropped.
struct Noted(Log, u32);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

/// Is ready after so many seconds; notes its end.
async fn after<T>(log: &Log, number: u32, seconds: u64, output: T) -> T {
    let _noted = Noted(Rc::clone(log), number);
    sleep(Duration::from_secs(seconds)).await;
    output
}

async fn seconds<T>(seconds: u64, output: T) -> T {
    sleep(Duration::from_secs(seconds)).await;
    output
}

#[test]
fn a_join_takes_as_long_as_its_longest_part() {
    run(async {
        let begun = now();
        let outputs = join!(seconds(3, 'a'), seconds(1, "b"), async { 3 }, ready(()));
        assert_eq!(outputs, ('a', "b", 3, ()));
        assert_eq!((now() - begun).as_secs(), 3);
        assert_eq!(join!(ready(1)), (1,));
        let () = join!();
    });
}

#[test]
fn a_join_borrows_and_its_expressions_may_borrow_from_temporaries() {
    async fn length(text: &str) -> usize {
        annulet::yield_now().await;
        text.len()
    }
    run(async {
        let (text, count) = (String::from("text"), Cell::new(0));
        let lengths = join!(
            length(&text),
            length(&format!("{text}{text}")),
            async { count.set(count.get() + 1) },
            async { count.set(count.get() + 1) },
        );
        assert_eq!(lengths, (4, 8, (), ()));
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn a_join_has_room_for_many_and_for_futures_to_be() {
    struct Later(u32);
    impl IntoFuture for Later {
        type Output = u32;
        type IntoFuture = std::future::Ready<u32>;
        fn into_future(self) -> Self::IntoFuture {
            ready(self.0)
        }
    }
    run(async {
        let many = join!(
            Later(1),
            Later(2),
            Later(3),
            Later(4),
            Later(5),
            Later(6),
            Later(7),
            Later(8),
            Later(9),
            Later(10),
            Later(11),
            Later(12),
            Later(13),
            Later(14),
            Later(15),
            Later(16),
        );
        assert_eq!((many.0, many.15), (1, 16));
        // A name of the caller's that the macro uses as well.
        let (future, cx, done) = (Later(1), Later(2), Later(3));
        assert_eq!(join!(future, cx, done), (1, 2, 3));
    });
}

#[test]
fn a_join_polls_what_is_done_no_more_and_drops_it_at_once() {
    let log = Log::default();
    let polls = Cell::new(0);
    run(async {
        let counted = poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::Ready(())
        });
        join!(counted, after(&log, 1, 1, ()), async {
            sleep(Duration::from_secs(2)).await;
            assert_eq!(*log.borrow(), [1]);
        });
    });
    assert_eq!(polls.get(), 1);
}

#[test]
fn a_dropped_join_drops_its_parts() {
    let log = Log::default();
    run(async {
        let joined = async { join!(after(&log, 1, 5, ()), after(&log, 2, 1, ())) };
        assert!(timeout(Duration::from_secs(2), joined).await.is_err());
        assert_eq!(*log.borrow(), [2, 1]);
        let joined = join_all((3..6).map(|number| after(&log, number, 5, ())));
        assert!(timeout(Duration::from_secs(2), joined).await.is_err());
        log.borrow_mut().sort_unstable();
        assert_eq!(*log.borrow(), [1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_try_join_gives_the_first_error_and_drops_the_rest() {
    let log = Log::default();
    run(async {
        let begun = now();
        let joined = try_join!(
            after(&log, 1, 9, Ok::<_, &str>(1)),
            after(&log, 2, 1, Ok::<_, &str>("two")),
            after(&log, 3, 2, Err::<(), _>("three")),
            after(&log, 4, 3, Err::<(), _>("four")),
        );
        assert_eq!(joined, Err("three"));
        assert_eq!((now() - begun).as_secs(), 2);
        assert_eq!(log.borrow()[..2], [2, 3]);
        assert_eq!(log.borrow().len(), 4);
        assert_eq!(
            try_join!(ready(Ok::<_, ()>(1)), seconds(1, Ok("2"))),
            Ok((1, "2"))
        );
        assert_eq!(try_join!(), Ok::<(), Infallible>(()));
        // Of two that are there at once, the first that is written.
        assert_eq!(
            try_join!(ready(Err::<(), _>(1)), ready(Err::<(), _>(2))),
            Err(1)
        );
    });
}

#[test]
fn join_all_keeps_the_order_of_the_list() {
    run(async {
        let begun = now();
        let squares =
            join_all((0..100_u64).map(|number| seconds((number * 37) % 100, number * number)));
        let squares = squares.await;
        assert!(
            squares
                .iter()
                .zip(0..)
                .all(|(square, number)| *square == number * number)
        );
        assert_eq!(squares.len(), 100);
        assert_eq!((now() - begun).as_secs(), 99);
        assert_eq!(join_all::<[std::future::Ready<()>; 0]>([]).await, []);
        assert_eq!(
            try_join_all([ready(Ok::<_, ()>(1)), ready(Ok(2))]).await,
            Ok(vec![1, 2])
        );
    });
}

#[test]
fn try_join_all_drops_the_rest_before_it_gives_the_error() {
    let log = Log::default();
    run(async {
        let list = (0..50).map(|number| {
            let output = if number == 7 { Err(number) } else { Ok(number) };
            after(&log, number, u64::from(number), output)
        });
        let mut joined = pin!(try_join_all(list));
        assert_eq!(joined.as_mut().await, Err(7));
        assert_eq!(log.borrow()[..8], [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(
            log.borrow().len(),
            50,
            "`joined` is still there, its futures are not"
        );
    });
}

#[test]
fn return_exceptions_is_a_list_of_results() {
    run(async {
        let results = join_all([ready(Ok(1)), ready(Err("two")), ready(Ok(3))]).await;
        assert_eq!(results, [Ok(1), Err("two"), Ok(3)]);
    });
}

#[test]
fn a_failed_join_of_handles_leaves_the_tasks_running() {
    run(async {
        let finished = Rc::new(Cell::new(false));
        let told = Rc::clone(&finished);
        let slow = annulet::spawn(async move {
            sleep(Duration::from_secs(2)).await;
            told.set(true);
        });
        let fails = annulet::spawn(async { panic!("on purpose") });
        let failed = try_join_all([slow, fails]).await;
        assert!(failed.is_err_and(|error| error.is_panic()));
        assert!(!finished.get());
        sleep(Duration::from_secs(3)).await;
        assert!(finished.get());
    });
}

/// Awaits its turn: its waker is kept where the test finds it, and each poll is counted.
struct Switched {
    polls: Rc<Cell<usize>>,
    waker: Rc<RefCell<Option<Waker>>>,
    on: Rc<Cell<bool>>,
}

impl Future for Switched {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.polls.set(self.polls.get() + 1);
        if self.on.get() {
            return Poll::Ready(());
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[test]
fn ten_thousand_futures_are_polled_once_for_each_wake() {
    const MANY: usize = 10_000;
    let polls = Rc::new(Cell::new(0));
    let mut switches = Vec::new();
    let mut futures = Vec::new();
    for _ in 0..MANY {
        let (waker, on) = (Rc::default(), Rc::<Cell<bool>>::default());
        switches.push((Rc::clone(&waker), Rc::clone(&on)));
        futures.push(Switched {
            polls: Rc::clone(&polls),
            waker,
            on,
        });
    }
    run(async move {
        let counted = Rc::clone(&polls);
        let switcher = annulet::spawn(async move {
            // One by one, from the last: each wake is a poll of the whole.
            for (waker, on) in switches.iter().rev() {
                on.set(true);
                let waker: Option<Waker> = waker.take();
                waker.expect("it was polled").wake();
                annulet::yield_now().await;
            }
        });
        assert_eq!(join_all(futures).await.len(), MANY);
        assert_eq!(counted.get(), 2 * MANY);
        switcher.await.expect("no panic");
    });
}

#[test]
fn a_panic_of_one_drops_the_others() {
    let log = Log::default();
    run(async {
        let kept = Rc::clone(&log);
        let task = annulet::spawn(async move {
            join_all((0..3).map(|number| {
                let kept = Rc::clone(&kept);
                async move {
                    after(&kept, number, u64::from(number), ()).await;
                    assert_ne!(number, 1, "on purpose");
                }
            }))
            .await
        });
        assert!(task.await.is_err_and(|error| error.is_panic()));
        log.borrow_mut().sort_unstable();
        assert_eq!(*log.borrow(), [0, 1, 2]);
    });
}

#[test]
fn wakers_of_a_join_that_is_gone_do_no_harm() {
    run(async {
        let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
        let switched = || Switched {
            polls: Rc::default(),
            waker: Rc::clone(&waker),
            on: Rc::default(),
        };
        assert!(
            timeout(Duration::from_secs(1), join_all([switched(), switched()]))
                .await
                .is_err()
        );
        let waker = waker.take().expect("it was polled");
        std::thread::spawn(move || waker.wake())
            .join()
            .expect("no panic");
    });
}

#[test]
fn the_first_to_finish_wins_and_the_others_are_dropped() {
    let log = Log::default();
    run(async {
        let mut tuple = pin!(race((
            after(&log, 1, 3, 'a'),
            after(&log, 2, 1, 'b'),
            pending()
        )));
        assert_eq!(tuple.as_mut().await, 'b');
        log.borrow_mut().sort_unstable();
        assert_eq!(
            *log.borrow(),
            [1, 2],
            "the race is still there, the loser is not"
        );
        log.borrow_mut().clear();
        let mut list = pin!(race((0..5).map(|number| after(
            &log,
            number,
            5 - u64::from(number),
            number
        ))));
        assert_eq!(list.as_mut().await, 4);
        assert_eq!(log.borrow().len(), 5);
        assert_eq!(race([seconds(2, 2), seconds(1, 1)]).await, 1);
        assert_eq!(
            race(vec![
                Box::pin(seconds(2, 2)) as Pin<Box<dyn Future<Output = _>>>,
                Box::pin(ready(3))
            ])
            .await,
            3
        );
        assert_eq!(race((ready(1),)).await, 1);
    });
}

#[test]
fn a_race_between_equals_is_fair() {
    seed(9);
    run(async {
        let (mut of_tuple, mut of_list) = ([0; 3], [0; 3]);
        for _ in 0..3000 {
            of_tuple[race((ready(0), pending(), pending(), ready(1), ready(2))).await] += 1;
            of_list[race([0, 1, 2].map(ready)).await] += 1;
        }
        for shares in [of_tuple, of_list] {
            assert!(
                shares.iter().all(|count| (900..1100).contains(count)),
                "{shares:?}"
            );
        }
    });
}

#[test]
#[should_panic(expected = "a race of nobody")]
fn a_race_of_nobody_is_refused() {
    drop(race(Vec::<std::future::Ready<()>>::new()));
}

#[test]
fn the_first_success_wins() {
    let log = Log::default();
    run(async {
        let begun = now();
        let won = race_ok((
            after(&log, 1, 1, Err("one")),
            after(&log, 2, 2, Ok(2)),
            after(&log, 3, 3, Ok(3)),
        ));
        assert_eq!(won.await, Ok(2));
        assert_eq!((now() - begun).as_secs(), 2);
        assert_eq!(*log.borrow(), [1, 2, 3]);
        let won = race_ok([ready(Err("one")), ready(Ok(2))]).await;
        assert_eq!(won, Ok(2));
    });
}

#[test]
fn where_all_fail_all_errors_are_kept_in_order() {
    run(async {
        let lost = race_ok((
            seconds(2, Err::<(), _>('a')),
            seconds(1, Err('b')),
            ready(Err('c')),
        ));
        assert_eq!(lost.await, Err(['a', 'b', 'c']));
        let lost = race_ok((0..4).map(|number| seconds(9 - number, Err::<(), _>(number))));
        assert_eq!(lost.await, Err(vec![0, 1, 2, 3]));
        let nobody = race_ok(Vec::<std::future::Ready<Result<(), ()>>>::new());
        assert_eq!(nobody.await, Err(vec![]));
    });
}

#[test]
fn a_race_that_is_polled_after_its_end_says_so() {
    let polled_again = |mut race: Pin<Box<dyn Future<Output = u32>>>| {
        run(async {
            assert_eq!(race.as_mut().await, 1);
            let polled = std::panic::AssertUnwindSafe(|| {
                race.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            });
            let payload = std::panic::catch_unwind(polled)
                .map(|_| ())
                .expect_err("it panics");
            payload
                .downcast_ref::<&str>()
                .map(|said| (*said).to_owned())
        })
    };
    for race in [
        Box::pin(race((ready(1_u32), ready(1)))) as Pin<Box<dyn Future<Output = u32>>>,
        Box::pin(race([ready(1), ready(1)])),
    ] {
        let said = polled_again(race);
        assert_eq!(
            said.as_deref(),
            Some("a race was polled after it completed")
        );
    }
}

#[test]
fn a_race_is_left_and_taken_up_again() {
    run(async {
        let begun = now();
        let mut race = pin!(race((seconds(5, 'a'), seconds(6, 'b'))));
        assert!(timeout(Duration::from_secs(4), &mut race).await.is_err());
        assert_eq!(race.await, 'a');
        assert_eq!((now() - begun).as_secs(), 5);
    });
}

#[test]
fn a_join_that_moves_to_another_task_is_woken_there() {
    run(async {
        let polls = Rc::new(Cell::new(0));
        let (waker, on): (Rc<RefCell<Option<Waker>>>, Rc<Cell<bool>>) = Default::default();
        let switched = Switched {
            polls: Rc::clone(&polls),
            waker: Rc::clone(&waker),
            on: Rc::clone(&on),
        };
        let mut boxed = Box::pin(async move { join!(join_all([switched]), seconds(5, ())) });
        assert!(timeout(SECOND, &mut boxed).await.is_err());
        let moved = annulet::spawn(boxed);
        sleep(SECOND).await;
        on.set(true);
        let waker = waker.take().expect("it was polled");
        waker.wake();
        let begun = now();
        assert_eq!(moved.await.expect("no panic"), (vec![()], ()));
        assert_eq!((now() - begun).as_secs(), 2);
        assert_eq!(polls.get(), 2);
    });
}

#[test]
fn both_directions_of_a_connection_are_joined() {
    const TOTAL: usize = 4 << 20;
    annulet::for_each_driver(|runtime| {
        let (near, far) = connected().expect("loopback");
        let (sent, received) = runtime.block_on(async {
            let near = TcpStream::from_std(near).expect("taken over");
            let far = TcpStream::from_std(far).expect("taken over");
            // More than the system holds: neither direction ends without the other.
            let echo = async {
                while let Some(message) = far.recv().await? {
                    far.write_all(message).await?;
                }
                far.shutdown(std::net::Shutdown::Write)
            };
            let send = async {
                near.write_all(vec![7; TOTAL]).await?;
                near.shutdown(std::net::Shutdown::Write)?;
                Ok(TOTAL)
            };
            let receive = async {
                let mut received = 0;
                while let Some(message) = near.recv().await? {
                    received += message.len();
                }
                Ok::<_, std::io::Error>(received)
            };
            let ((), sent, received) = try_join!(echo, send, receive).expect("an open connection");
            (sent, received)
        });
        assert_eq!(sent, received);
    });
}

#[test]
fn a_receive_that_loses_a_race_loses_no_byte() {
    const TOTAL: usize = 200_000;
    annulet::for_each_driver(|runtime| {
        let (mut near, far) = connected().expect("loopback");
        let bytes: Vec<u8> = (0..=250).cycle().take(TOTAL).collect();
        let sent = bytes.clone();
        let writer = std::thread::spawn(move || {
            for part in sent.chunks(777) {
                near.write_all(part).expect("sent");
            }
        });
        let received = runtime.block_on(async {
            let stream = TcpStream::from_std(far).expect("taken over");
            let mut received = Vec::new();
            loop {
                let message = async {
                    let lease = stream.recv().await.expect("received");
                    Some(lease.map_or(Vec::new(), |lease| lease.to_vec()))
                };
                let other = async {
                    annulet::yield_now().await;
                    None
                };
                match race((message, other)).await {
                    Some(message) if message.is_empty() => break received,
                    Some(message) => received.extend(message),
                    None => {}
                }
            }
        });
        writer.join().expect("no panic");
        assert!(received == bytes, "{} of {TOTAL} bytes", received.len());
    });
}

/// Joins of joins, so deep.
fn nested(depth: u32) -> Pin<Box<dyn Future<Output = u32>>> {
    Box::pin(async move {
        if depth == 0 {
            annulet::yield_now().await;
            return 1;
        }
        join_all([nested(depth - 1)]).await[0] + 1
    })
}

/// The same with a task for each level.
fn nested_tasks(depth: u32) -> Pin<Box<dyn Future<Output = u32>>> {
    Box::pin(async move {
        if depth == 0 {
            annulet::yield_now().await;
            return 1;
        }
        let below = join_all([annulet::spawn(nested_tasks(depth - 1))]).await;
        *below[0].as_ref().expect("no panic") + 1
    })
}

#[test]
fn joins_of_a_task_nest_as_deep_as_the_stack_and_joins_of_tasks_without_end() {
    let deep = std::thread::Builder::new().stack_size(4 << 20);
    let deep = deep.spawn(|| {
        assert_eq!(run(nested(1000)), 1001);
        assert_eq!(run(nested_tasks(10_000)), 10_001);
        // Dropped under way, from the top.
        run(async {
            assert!(timeout(Duration::ZERO, nested(1000)).await.is_err());
        });
    });
    deep.expect("a thread").join().expect("no overflow");
}
