//! Beside a task that never stops asking for its turn, turns are counted: those of tasks that only
//! yield are even, and operations that were put off have theirs in the next tick.

mod support {
    pub(crate) mod hogs;
    pub(crate) mod streams;
}

use std::time::Duration;

use annulet::Context;
use annulet::net::TcpStream;
use support::hogs::{operates, yields};
use support::streams::connected;

/// Round trips between two tasks, beside a hog of operations and so many tasks that only yield.
async fn ticks_of_round_trips(yielding: usize, trips: u64) -> u64 {
    let (near, far) = connected().expect("loopback");
    let near = TcpStream::from_std(near).expect("taken over");
    let far = TcpStream::from_std(far).expect("taken over");
    let mut others = vec![annulet::spawn(operates())];
    others.extend((0..yielding).map(|_| annulet::spawn(yields())));
    others.push(annulet::spawn(async move {
        while let Some(message) = far.recv().await.expect("received") {
            far.write_all(message).await.expect("sent");
        }
    }));
    let context = Context::current();
    let before = context.driver().stats().enters;
    for _ in 0..trips {
        near.write_all(b"ping").await.expect("sent");
        near.recv().await.expect("received").expect("not the end");
    }
    for task in others {
        task.abort();
    }
    context.driver().stats().enters - before
}

#[test]
fn operations_that_others_have_put_off_have_their_turn_in_the_next_tick() {
    const TRIPS: u64 = 50;
    annulet::for_each_driver(|runtime| {
        for yielding in 0..4 {
            let trips = ticks_of_round_trips(yielding, TRIPS);
            let ticks = runtime
                .block_on(async { annulet::time::timeout(Duration::from_secs(10), trips).await })
                .expect("the hog takes every turn");
            // Both ways, each a few operations that wait for one another.
            assert!(ticks < TRIPS * 16, "{ticks} ticks for {TRIPS} round trips");
        }
    });
}

#[test]
fn a_hog_that_yields_runs_in_turn_with_the_others() {
    annulet::for_each_driver(|runtime| {
        let turns = runtime.block_on(async {
            let counts: [std::rc::Rc<std::cell::Cell<u32>>; 3] = Default::default();
            let tasks = counts.clone().map(|count| {
                annulet::spawn(async move {
                    loop {
                        count.set(count.get() + 1);
                        annulet::yield_now().await;
                    }
                })
            });
            while counts[0].get() < 10_000 {
                annulet::yield_now().await;
            }
            for task in tasks {
                task.abort();
            }
            counts.map(|count| count.get())
        });
        let (least, most) = (turns.iter().min(), turns.iter().max());
        let spread = most.zip(least).map(|(most, least)| most - least);
        assert!(spread <= Some(1), "{turns:?}");
    });
}
