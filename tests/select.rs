//! `select!`: which branch is chosen, what becomes of the others, and that no byte, no connection
//! and no tick is lost where one branch is passed over for another.
#![forbid(unsafe_code)]

mod support {
    pub(crate) mod streams;
}

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream as StdStream};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use annulet::combine::seed;
use annulet::net::{TcpListener, TcpStream};
use annulet::select;
use annulet::time::{interval, now, sleep};
use support::streams::connected;

/// Runs a test whose only clock is virtual.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = annulet::Builder::new().virtual_time().build();
    runtime.expect("a runtime").block_on(future)
}

/// Counts how often it is polled; never ready.
async fn counts(polls: &Cell<u32>) {
    poll_fn(|_| {
        polls.set(polls.get() + 1);
        Poll::Pending
    })
    .await
}

/// Says when it is dropped.
struct Dropped<'a>(&'a RefCell<Vec<&'static str>>, &'static str);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

#[test]
fn the_branch_that_is_ready_is_chosen() {
    let chosen = run(async {
        select! {
            () = pending() => "never",
            () = sleep(Duration::from_secs(2)) => "late",
            text = async { sleep(Duration::from_secs(1)).await; "early" } => text,
        }
    });
    assert_eq!(chosen, "early");
}

#[test]
fn branches_that_are_always_ready_have_equal_shares() {
    seed(5);
    let mut chosen = [0_u32; 3];
    run(async {
        for _ in 0..3000 {
            select! {
                _ = ready(()) => chosen[0] += 1,
                // Silent branches between them favour nobody.
                () = pending() => unreachable!("it never is"),
                () = pending() => unreachable!("it never is"),
                _ = ready(()) => chosen[1] += 1,
                _ = ready(()) => chosen[2] += 1,
            }
        }
    });
    assert!(
        chosen.iter().all(|count| (900..1100).contains(count)),
        "{chosen:?}"
    );
}

#[test]
fn with_biased_the_first_that_is_ready_is_chosen() {
    run(async {
        for _ in 0..100 {
            let chosen = select! {
                biased;
                () = pending() => 0,
                () = ready(()) => 1,
                () = ready(()) => 2,
            };
            assert_eq!(chosen, 1);
        }
    });
}

#[test]
fn a_seed_repeats_the_choices() {
    let choose = || {
        seed(11);
        run(async {
            let mut chosen = Vec::new();
            for _ in 0..50 {
                chosen.push(select! { _ = ready(()) => 0, _ = ready(()) => 1, _ = ready(()) => 2 });
            }
            chosen
        })
    };
    assert_eq!(choose(), choose());
}

#[test]
fn futures_are_evaluated_once_and_in_order() {
    let order = RefCell::new(Vec::new());
    let note = |name| order.borrow_mut().push(name);
    run(async {
        select! {
            biased;
            () = { note("first"); sleep(Duration::from_secs(2)) } => unreachable!("it is later"),
            () = { note("second"); sleep(Duration::from_secs(1)) }, if { note("condition"); true } => {}
        }
    });
    assert_eq!(*order.borrow(), ["condition", "first", "second"]);
}

#[test]
fn a_future_behind_a_false_condition_is_not_evaluated() {
    let mut nothing: Option<std::future::Ready<u32>> = None;
    let chosen = run(async {
        select! {
            number = nothing.as_mut().expect("there is one"), if nothing.is_some() => number,
            () = sleep(Duration::from_secs(1)) => 1,
        }
    });
    assert_eq!(chosen, 1);
}

#[test]
fn a_branch_whose_pattern_does_not_match_is_disabled() {
    let polls = Cell::new(0);
    let chosen = run(async {
        select! {
            biased;
            Some(_) = poll_fn(|_| { polls.set(polls.get() + 1); Poll::Ready(None::<u32>) }) => 0,
            () = sleep(Duration::from_secs(1)) => 1,
        }
    });
    assert_eq!(chosen, 1);
    assert_eq!(polls.get(), 1, "a future that was ready is polled no more");
}

#[test]
fn else_runs_when_no_branch_is_left() {
    run(async {
        let chosen = select! {
            Some(number) = ready(None::<u32>) => number,
            Err(number) = ready(Ok::<(), u32>(())), if true => number,
            number = ready(2), if false => number,
            else => 9,
        };
        assert_eq!(chosen, 9);
    });
}

