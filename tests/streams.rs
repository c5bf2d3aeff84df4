//! Streams: their methods in virtual time, generators, and connections as a stream on every driver.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, TcpStream as StdStream};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use annulet::net::TcpListener;
use annulet::select;
use annulet::stream::{
    self, FuturesUnordered, Stream, StreamExt, StreamTimeExt, TryStreamExt, interval, iter,
    try_stream, unfold,
};
use annulet::time::{self, MissedTick, now, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test whose only clock is virtual.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = annulet::Builder::new().virtual_time().build();
    runtime.expect("a runtime").block_on(future)
}

/// Items, each with the milliseconds before it.
fn after<T>(items: impl IntoIterator<Item = (u64, T)>) -> impl Stream<Item = T> {
    unfold(items.into_iter(), |mut items| async {
        let (pause, item) = items.next()?;
        sleep(Duration::from_millis(pause)).await;
        Some((item, items))
    })
}

/// Items, each with the milliseconds since `begun` at which it came.
async fn timed<S: Stream>(stream: S) -> Vec<(u128, S::Item)> {
    let begun = now();
    // The wheel's ticks are 16.384 µs, and sleeps are rounded up to them.
    let stream = stream.map(|item| ((now() - begun).as_millis(), item));
    stream.collect().await
}

/// Always ready, and counts the items it has given.
struct Flood(Rc<Cell<u64>>);

impl Stream for Flood {
    type Item = u64;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<u64>> {
        self.0.set(self.0.get() + 1);
        Poll::Ready(Some(self.0.get()))
    }
}

#[test]
fn throttle_keeps_items_apart_and_drops_none() {
    run(async {
        let items = timed(iter(0..4).throttle(SECOND)).await;
        let times: Vec<u128> = items.iter().map(|(time, _)| *time).collect();
        assert_eq!(
            items.iter().map(|(_, item)| *item).collect::<Vec<_>>(),
            [0, 1, 2, 3]
        );
        for (time, planned) in times.iter().zip([0, 1000, 2000, 3000]) {
            assert!((planned..planned + 2).contains(time), "{times:?}");
        }
        // Where items are apart by themselves, nothing is added.
        let slow = interval(3 * SECOND / 2).take(3).throttle(SECOND);
        let slow = timed(slow).await;
        assert!((3000..3002).contains(&slow[2].0), "{slow:?}");
        let all = timed(iter(0..3).throttle(Duration::ZERO)).await;
        assert_eq!(all, [(0, 0), (0, 1), (0, 2)]);
    });
}

#[test]
fn a_timeout_says_that_an_item_is_late_and_waits_on() {
    run(async {
        let items = after([(500, 'a'), (2500, 'b'), (900, 'c')]).timeout(SECOND);
        let items: Vec<_> = items.map(Result::ok).collect().await;
        assert_eq!(items, [Some('a'), None, None, Some('b'), Some('c')]);
    });
}

#[test]
fn a_timeout_counts_no_time_of_the_consumer() {
    run(async {
        let mut items = pin!(after([(0, 'a'), (900, 'b')]).timeout(SECOND));
        assert!(matches!(items.next().await, Some(Ok('a'))));
        sleep(5 * SECOND).await;
        assert!(matches!(items.next().await, Some(Ok('b'))));
        assert!(items.next().await.is_none());
        // A wait that is given up and taken up again goes on where it was.
        let mut never = pin!(stream::pending::<()>().timeout(SECOND));
        let begun = now();
        assert!(timeout(SECOND / 2, never.next()).await.is_err());
        assert!(matches!(never.next().await, Some(Err(_))));
        assert!((now() - begun).as_millis() < 1002);
    });
}

#[test]
fn chunks_are_full_or_late_or_last_and_never_empty() {
    run(async {
        let items = after([
            (0, 1),
            (0, 2),
            (0, 3), // full
            (5000, 4),
            (300, 5), // late, a second after the first of them
            (5000, 6),
            (300, 7), // the last
        ]);
        let chunks = timed(items.chunks_timeout(3, SECOND)).await;
        let items: Vec<_> = chunks.iter().map(|(_, items)| items.as_slice()).collect();
        assert_eq!(items, [&[1, 2, 3][..], &[4, 5], &[6, 7]]);
        let times: Vec<_> = chunks.iter().map(|(time, _)| *time).collect();
        assert_eq!(times[0], 0);
        assert!((6000..6002).contains(&times[1]), "{times:?}");
        assert!((10600..10603).contains(&times[2]), "{times:?}");
        assert_eq!(iter(0..0).chunks_timeout(3, SECOND).count().await, 0);
        let even = iter(0..6)
            .chunks_timeout(3, SECOND)
            .collect::<Vec<_>>()
            .await;
        assert_eq!(even, [[0, 1, 2], [3, 4, 5]]);
    });
}

#[test]
fn what_is_gathered_survives_a_wait_that_is_given_up() {
    run(async {
        let mut chunks = pin!(after([(0, 1), (400, 2), (400, 3)]).chunks_timeout(3, 9 * SECOND));
        for _ in 0..7 {
            assert!(timeout(SECOND / 10, chunks.next()).await.is_err());
        }
        assert_eq!(chunks.next().await, Some(vec![1, 2, 3]));
    });
}

