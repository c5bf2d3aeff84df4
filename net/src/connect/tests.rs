//! Who is tried when, in virtual time, by a dialer that does as it is told.

use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use annulet_runtime::Builder;
use annulet_runtime::stream::once;
use annulet_runtime::time::{now, sleep};

use super::eyeballs::{Failures, first_of, next_of};
use super::{ATTEMPT_DELAY, ConnectError};

/// What an address does, and after how many milliseconds.
#[derive(Clone, Copy)]
enum Act {
    Answers(u64),
    Refuses(u64),
    IsSilent,
}

/// What became of a race.
struct Outcome {
    winner: Option<u16>,
    /// Who was dialled, and after how many milliseconds.
    dialled: Vec<(u16, u128)>,
    took_ms: u128,
    failures: Vec<(SocketAddr, io::Error)>,
    /// Attempts that were neither finished nor dropped.
    left: u32,
}

struct Attempt(Rc<Cell<u32>>);

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Races addresses whose ports are their places in the list.
fn race(acts: &[Act]) -> Outcome {
    let runtime = Builder::new().virtual_time().build().expect("a runtime");
    runtime.block_on(async {
        let address =
            |(port, _)| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("few")));
        let addresses = acts.iter().enumerate().map(address).collect();
        let (begun, dialled) = (now(), RefCell::new(Vec::new()));
        let left = Rc::new(Cell::new(0));
        let failures = Failures::default();
        let winner = first_of(
            once(ready(Ok(addresses))),
            ATTEMPT_DELAY,
            &failures,
            async |address: SocketAddr| {
                left.set(left.get() + 1);
                let _attempt = Attempt(Rc::clone(&left));
                let after = (now() - begun).as_millis();
                dialled.borrow_mut().push((address.port(), after));
                match acts[usize::from(address.port())] {
                    Act::Answers(ms) => {
                        sleep(Duration::from_millis(ms)).await;
                        Ok(address.port())
                    }
                    Act::Refuses(ms) => {
                        sleep(Duration::from_millis(ms)).await;
                        Err(io::ErrorKind::ConnectionRefused.into())
                    }
                    Act::IsSilent => pending().await,
                }
            },
        );
        let winner = winner.await.expect("there was no lookup");
        Outcome {
            winner,
            took_ms: (now() - begun).as_millis(),
            dialled: dialled.take(),
            failures: failures.into_inner(),
            left: left.get(),
        }
    })
}

/// Timers may be late by a tick and merged with others.
fn is_about(ms: u128, expected: u128) -> bool {
    (expected..=expected + 2).contains(&ms)
}

#[test]
fn families_take_turns_and_keep_their_order() {
    let of = |texts: &[&str]| -> Vec<SocketAddr> {
        let parsed = texts.iter().map(|text| text.parse().expect("an address"));
        parsed.collect()
    };
    let alternating = |mut left: Vec<SocketAddr>| {
        let first = next_of(&mut left, None);
        std::iter::successors(first, |last| next_of(&mut left, Some(*last))).collect::<Vec<_>>()
    };
    let mixed = of(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
    let turns = of(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
    assert_eq!(alternating(mixed), turns);
    let four_first = of(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"]);
    let turns = of(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]);
    assert_eq!(alternating(four_first), turns);
    assert!(alternating(Vec::new()).is_empty());
}

#[test]
fn one_that_answers_in_time_is_the_only_one_that_is_dialled() {
    let outcome = race(&[Act::Answers(200), Act::Answers(0)]);
    assert_eq!(outcome.winner, Some(0));
    assert_eq!(outcome.dialled.len(), 1);
}

#[test]
fn one_that_is_silent_costs_the_delay_and_is_dropped() {
    let outcome = race(&[Act::IsSilent, Act::Answers(10), Act::Answers(0)]);
    assert_eq!(outcome.winner, Some(1));
    assert!(is_about(outcome.took_ms, 260), "{}", outcome.took_ms);
    assert_eq!(outcome.dialled.len(), 2);
    assert_eq!(outcome.left, 0, "the loser is dropped with the race");
}

#[test]
fn one_that_refuses_costs_nothing() {
    let outcome = race(&[Act::Refuses(0), Act::Refuses(5), Act::Answers(0)]);
    assert_eq!(outcome.winner, Some(2));
    assert!(is_about(outcome.took_ms, 5), "{}", outcome.took_ms);
    assert_eq!(outcome.failures.len(), 2);
}

#[test]
fn the_delay_counts_from_the_last_one_dialled() {
    let outcome = race(&[Act::Refuses(100), Act::IsSilent, Act::Answers(0)]);
    let at: Vec<u128> = outcome.dialled.iter().map(|(_, ms)| *ms).collect();
    assert_eq!(outcome.winner, Some(2));
    assert!(
        at[0] == 0 && is_about(at[1], 100) && is_about(at[2], 350),
        "{at:?}"
    );
}

#[test]
fn one_that_is_slow_may_still_win_after_others_were_dialled() {
    let outcome = race(&[Act::Answers(300), Act::IsSilent, Act::IsSilent]);
    assert_eq!(outcome.winner, Some(0));
    assert!(is_about(outcome.took_ms, 300), "{}", outcome.took_ms);
    assert_eq!((outcome.dialled.len(), outcome.left), (2, 0));
}

#[test]
fn the_last_ones_failures_are_waited_for_and_all_are_kept() {
    let outcome = race(&[Act::Refuses(700), Act::Refuses(10), Act::Refuses(600)]);
    assert_eq!(outcome.winner, None);
    let at: Vec<u128> = outcome.dialled.iter().map(|(_, ms)| *ms).collect();
    assert!(is_about(at[1], 250) && is_about(at[2], 260), "{at:?}");
    let order: Vec<u16> = outcome.failures.iter().map(|(at, _)| at.port()).collect();
    assert_eq!(order, [1, 0, 2]);
    let error = io::Error::from(ConnectError {
        failures: outcome.failures,
        timed_out: false,
    });
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let message = error.to_string();
    for port in 0..3 {
        assert!(
            message.contains(&format!("127.0.0.1:{port}: ")),
            "{message}"
        );
    }
}

#[test]
fn nowhere_to_connect_to_is_an_error() {
    assert_eq!(race(&[]).winner, None);
    let nowhere = ConnectError {
        failures: Vec::new(),
        timed_out: false,
    };
    assert_eq!(io::Error::from(nowhere).kind(), io::ErrorKind::InvalidInput);
}