#[test]
#[should_panic(expected = "every branch of select! is disabled")]
fn without_an_else_no_branch_left_is_a_panic() {
    run(async {
        select! { Some(()) = ready(None) => {} }
    });
}

#[test]
fn patterns_may_take_an_output_apart() {
    #[derive(Debug)]
    struct Pair {
        name: String,
        number: u32,
    }
    const SEVEN: u32 = 7;
    run(async {
        let pair = || Pair {
            name: "x".to_owned(),
            number: 7,
        };
        let name =
            select! { Pair { name, number: SEVEN } = ready(pair()) => name, else => String::new() };
        assert_eq!(name, "x");
        let other = select! {
            Pair { number: 8, .. } = ready(pair()) => 8,
            (mut text, [first, .., last]) = ready((String::new(), [1, 2, 3])) => {
                text.push('x');
                first + last + text.len()
            }
        };
        assert_eq!(other, 5);
        let by_reference = select! { ref kept @ Pair { .. } = ready(pair()) => kept.number };
        assert_eq!(by_reference, 7);
        // Through a reference, as in any match.
        let some = Some(String::from("zz"));
        let length = select! { Some(text) = ready(&some) => text.len(), else => 0 };
        assert_eq!(length, 2);
        let none = select! { None = ready(Some(1)) => 1, else => 2 };
        assert_eq!(none, 2);
    });
}

#[test]
fn handlers_return_break_and_ask() {
    async fn ask() -> Result<u32, String> {
        let mut rounds = 0;
        let found = loop {
            select! {
                biased;
                () = ready(()), if rounds < 3 => {
                    rounds += 1;
                    continue;
                }
                number = ready("4") => break number.parse::<u32>().map_err(|error| error.to_string())?,
            }
        };
        select! {
            text = ready("x") => { let _: u32 = text.parse().map_err(|_| format!("{found} {text}"))?; }
        }
        Ok(found)
    }
    async fn returns() -> u32 {
        select! { number = ready(3) => if number == 3 { return number } }
        0
    }
    run(async {
        assert_eq!(ask().await, Err("4 x".to_owned()));
        assert_eq!(returns().await, 3);
    });
}

#[test]
fn handlers_may_await_and_use_what_the_futures_borrowed() {
    async fn push(list: &mut Vec<u32>, number: u32) -> u32 {
        list.push(number);
        number
    }
    run(async {
        let (mut list, mut other) = (Vec::new(), Vec::new());
        let sum = select! {
            biased;
            number = push(&mut list, 1) => {
                list.push(number + 1);
                other.push(0);
                push(&mut list, 3).await
            }
            number = push(&mut other, 5) => { list.clear(); number }
        };
        assert_eq!((sum, list, other), (3, vec![1, 2, 3], vec![0]));
    });
}

#[test]
fn expressions_may_borrow_from_temporaries() {
    async fn length(text: &str) -> usize {
        annulet::yield_now().await;
        text.len()
    }
    run(async {
        let number = 12345;
        let length = select! {
            length = length(&format!("{number}")) => length,
            () = pending() => 0,
        };
        assert_eq!(length, 5);
    });
}

#[test]
fn losers_are_dropped_before_the_handler_runs() {
    let order = RefCell::new(Vec::new());
    run(async {
        let loser = Dropped(&order, "loser");
        let winner = Dropped(&order, "winner");
        select! {
            () = async move { let _loser = loser; pending().await } => {}
            () = async move { let _winner = winner; annulet::yield_now().await } => order.borrow_mut().push("handler"),
        }
    });
    let order = order.into_inner();
    assert_eq!(order[0], "winner");
    assert_eq!(order[1..], ["loser", "handler"]);
}

#[test]
fn a_borrowed_future_survives_being_passed_over() {
    run(async {
        let begun = now();
        let mut end = pin!(sleep(Duration::from_secs(10)));
        let mut ticks = interval(Duration::from_secs(1));
        let mut seen = 0;
        loop {
            select! {
                biased;
                () = &mut end => break,
                () = ticks.tick() => seen += 1,
            }
        }
        assert_eq!(seen, 10);
        assert_eq!((now() - begun).as_secs(), 10);
    });
}