#[test]
fn throttled_and_debounced_items_survive_a_wait_that_is_given_up() {
    run(async {
        let mut apart = pin!(iter(0..4).throttle(SECOND));
        let mut got = Vec::new();
        while got.len() < 4 {
            got.extend(timeout(SECOND / 3, apart.next()).await.ok().flatten());
        }
        assert_eq!(got, [0, 1, 2, 3]);
        let mut bursts = pin!(after([(0, 'a'), (400, 'b'), (3000, 'c')]).debounce(SECOND));
        let mut got = String::new();
        while got.len() < 2 {
            got.extend(timeout(SECOND / 3, bursts.next()).await.ok().flatten());
        }
        assert_eq!(got, "bc");
    });
}

#[test]
#[should_panic(expected = "room for one item")]
fn chunks_of_nothing_are_refused() {
    drop(iter(0..3).chunks_timeout(0, SECOND));
}

/// A task that takes every turn it can have, and counts them.
fn counter() -> (annulet::JoinHandle<()>, Rc<Cell<u32>>) {
    let turns = Rc::new(Cell::new(0));
    let counted = Rc::clone(&turns);
    let task = annulet::spawn(async move {
        loop {
            counted.set(counted.get() + 1);
            annulet::yield_now().await;
        }
    });
    (task, turns)
}

#[test]
fn a_stream_that_never_waits_makes_room_for_others() {
    run(async {
        let (other, turns) = counter();
        // Time stands still while anything can run, so only the number ends the list.
        let mut chunks = Flood(Rc::default()).chunks_timeout(1000, SECOND);
        assert_eq!(chunks.next().await.map(|chunk| chunk.len()), Some(1000));
        assert!(turns.get() >= 5, "{} turns of the other task", turns.get());
        let seen = turns.get();
        let mut quiet = Flood(Rc::default()).debounce(SECOND);
        select! {
            item = quiet.next() => panic!("{item:?} is followed by others"),
            () = async { while turns.get() < seen + 5 { annulet::yield_now().await } } => {}
        }
        other.abort();
    });
}

#[test]
fn a_stream_that_never_waits_is_cut_in_time() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let given = Rc::new(Cell::new(0));
            let limit = Duration::from_millis(2);
            let mut chunks = Flood(Rc::clone(&given)).chunks_timeout(usize::MAX, limit);
            let begun = Instant::now();
            let chunk = chunks.next().await.expect("no end");
            assert!(begun.elapsed() >= limit);
            assert_eq!(chunk.len() as u64, given.get());
        });
    });
}

#[test]
fn debounce_gives_the_last_of_each_burst() {
    run(async {
        let items = after([
            (0, 'a'),
            (400, 'b'),
            (400, 'c'),
            (2000, 'd'),
            (999, 'e'),
            (1, 'f'),
        ]);
        let items = timed(items.debounce(SECOND)).await;
        assert_eq!(
            items.iter().map(|(_, item)| *item).collect::<String>(),
            "cf"
        );
        assert!((1800..1803).contains(&items[0].0), "{items:?}");
        // The end of the stream ends the last burst.
        assert!((3800..3803).contains(&items[1].0), "{items:?}");
        assert_eq!(iter(0..0).debounce(SECOND).count().await, 0);
    });
}

#[test]
fn a_duration_too_long_to_count_is_a_wait_for_ever() {
    run(async {
        let items = || after([(1000, 1), (1000, 2)]);
        assert_eq!(
            items()
                .timeout(Duration::MAX)
                .filter_map(async |item| item.ok())
                .count()
                .await,
            2
        );
        assert_eq!(
            items().debounce(Duration::MAX).collect::<Vec<_>>().await,
            [2]
        );
        assert_eq!(
            items()
                .chunks_timeout(5, Duration::MAX)
                .collect::<Vec<_>>()
                .await,
            [[1, 2]]
        );
        let mut throttled = pin!(items().throttle(Duration::MAX));
        assert_eq!(throttled.next().await, Some(1));
        assert!(timeout(1000 * SECOND, throttled.next()).await.is_err());
    });
}

#[test]
fn an_interval_is_a_stream_of_the_instants_of_its_ticks() {
    run(async {
        let begun = now();
        let mut ticks = interval(SECOND);
        for second in 0..3 {
            let tick = ticks.next().await.expect("no end");
            assert_eq!((tick - begun).as_secs(), second);
        }
        // Every wait is given up once; no tick is lost by that.
        let mut ticks = time::interval(SECOND)
            .missed_tick(MissedTick::Skip)
            .into_stream();
        let begun = now();
        let mut seen = 0;
        while seen < 5 {
            select! {
                Some(tick) = ticks.next() => {
                    assert_eq!((tick - begun).as_secs(), seen);
                    seen += 1;
                }
                () = sleep(SECOND / 3) => {}
            }
        }
        let mut interval = ticks.into_inner();
        interval.tick().await;
        assert_eq!((now() - begun).as_secs(), 5);
    });
}