#[test]
fn a_wake_polls_each_branch_once() {
    let polls = Cell::new(0);
    run(async {
        select! {
            () = counts(&polls) => {}
            () = async { for _ in 0..5 { annulet::yield_now().await } } => {}
        }
    });
    // One poll for each wake, but perhaps not in the last round, which the other one ends.
    assert!((5..=6).contains(&polls.get()), "{}", polls.get());
}

#[test]
fn sixty_four_branches_are_all_asked() {
    macro_rules! select_one_of_64 {
        ($wanted:expr; $($branch:literal)*) => {
            select! { $(number = ready($branch), if $branch == $wanted => number,)* }
        };
    }
    run(async {
        for wanted in 0..64 {
            let chosen = select_one_of_64!(wanted;
                0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
                32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59
                60 61 62 63);
            assert_eq!(chosen, wanted);
        }
    });
}

#[test]
fn the_names_inside_are_not_the_callers() {
    run(async {
        let (enabled, output, future, cx, chosen, branch0, fits) = (1, 2, 3, 4, 5, 6, 7);
        let sum = select! {
            number = ready(enabled + output + future), if branch0 == 6 => number + cx + chosen + fits,
        };
        assert_eq!(sum, 22);
        let nested = select! {
            number = async { select! { number = ready(1) => number, else => 0 } } => {
                select! { more = ready(2) => more + number }
            }
        };
        assert_eq!(nested, 3);
    });
}

/// Takes what has come from a stream, by a lease or into a buffer of its own; nothing at the end.
async fn take(stream: &TcpStream, owned: bool) -> Option<Vec<u8>> {
    if owned {
        let (read, mut buffer) = stream.read(Vec::with_capacity(500)).await.expect("read");
        buffer.truncate(read);
        return (read > 0).then_some(buffer);
    }
    let lease = stream.recv().await.expect("received")?;
    Some(lease.to_vec())
}

#[test]
fn a_receive_that_is_passed_over_loses_no_byte() {
    const TOTAL: usize = 200_000;
    annulet::for_each_driver(|runtime| {
        let (mut near, far) = connected().expect("loopback");
        let bytes: Vec<u8> = (0..=250).cycle().take(TOTAL).collect();
        let sent = bytes.clone();
        let (begin, told) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            told.recv().expect("a receive is passed over");
            for part in sent.chunks(777) {
                near.write_all(part).expect("sent");
                std::thread::yield_now();
            }
        });
        let (received, passed_over) = runtime.block_on(async {
            let stream = TcpStream::from_std(far).expect("taken over");
            let (mut received, mut passed_over) = (Vec::new(), 0_u32);
            loop {
                select! {
                    message = take(&stream, passed_over % 2 == 0) => match message {
                        Some(message) => received.extend(message),
                        None => break (received, passed_over),
                    },
                    // Ready at its second poll: it wins very often.
                    () = annulet::yield_now() => {
                        passed_over += 1;
                        // Nothing has been there to receive so far; heard once.
                        let _heard = begin.send(());
                    }
                    () = sleep(Duration::from_micros(100)) => passed_over += 1,
                }
            }
        });
        writer.join().expect("no panic");
        assert!(passed_over > 0);
        assert!(received == bytes, "{} of {TOTAL} bytes", received.len());
    });
}

#[test]
fn an_accept_that_is_passed_over_loses_no_connection() {
    const CONNECTIONS: usize = 50;
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("bound");
            let address = listener.local_addr().expect("bound");
            let clients = std::thread::spawn(move || {
                let connect = |_| StdStream::connect(address).expect("connected");
                (0..CONNECTIONS).map(connect).collect::<Vec<_>>()
            });
            let mut accepted = Vec::new();
            while accepted.len() < CONNECTIONS {
                select! {
                    connection = listener.accept() => accepted.push(connection.expect("accepted")),
                    () = annulet::yield_now() => {}
                }
            }
            let clients = clients.join().expect("no panic");
            let mut expected: Vec<_> = clients
                .iter()
                .map(|client| client.local_addr().expect("open"))
                .collect();
            let mut peers: Vec<_> = accepted.iter().map(|(_, peer)| *peer).collect();
            expected.sort();
            peers.sort();
            assert_eq!(peers, expected);
        });
    });
}