#[test]
fn futures_come_as_they_complete() {
    run(async {
        let mut set: FuturesUnordered<_> = [3, 1, 2]
            .into_iter()
            .map(|seconds| async move {
                sleep(SECOND * seconds).await;
                seconds
            })
            .collect();
        assert_eq!(set.next().await, Some(1));
        assert_eq!(set.collect::<Vec<_>>().await, [2, 3]);
    });
}

#[test]
fn buffered_runs_so_many_at_once_and_keeps_the_order() {
    run(async {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let begun = now();
        let results = iter(0..12_u32).map(|number| {
            let (running, most) = (&running, &most);
            async move {
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                sleep(SECOND).await;
                running.set(running.get() - 1);
                number
            }
        });
        let results = results.buffered(4).collect::<Vec<_>>().await;
        assert_eq!(results, (0..12).collect::<Vec<_>>());
        assert_eq!(most.get(), 4);
        assert_eq!((now() - begun).as_secs(), 3);
    });
}

/// A generator over what need not be `Send`, and notes its end.
fn halves(
    mut number: u32,
    log: Rc<RefCell<Vec<&'static str>>>,
) -> impl Stream<Item = Result<u32, String>> {
    struct Ended(Rc<RefCell<Vec<&'static str>>>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.borrow_mut().push("ended");
        }
    }
    try_stream! {
        let ended = Ended(log);
        while number > 1 {
            if number % 2 == 1 {
                Err(format!("{number} is odd"))?;
            }
            number /= 2;
            sleep(SECOND).await;
            yield number;
        }
        drop(ended);
    }
}

#[test]
fn a_generator_is_a_stream_and_need_not_be_send() {
    run(async {
        let log = Rc::default();
        assert_eq!(
            halves(16, Rc::clone(&log)).try_collect::<Vec<_>>().await,
            Ok(vec![8, 4, 2, 1])
        );
        let mut odd = pin!(halves(6, Rc::clone(&log)));
        assert_eq!(odd.next().await, Some(Ok(3)));
        assert_eq!(odd.next().await, Some(Err("3 is odd".to_owned())));
        assert_eq!(odd.next().await, None);
        let numbers = stream::stream! { for number in 0..3 { yield number } };
        assert_eq!(numbers.collect::<Vec<_>>().await, [0, 1, 2]);
        assert_eq!(*log.borrow(), ["ended", "ended"]);
    });
}

#[test]
fn a_generator_that_is_dropped_ends_where_it_waits() {
    run(async {
        let log = Rc::default();
        let mut generator = Box::pin(halves(16, Rc::clone(&log)));
        assert_eq!(generator.next().await, Some(Ok(8)));
        assert!(timeout(SECOND / 2, generator.next()).await.is_err());
        assert!(log.borrow().is_empty());
        drop(generator);
        assert_eq!(*log.borrow(), ["ended"]);
    });
}

/// The addresses of so many clients, which connect at once and stay until they are dropped.
fn clients(listener: &TcpListener, count: usize) -> std::thread::JoinHandle<Vec<StdStream>> {
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let connect = |_| StdStream::connect(address).expect("connected");
        (0..count).map(connect).collect()
    })
}

#[test]
fn incoming_gives_every_connection_also_where_a_wait_for_one_is_given_up() {
    const CONNECTIONS: usize = 60;
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
            let clients = clients(&listener, CONNECTIONS);
            let mut accepted = Vec::new();
            let mut incoming = listener.incoming();
            while accepted.len() < CONNECTIONS {
                select! {
                    Some(connection) = incoming.next() => accepted.push(connection.expect("accepted")),
                    () = annulet::yield_now() => {}
                }
                if accepted.len() % 7 == 0 {
                    // Another stream, and between them an accept, take up where the last one was
                    // left.
                    drop(incoming);
                    if accepted.len() < CONNECTIONS {
                        accepted.push(listener.accept().await.expect("accepted"));
                    }
                    incoming = listener.incoming();
                }
            }
            let clients = clients.join().expect("no panic");
            let mut expected: Vec<_> = clients.iter().map(|client| client.local_addr().expect("open")).collect();
            let mut peers: Vec<_> = accepted.iter().map(|(_, peer)| *peer).collect();
            expected.sort();
            peers.sort();
            assert_eq!(peers, expected);
        });
    });
}

#[test]
fn connections_are_served_so_many_at_once() -> io::Result<()> {
    let mut outcome = Ok(());
    annulet::for_each_driver(|runtime| {
        outcome = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let clients = clients(&listener, 20);
            let served = Cell::new(0);
            let count = &served;
            let serving =
                listener
                    .incoming()
                    .take(20)
                    .try_for_each_concurrent(4, |(stream, _)| async move {
                        stream.write_all(b"hello".to_vec()).await?;
                        count.set(count.get() + 1);
                        Ok(())
                    });
            serving.await?;
            assert_eq!(served.get(), 20);
            assert_eq!(clients.join().expect("no panic").len(), 20);
            Ok(())
        });
    });
    outcome
}
